//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A host's own firewall that keeps clients out is named with the command that
// opens the port, wherever one looks; the command does it; then nothing is
// said any more.
func TestFirewallsThatBlockAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(*testing.T, *rig.Host)
		open string // %d stands for the port
	}{
		{"nftables", setNftables, "nft insert rule inet filter input tcp dport %d accept"},
		{"ufw", setUFW, "ufw allow %d/tcp"},
		{"ufw, denied by rules", denyByUFW, "ufw prepend allow %[1]d/tcp && ufw allow %[1]d/tcp"},
		{"firewalld", setFirewalld, "firewall-cmd --zone=public --add-port=%[1]d/tcp && firewall-cmd --zone=public --add-port=%[1]d/tcp --permanent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i, logins := install(t, 1)
			client := i.World.Xray(t, logins...)
			if err := works(t, client, 0); err != nil {
				t.Fatal(err)
			}
			if s, err := i.Status(); err != nil || len(s.Warnings) != 0 {
				t.Fatalf("without a firewall: %q, %v", s.Warnings, err)
			}
			c.set(t, i.World.Server)
			if works(t, client, 0) == nil {
				t.Fatal("the firewall does not block")
			}
			open := fmt.Sprintf(c.open, port)
			wantBlocked(t, i, open)

			r := i.Run("server", "create", "second", "--port", strconv.Itoa(port+1), "--public-host", rig.ServerAddr,
				"--target", i.World.Site.Addr, "--server-name", rig.SiteName)
			other := fmt.Sprintf(c.open, port+1)
			if r.Status != 0 || strings.Count(r.Err, other+"\n") != 1 {
				t.Errorf("server create says %d:\n%s\nwant: %s", r.Status, r.Err, other)
			}

			i.World.Server.Output(t, "sh", "-c", open)
			i.World.Server.Output(t, "sh", "-c", other)
			if s, err := i.Status(); err != nil || len(s.Warnings) != 0 {
				t.Errorf("the ports are open, and this is said: %q, %v", s.Warnings, err)
			}
			if err := works(t, client, 0); err != nil {
				t.Errorf("after %s: %v", open, err)
			}
		})
	}
}

// wantBlocked looks wherever it has to be said, and said once.
func wantBlocked(t *testing.T, i *rig.Instance, open string) {
	t.Helper()
	one := func(where string, warnings []string) {
		t.Helper()
		if len(warnings) != 1 || !strings.HasSuffix(warnings[0], ": "+open) {
			t.Errorf("%s says %q, want: %s", where, warnings, open)
		}
	}
	var status vpn.Status
	i.JSON(&status, "status")
	one("status", status.Warnings)
	var shown vpn.ServerDetail
	i.JSON(&shown, "server", "show", "main")
	one("server show", shown.Warnings)
	var started vpn.ServerChange
	i.JSON(&started, "server", "start", "main")
	one("server start", started.Warnings)
	for _, args := range [][]string{{"status"}, {"server", "show", "main"}, {"server", "start", "main"}, {"up"}} {
		if r := i.Run(args...); strings.Count(r.Err, open+"\n") != 1 {
			t.Errorf("%s tells a person:\n%s\nwant: %s", strings.Join(args, " "), r.Err, open)
		}
	}
}

func setNftables(t *testing.T, h *rig.Host) {
	h.Output(t, "nft", `table inet filter {
		chain input { type filter hook input priority 0; policy drop
			iif lo accept
			ct state established,related accept
			meta l4proto { icmp, ipv6-icmp } accept
			tcp dport 22 accept
		}
	}`)
}

// setUFW turns ufw on, with a configuration of this host alone.
func setUFW(t *testing.T, h *rig.Host) {
	dir := t.TempDir()
	if out, err := exec.Command("cp", "-a", "/etc/ufw/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\nhint: make deps", err, out)
	}
	h.Bind(t, dir, "/etc/ufw")
	h.Output(t, "ufw", "allow", "22/tcp")
	h.Output(t, "ufw", "--force", "enable")
}

func denyByUFW(t *testing.T, h *rig.Host) {
	setUFW(t, h)
	h.Output(t, "ufw", "deny", fmt.Sprintf("%d/tcp", port))
	h.Output(t, "ufw", "deny", fmt.Sprintf("%d:%d/tcp", port+1, port+9))
}

// setFirewalld runs firewalld, and the bus that it needs, on this host alone.
func setFirewalld(t *testing.T, h *rig.Host) {
	if _, err := os.Stat("/usr/sbin/firewalld"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("firewalld is not installed, and installing it here would start it")
		}
		t.Fatalf("%v\nhint: make deps", err)
	}
	etc, bus := t.TempDir(), t.TempDir()
	if out, err := exec.Command("cp", "-a", "/etc/firewalld/.", etc).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.MkdirAll("/run/dbus", 0o755); err != nil {
		t.Fatal(err)
	}
	h.Bind(t, etc, "/etc/firewalld")
	h.Bind(t, bus, "/run/dbus")
	h.Spawn(t, nil, "/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile")
	rig.Until(t, 10*time.Second, func() error {
		_, err := os.Stat(bus + "/system_bus_socket")
		return err
	})
	h.Spawn(t, nil, "/usr/sbin/firewalld", "--nofork", "--nopid")
	rig.Until(t, 30*time.Second, func() error {
		cmd := exec.Command("firewall-cmd", "--state")
		if err := h.Start(cmd); err != nil {
			return err
		}
		return cmd.Wait()
	})
}
