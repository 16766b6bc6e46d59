//go:build linux && e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

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
	cut := make(chan error, 1)
	go func() { cut <- conn.Download(1<<40, 5_000_000) }()
	tm := openTUI(t, i, 120, 48, "tui")
	tm.Want("1 Dashboard", "1/1 up", "MB/s", "main", "online now 1, 1 connection")
	if got := strings.TrimSpace(i.Must("users", "list", "--online", "-q")); got != "u0" {
		t.Errorf("online is %q", got)
	}

	tm.Press("2").Want("▌ u0") // which the dashboard does not have
	link := strings.TrimSpace(i.Must("users", "link", "u0", "-q"))
	tm.Press("y").Want("sent to your terminal's clipboard")
	rig.Until(t, 10*time.Second, func() error { // it comes behind the picture that says so
		if got := tm.Clipboard(); got != link {
			return fmt.Errorf("the clipboard has %q, the link is %q", got, link)
		}
		return nil
	})
	tm.Press("r").Want("save as PNG")
	file := filepath.Join(t.TempDir(), "screen.png")
	tm.Picture(file, true)
	if got := scan(t, []byte(readFile(t, file))); got != link {
		t.Errorf("a phone reads %q, the link is %q", got, link)
	}

	tm.Press("Escape").Gone("save as PNG").Press("K").Want("Kick", "= vpn users kick u0").Press("y")
	select {
	case <-cut:
	case <-time.After(10 * time.Second): // it takes milliseconds, but for a machine that is very busy
		t.Error("a kick ends no connection")
	}

	tm.Press("n").Want("New user").Type("bob").Want("vpn users create bob").Press("Enter").Want("bob is created")
	exists := func(name string, want bool) {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error {
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
	rig.Signal(t, tm.PID(), 15)
	if status := tm.Ended(); status != "0" {
		t.Errorf("asked to end, it ends with status %s", status)
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
