//go:build linux && e2e && pictures

package e2e

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

var (
	pictures = flag.String("pictures", "", "write pictures of the terminal UI into this directory")
	only     = flag.String("only", "", "of these alone, such as 120x40-dark")
)

// TestPictures takes pictures for the documents, by test/pictures. It needs an
// installation that looks like one.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Fatal("run test/pictures DIR")
	}
	i, logins := install(t, 4)
	fleet(t, i, len(logins))
	client := i.World.Xray(t, logins...)
	for k, most := range []float64{2e6, 900e3, 400e3, 150e3} {
		up, down := client.MustOpen(t, k, k%2 == 0), client.MustOpen(t, k, k%2 == 0)
		go waves(float64(k+4), func(wave float64) error {
			rate := uint64(most * wave)
			return down.Download(2*rate, rate)
		})
		go waves(float64(k+7), func(wave float64) error {
			rate := uint64(most * wave * wave / 4)
			return up.Upload(t.Context(), 2*rate, rate)
		})
	}
	pause(t.Context(), 100*time.Second) // for a chart with something in it
	for _, theme := range []string{"dark", "light", "high-contrast", "ansi16"} {
		for _, size := range [][2]int{{60, 18}, {80, 24}, {120, 40}} {
			if of := fmt.Sprintf("%dx%d-%s", size[0], size[1], theme); *only != "" && *only != of {
				continue
			}
			tm := openTUI(t, i, size[0], size[1], "tui", "--theme", theme)
			tm.Want("up")
			for k, name := range []string{"dashboard", "users", "servers", "monitor", "logs", "settings"} {
				tm.Press(fmt.Sprint(k + 1))
				pause(t.Context(), 2*time.Second)
				tm.Picture(filepath.Join(*pictures, fmt.Sprintf("%s-%dx%d-%s.png", name, size[0], size[1], theme)), theme != "light")
			}
			for _, x := range [][]string{
				{"menu", "2", "x"},
				{"new-user", "2", "n"},
				{"qr", "2", "r", "Enter"},
				{"help", "2", "?"},
				{"palette", ":"},
				{"delete", "2", "d"},
				{"new-server", "3", "n"},
				{"devices", "2", "D"},
				{"links", "2", "l", "Enter"},
				{"details", "2", "Enter"},
				{"server", "3", "Enter"},
				{"many", "2", "Space", "Space", "e"},
				{"connection", "4", "Tab", "Tab", "Tab", "Enter"},
				{"line", "5", "Enter"},
				{"messages", "C-g"},
			} {
				tm.Press("Escape", "Escape", "Escape")
				for _, k := range x[1:] {
					if k == "Enter" { // for what has been asked before
						pause(t.Context(), 500*time.Millisecond)
					}
					tm.Press(k)
				}
				pause(t.Context(), time.Second)
				tm.Picture(filepath.Join(*pictures, fmt.Sprintf("%s-%dx%d-%s.png", x[0], size[0], size[1], theme)), theme != "light")
			}
			tm.Press("Escape").Press("Escape").Press("C-c")
		}
	}
	if *only == "" {
		states(t, i)
	}
}

// waves does what takes two seconds again and again, between a tenth and the
// whole of what it could, as people do. It ends with an error.
func waves(period float64, do func(wave float64) error) {
	for k := 0.0; ; k++ {
		if do(0.55+0.45*math.Sin(2*math.Pi*k/period)*math.Cos(k/3)) != nil {
			return
		}
	}
}

// states takes pictures of what one hopes not to see, and of terminals that
// can do less.
func states(t *testing.T, i *rig.Instance) {
	t.Helper()
	picture := func(tm *rig.Terminal, name string) {
		pause(t.Context(), 2*time.Second)
		tm.Picture(filepath.Join(*pictures, name+".png"), true)
	}
	for _, size := range [][2]int{{60, 18}, {80, 24}} {
		at := fmt.Sprintf("-%dx%d", size[0], size[1])
		for name, args := range map[string][]string{"ascii": {"tui", "--glyphs", "ascii"}, "blocks": {"tui", "--glyphs", "blocks"}} {
			tm := openTUI(t, i, size[0], size[1], args...)
			picture(tm.Want("up"), name+"-dashboard"+at)
			picture(tm.Press("2"), name+"-users"+at)
			picture(tm.Press("4"), name+"-monitor"+at)
			tm.Press("C-c")
		}
		empty := i.World.Instance(t)
		tm := rig.OpenTerminal(t, size[0], size[1], []string{"NO_COLOR=1", "VPN_DATA_DIR=" + empty.Data, "HOME=" + t.TempDir()}, empty.Bin)
		picture(tm, "no-daemon"+at)
		tm.Press("Enter").Want("a daemon is running")
		picture(tm, "empty-dashboard"+at)
		for k, name := range []string{"users", "servers", "monitor", "logs", "settings"} {
			picture(tm.Press(fmt.Sprint(k+2)), "empty-"+name+at)
		}
		picture(tm.Press("3", "n"), "empty-new"+at)
		s, err := empty.Status()
		if err != nil {
			t.Fatal(err)
		}
		rig.Signal(t, s.PID, 9)
		pause(t.Context(), 8*time.Second)
		picture(tm.Press("Escape", "1"), "stale"+at)
		tm.Press("C-c")
	}
}

// fleet makes an installation look lived in, and gives its logins' users names.
func fleet(t *testing.T, i *rig.Instance, logins int) {
	t.Helper()
	i.CreateServer("outline", 8388, "--protocol", "shadowsocks")
	i.CreateServer("phones", 51820, "--protocol", "wireguard")
	i.CreateServer("office", 8080, "--protocol", "http")
	i.Must("server", "stop", "office", "--yes")
	for k, name := range []string{"alice", "bob", "carol", "dmitry", "elena", "farid", "grace", "hiro", "ivan", "julia", "kofi", "lena"} {
		flags := [][]string{
			{"--quota", "5GB", "--expires", "30d"},
			{"--quota", "2GB", "--quota-period", "month"},
			{"--rate-down", "20mbit", "--devices", "2"},
			{"--expires", "5d", "--note", "pays in cash"},
		}[k%4]
		verb := "create"
		if k < logins {
			verb = "update"
			if err := i.API(t.Context(), "PATCH", fmt.Sprintf("/v1/users/u%d", k), vpn.UserPatch{Name: &name}, nil); err != nil {
				t.Fatal(err)
			}
		}
		i.Must(append([]string{"users", verb, name}, flags...)...)
	}
	i.Must("users", "disable", "farid", "--yes")
	soon := time.Now().Add(time.Second)
	if err := i.API(t.Context(), "PATCH", "/v1/users/grace", vpn.UserPatch{ExpiresAt: &soon}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(*pictures); err != nil {
		t.Fatal(err)
	}
}
