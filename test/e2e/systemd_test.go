//go:build linux && e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Under systemd, users notice neither the crash of the control plane nor its
// restart; a stop ends everything, and a start brings it back.
func TestSystemd(t *testing.T) {
	const users = 6
	c := rig.Boot(t)
	w := c.World()
	c.Must(rig.Download, "service", "install", "--yes")
	c.Must("vpn", "server", "create", "main", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr,
		"--target", w.Site.Addr, "--server-name", rig.SiteName)
	var logins []rig.Login
	for k := range users {
		var change vpn.UserChange
		decode(t, c.Must("vpn", "users", "create", fmt.Sprint("u", k), "-o", "json"), &change)
		logins = append(logins, rig.Login{Link: rig.ParseLink(t, change.Access[0].Link)})
	}
	client := w.Xray(t, logins...)
	load := client.Load(t, 0, users)
	workers := c.Workers()
	if len(workers) != 1 {
		t.Fatalf("workers %v", workers)
	}
	unharmed := func(after string) {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error { return serves(t, c) })
		if err := load.Err(); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if now := c.Workers(); len(now) != 1 || now[0] != workers[0] {
			t.Fatalf("after %s: workers %v, it was %d", after, now, workers[0])
		}
	}
	unharmed("the start")
	if shown := c.Must("vpn", "server", "show", "main"); !strings.Contains(shown, "yes: the kernel keeps it from other files") {
		t.Errorf("in the unit's sandbox the worker is not confined:\n%s", shown)
	}

	// In its sandbox, too, the daemon sees a firewall that blocks a server.
	w.Server.Output(t, "nft", "add table inet guard; add chain inet guard in { type filter hook input priority 0; policy accept; }; "+
		"add rule inet guard in tcp dport 9999 drop")
	r := c.Run("vpn", "server", "create", "blocked", "--port", "9999", "--public-host", rig.ServerAddr, "--target", "self")
	if r.Status != 0 || !strings.Contains(r.Err, "blocks tcp port 9999") {
		t.Errorf("a blocked port: %+v", r)
	}
	c.Must("vpn", "server", "delete", "blocked", "--yes")
	unharmed("a server that came and went")

	for k := range 3 {
		before := mainPID(t, c)
		killed := rig.Monotonic(t)
		c.Must("systemctl", "kill", "--signal=KILL", "--kill-who=main", "vpn")
		rig.Until(t, 10*time.Second, func() error {
			if pid := mainPID(t, c); pid == 0 || pid == before {
				return fmt.Errorf("systemd has not started another control plane: %d", pid)
			}
			return nil
		})
		started := time.Duration(property(t, c, "ExecMainStartTimestampMonotonic")) * time.Microsecond
		if took := started - killed; took > time.Second && !rig.Slow() {
			t.Errorf("kill %d: systemd took %v to start another control plane", k, took)
		}
		unharmed(fmt.Sprintf("kill %d", k))
	}
	c.Must("systemctl", "restart", "vpn")
	unharmed("a restart")
	c.Must("systemctl", "reload", "vpn")
	unharmed("a reload")

	c.Must("systemctl", "stop", "vpn")
	if left := c.Workers(); len(left) > 0 {
		t.Errorf("after a stop: workers %v", left)
	}
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Errorf("after a stop: %v", err)
	}
	c.Must("systemctl", "start", "vpn")
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 0) })
}

func decode(t *testing.T, text string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
}

func mainPID(t *testing.T, c *rig.Container) int {
	t.Helper()
	return property(t, c, "MainPID")
}

func property(t *testing.T, c *rig.Container, name string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(c.Must("systemctl", "show", "vpn", "-P", name)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// serves returns nil if the daemon inside answers and its server runs.
func serves(t *testing.T, c *rig.Container) error {
	t.Helper()
	r := c.Run("vpn", "status", "-o", "json")
	if r.Status != 0 {
		return fmt.Errorf("vpn status: %s", r.Err)
	}
	var s vpn.Status
	decode(t, r.Out, &s)
	if !s.Daemon || len(s.Servers) != 1 || s.Servers[0].State != vpn.Running {
		return fmt.Errorf("status: %+v", s)
	}
	return nil
}
