//go:build linux && e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

var pictures = flag.String("pictures", "", "write pictures of the terminal UI into this directory, and test nothing else")

// openTUI opens the terminal UI of an installation, as root on its host does.
func openTUI(t *testing.T, i *rig.Instance, width, height int, args ...string) *rig.Terminal {
	t.Helper()
	home := t.TempDir()
	return rig.OpenTerminal(t, width, height, []string{"HOME=" + home, "XDG_CONFIG_HOME=", "VPN_DATA_DIR=" + i.Data}, append([]string{i.Bin}, args...)...)
}

// What a person sees is true, and what one does is done.
func TestTUI(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	conn := i.World.Xray(t, logins...).MustOpen(t, 0, false)
	go func() { _ = conn.Download(1<<40, 5_000_000) }()
	tm := openTUI(t, i, 120, 48, "tui")
	tm.Want("1 Dashboard", "1/1 up", "MB/s", "main")

	tm.Press("2").Want("u0", "active")
	link := strings.TrimSpace(i.Must("users", "link", "u0", "-q"))
	tm.Press("y").Want("sent to your terminal's clipboard")
	if got := tm.Clipboard(); got != link {
		t.Errorf("the clipboard has %q, the link is %q", got, link)
	}
	tm.Press("r").Want("save as PNG")
	file := filepath.Join(t.TempDir(), "screen.png")
	tm.Picture(file, true)
	if got := scan(t, []byte(readFile(t, file))); got != link {
		t.Errorf("a phone reads %q, the link is %q", got, link)
	}

	tm.Press("Escape").Gone("save as PNG").Press("K").Want("Kick", "= vpn users kick u0").Press("y")
	if !conn.Ended(3 * time.Second) {
		t.Error("a kick ends no connection")
	}

	tm.Press("n").Want("New user").Type("bob").Want("vpn users create bob").Press("Enter").Want("bob is created")
	exists := func(name string, want bool) {
		t.Helper()
		rig.Until(t, 5*time.Second, func() error {
			users, err := i.Users()
			if _, is := users[name]; err == nil && is != want {
				err = fmt.Errorf("user %s exists: %v", name, is)
			}
			return err
		})
	}
	exists("bob", true)
	tm.Press("/").Type("bob").Press("Enter").Gone("u0 ").Press("d").Want("Delete", "bob").Press("y")
	exists("bob", false)
	tm.Want("bob is deleted").Press("u")
	exists("bob", true)

	// What others do is seen too.
	tm.Press("Escape").Press("Escape").Press("Escape").Press("2")
	i.Must("users", "create", "carol")
	tm.Want("carol")

	tm.Press("5").Want("worker runs")
	tm.Press("q")
	if status := tm.Ended(); status != "0" {
		t.Errorf("it ends with status %s", status)
	}
}

// The daemon may go and come back under it; where none is, it starts one.
func TestTUIWithoutADaemon(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	tm := openTUI(t, i, 100, 30) // "vpn" alone
	tm.Want("No daemon answers", "start one now").Press("Enter").Want("a daemon is running", "1/1 up")
	s, err := i.Status()
	if err != nil || !s.Daemon {
		t.Fatalf("%+v, %v", s, err)
	}
	i.Must("users", "create", "alice")
	tm.Press("2").Want("alice")
	rig.Signal(t, s.PID, 9)
	tm.Want("data is").Want("alice")
	i.Serve()
	tm.Gone("data is")
	i.Must("users", "create", "bob")
	tm.Want("bob")
}

func TestTUIWithoutColours(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 3)
	tm := rig.OpenTerminal(t, 80, 24, []string{"NO_COLOR=1", "VPN_DATA_DIR=" + i.Data, "HOME=" + t.TempDir()}, i.Bin, "tui")
	tm.Press("2").Want("▌", "● active")
	if codes := tm.Codes(); strings.Contains(codes, "38;") || strings.Contains(codes, "48;") {
		t.Errorf("there are colours: %q", codes)
	}
	// A program without a terminal, and one in CI, get no screen.
	if res := i.Run(); !strings.Contains(res.Out, "vpn users create") {
		t.Errorf("vpn alone: %+v", res)
	}
}

// Names and notes of others reach the terminal as text alone.
func TestTUIOfHostileNames(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 1)
	var c vpn.UserChange
	note := "مرحبا 漢字 " + strings.Repeat("long ", 30)
	if err := i.API(t.Context(), "POST", "/v1/users", vpn.NewUser{Name: "eve", Note: note}, &c); err != nil {
		t.Fatal(err)
	}
	tm := openTUI(t, i, 120, 40, "tui")
	tm.Press("2").Want("eve").Press("g").Want("漢字")
	for _, size := range [][2]int{{60, 18}, {80, 24}, {200, 60}, {40, 10}, {120, 40}} {
		tm.Resize(size[0], size[1]).Want("up")
	}
	tm.Want("eve")
}

// TestPictures takes pictures for the documents, by test/pictures. It needs an
// installation that looks like one.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("not asked for: test/pictures")
	}
	i, logins := install(t, 4)
	fleet(t, i)
	client := i.World.Xray(t, logins...)
	for k, rate := range []uint64{2_000_000, 700_000, 300_000, 90_000} {
		conn := client.MustOpen(t, k, k%2 == 0)
		go func() { _ = conn.Download(1<<40, rate) }()
	}
	pause(t.Context(), 100*time.Second) // for a chart with something in it
	for _, theme := range []string{"dark", "light"} {
		for _, size := range [][2]int{{60, 18}, {80, 24}, {120, 40}} {
			tm := openTUI(t, i, size[0], size[1], "tui", "--theme", theme)
			tm.Want("up")
			for k, name := range []string{"dashboard", "users", "servers", "monitor", "logs", "settings"} {
				tm.Press(fmt.Sprint(k + 1))
				pause(t.Context(), 2500*time.Millisecond)
				tm.Picture(filepath.Join(*pictures, fmt.Sprintf("%s-%dx%d-%s.png", name, size[0], size[1], theme)), theme == "dark")
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
			} {
				tm.Press("Escape", "Escape", "Escape").Press(x[1:]...)
				pause(t.Context(), time.Second)
				tm.Picture(filepath.Join(*pictures, fmt.Sprintf("%s-%dx%d-%s.png", x[0], size[0], size[1], theme)), theme == "dark")
			}
			tm.Press("Escape").Press("Escape").Press("C-c")
		}
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
