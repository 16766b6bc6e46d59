//go:build linux && e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// In the service's sandbox, too, a WireGuard server has its device, the host
// forwards, and the worker has no capability; a stop leaves no rules.
func TestTunnelInTheService(t *testing.T) {
	t.Parallel()
	c := rig.Boot(t)
	x := &tunnelled{Instance: &rig.Instance{World: c.World()}}
	x.World.Resolver(t)
	x.whoAmI(t)
	c.Must(rig.Download, "service", "install", "--yes")
	c.Must("vpn", "server", "create", "wg", "--protocol", "wireguard", "--carrier", "tun", "--port", strconv.Itoa(wgPort),
		"--public-host", rig.ServerAddr, "--dns", rig.OutsideAddr)
	var change vpn.UserChange
	decode(t, c.Must("vpn", "users", "create", "alice", "-o", "json"), &change)
	var shown vpn.ServerDetail
	decode(t, c.Must("vpn", "server", "show", "wg", "-o", "json"), &shown)
	text := fmt.Sprint(shown.Warnings)
	if strings.Contains(text, "user space") || !strings.Contains(text, "net.ipv6.conf.all.forwarding=1 (was 0)") {
		t.Errorf("server show says %s", text)
	}
	x.wantInternet(t, x.World.Phone(t, 0, change.Access[0].File.Text))
	// The sandbox lets it see the firewall, rules of legacy iptables included.
	blocked := func() int { return len(aboutTunnels(c.Run("vpn", "status").Err)) }
	x.World.Server.Output(t, "iptables-legacy", "-P", "FORWARD", "DROP")
	if n := blocked(); n != 1 {
		t.Errorf("status names %d firewalls that block, not 1", n)
	}
	x.World.Server.Output(t, "iptables-legacy", "-P", "FORWARD", "ACCEPT")
	if n := blocked(); n != 0 {
		t.Errorf("status names %d firewalls that block, and none does", n)
	}
	status := c.Must("sh", "-c", fmt.Sprintf("grep CapPrm /proc/%d/status", shown.Worker.PID))
	if !strings.Contains(status, "0000000000000000") {
		t.Errorf("the worker has capabilities: %s", status)
	}
	if !strings.Contains(x.tables(t), "inet vpn-") {
		t.Error("there are no rules")
	}
	c.Must("systemctl", "stop", "vpn")
	if tables := x.tables(t); tables != "" {
		t.Errorf("after a stop there are %s", tables)
	}
}
