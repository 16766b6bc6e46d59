//go:build linux && e2e && pictures

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

var pictures = flag.String("pictures", "", "write pictures of the terminal UI into this directory")

// TestPictures takes pictures for the documents, by test/pictures. It needs an
// installation that looks like one.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Fatal("run test/pictures DIR")
	}
	i, logins := install(t, 4)
	fleet(t, i)
	client := i.World.Xray(t, logins...)
	for k, rate := range []uint64{2_000_000, 700_000, 300_000, 90_000} {
		conn := client.MustOpen(t, k, k%2 == 0)
		go func() { _ = conn.Download(1<<40, rate) }()
	}
	pause(t.Context(), 100*time.Second) // for a chart with something in it
	for _, theme := range []string{"dark", "light", "high-contrast", "ansi16"} {
		for _, size := range [][2]int{{60, 18}, {80, 24}, {120, 40}} {
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
				tm.Press("Escape", "Escape", "Escape").Press(x[1:]...)
				pause(t.Context(), time.Second)
				tm.Picture(filepath.Join(*pictures, fmt.Sprintf("%s-%dx%d-%s.png", x[0], size[0], size[1], theme)), theme != "light")
			}
			tm.Press("Escape").Press("Escape").Press("C-c")
		}
	}
	states(t, i)
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

// fleet makes an installation look lived in.
func fleet(t *testing.T, i *rig.Instance) {
	t.Helper()
	i.CreateServer("outline", 8388, "--protocol", "shadowsocks")
	i.CreateServer("phones", 51820, "--protocol", "wireguard")
	i.CreateServer("office", 8080, "--protocol", "http")
	i.Must("server", "stop", "office", "--yes")
	for k, name := range []string{"alice", "bob", "carol", "dmitry", "elena", "farid", "grace", "hiro", "ivan", "julia"} {
		flags := [][]string{
			{"--quota", "50GB", "--expires", "30d", "--tag", "family"},
			{"--quota", "100GB", "--quota-period", "month"},
			{"--rate-down", "20mbit", "--devices", "2"},
			{"--expires", "5d", "--note", "pays in cash"},
		}[k%4]
		i.Must(append([]string{"users", "create", name}, flags...)...)
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
