//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Under systemd: a reload is refused with its reason, an upgrade is one
// process to systemd, and a control plane that hangs is replaced. Users notice
// none of it.
func TestSystemdSeesADaemonsLife(t *testing.T) {
	t.Parallel()
	const users = 4
	watchdog := 3 * time.Second
	if rig.Slow() { // it has to start within that, too
		watchdog *= 3
	}
	c := rig.Boot(t)
	w := c.World()
	inside(t, c, "etc/systemd/system/vpn.service.d/life.conf", fmt.Sprintf("[Service]\nWatchdogSec=%.0f\n", watchdog.Seconds()))
	c.Must(rig.Download, "service", "install", "--yes")
	c.Must("vpn", "server", "create", "main", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr,
		"--target", w.Site.Addr, "--server-name", rig.SiteName)
	var logins []rig.Login
	for k := range users {
		var change vpn.UserChange
		decode(t, c.Must("vpn", "users", "create", fmt.Sprint("u", k), "-o", "json"), &change)
		logins = append(logins, rig.Login{Link: rig.ParseLink(t, change.Access[0].Link)})
	}
	load := w.Xray(t, logins...).Load(t, 0, users)
	worker := c.Workers()[0]
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", worker))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_", "INVOCATION_ID", "LISTEN_"} {
		if strings.Contains(string(env), name) {
			t.Errorf("the worker has %s in its environment", name)
		}
	}
	main := mainPID(t, c)
	show := func(property string) string {
		return strings.TrimSpace(c.Must("systemctl", "show", "vpn", "-P", property))
	}
	unharmed := func(after string) {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error { return serves(t, c) })
		if err := load.Err(); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if now := c.Workers(); len(now) != 1 || now[0] != worker {
			t.Fatalf("after %s: workers %v, it was %d", after, now, worker)
		}
	}
	rig.Until(t, 15*time.Second, func() error {
		if text := show("StatusText"); text != fmt.Sprintf("1 of 1 server running, %d users online", users) {
			return fmt.Errorf("the status is %q", text)
		}
		return nil
	})

	inside(t, c, "etc/vpn/config.yaml", "log_level: debug\npublic_hots: x\n")
	if r := c.Run("systemctl", "reload", "vpn"); r.Status == 0 {
		t.Error("a broken configuration: the reload is called a success")
	}
	c.Must("systemctl", "kill", "--signal=HUP", "--kill-who=main", "vpn")
	rig.Until(t, 10*time.Second, func() error {
		if text := show("StatusText"); !strings.Contains(text, "config.yaml:2: unknown key") {
			return fmt.Errorf("a broken configuration: the status is %q", text)
		}
		return nil
	})
	inside(t, c, "etc/vpn/config.yaml", "log_level: debug\n")
	c.Must("systemctl", "kill", "--signal=HUP", "--kill-who=main", "vpn")
	rig.Until(t, 10*time.Second, func() error {
		if log := c.Must("journalctl", "-u", "vpn", "--no-pager"); !strings.Contains(log, `msg="configuration read" changed=[log_level]`) {
			return fmt.Errorf("the configuration was not read again")
		}
		return nil
	})
	unharmed("a reload")

	for _, version := range []string{"2.22.2", "3.33.3", "2.22.2"} {
		b, err := os.ReadFile(rig.Version(t, version))
		if err != nil {
			t.Fatal(err)
		}
		inside(t, c, "root/vpn-new", string(b))
		c.Must("vpn", "upgrade", "/root/vpn-new")
		if now, state := mainPID(t, c), show("ActiveState"); now != main || state != "active" || show("NRestarts") != "0" {
			t.Errorf("upgrade to %s: pid %d, %s; it was %d", version, now, state, main)
		}
		unharmed("an upgrade to " + version)
	}
	if !strings.HasPrefix(c.Must("vpn", "version", "-q"), "2.22.2") {
		t.Error("the last version is not installed")
	}

	// A version that cannot even be started is taken back, and systemd starts
	// the one before.
	lame, err := os.ReadFile(rig.Lame(t, "3.33.3"))
	if err != nil {
		t.Fatal(err)
	}
	inside(t, c, "root/vpn-new", string(lame))
	done := make(chan rig.Result, 1)
	go func() { done <- c.Run("vpn", "upgrade", "/root/vpn-new") }()
	rig.Until(t, 20*time.Second, func() error {
		log := c.Run("journalctl", "-u", "vpn", "-n", "1", "-o", "cat", "--no-pager").Out
		if !strings.Contains(log, "upgrade failed") {
			return fmt.Errorf("the last line is %q", log)
		}
		return nil
	})
	if r := <-done; r.Status != 6 || !strings.Contains(r.Err, "the upgrade to version 3.33.3") {
		t.Errorf("a version that fails: %+v", r)
	}
	if now := mainPID(t, c); now != main {
		t.Errorf("after a version that fails: pid %d, it was %d", now, main)
	}
	unharmed("a version that fails")

	// A process that is stopped can say nothing.
	c.Must("systemctl", "kill", "--signal=STOP", "--kill-who=main", "vpn")
	rig.Until(t, 30*time.Second, func() error {
		if now := mainPID(t, c); now == 0 || now == main {
			return fmt.Errorf("the control plane that hangs is still there: %d", now)
		}
		return nil
	})
	unharmed("the watchdog")
	main = mainPID(t, c)
	rig.Throughout(t, watchdog+2*time.Second, func() error {
		if now := mainPID(t, c); now != main {
			return fmt.Errorf("a control plane that works was replaced: %d, it was %d", now, main)
		}
		return nil
	})
	load.Stop(t)
	c.Must("systemctl", "stop", "vpn")
	if left := c.Workers(); len(left) > 0 {
		t.Errorf("after a stop: workers %v", left)
	}
}

// inside writes a file in the container.
func inside(t *testing.T, c *rig.Container, name, text string) {
	t.Helper()
	path := filepath.Join(c.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
