//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// benchWireGuard measures the product's tunnels against wireguard-go with a
// masquerade of nft. Each server is on a host of its own, since what one does
// to the host's forwarding would slow down the other's packets; the hosts, and
// the phones that come, are alike.
func benchWireGuard(t *testing.T, r *report) {
	for _, carrier := range []string{"tun", "userspace"} {
		x := tunnel(t, 1, "--carrier", carrier, "--subnet", "10.77.0.0/16")
		var detail vpn.ServerDetail
		x.JSON(&detail, "server", "show", "wg")
		if w := detail.Worker; w == nil || w.Carrier != carrier {
			t.Fatalf("carried by %+v, not %s", detail.Worker, carrier)
		}
		w := rig.NewWorld(t)
		bare := rig.NewBareWireGuard(t, w, wgPort)
		lines := tunnels{{x.World, x.phones[0]}, {w, w.Phone(t, 0, bare.File())}}
		name := "WireGuard, " + carrier
		b := newRace(t, r, lines, name+", wireguard-go", contender{0, x.OneWorker()}, contender{1, bare.PID()})
		b.size = 64 << 20
		all := []named{{"ours", b.ours}, {"wireguard-go", b.theirs}}
		for _, c := range all {
			memoryOf(t, r, name+": memory (PSS), one silent device, "+c.name, c.contender)
		}
		if carrier == "userspace" {
			b.goal = 0 // it does what the kernel does for the other
		}
		b.transfer(false)
		b.transfer(true)
		for _, c := range all {
			memoryOf(t, r, name+": memory (PSS) right after these, "+c.name, c.contender)
		}
	}
}

// benchDevices measures what a WireGuard server keeps for devices that it
// knows, and that have not come. The bare one knows a phone beside these.
func benchDevices(t *testing.T, r *report) {
	const devices = 1000
	const settle = 5 * time.Second
	x := tunnel(t, 0, "--carrier", "tun", "--subnet", "10.77.0.0/16")
	bare := rig.NewBareWireGuard(t, x.World, wgPort+1)
	measure := func(when string) {
		pause(t.Context(), settle)
		for _, c := range []named{{"ours", contender{pid: x.OneWorker()}}, {"wireguard-go", contender{pid: bare.PID()}}} {
			memoryOf(t, r, "WireGuard: memory (PSS), "+when+", "+c.name, c.contender)
		}
	}
	measure("no devices")
	growth(t, x.Instance, devices)
	bare.Peers(t, devices)
	measure(fmt.Sprintf("%d devices just created", devices))
	x.Must("server", "restart", "wg", "--yes")
	x.Ready()
	measure(fmt.Sprintf("%d devices, ours after a restart", devices))
}

// memoryOf adds a row about what a server has.
func memoryOf(t *testing.T, r *report, what string, c contender) {
	t.Helper()
	n, err := rig.FamilyMemory(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	r.size(t, what, 0, n)
}

// tunnels are phones, each with its world.
type tunnels []struct {
	world *rig.World
	phone *rig.Phone
}

// Open connects the i-th phone to its world's transfer server.
func (ts tunnels) Open(ctx context.Context, i int, _ bool) (*xfer.Conn, error) {
	return ts[i].phone.Open(ctx, ts[i].world)
}
