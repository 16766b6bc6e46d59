package router_test

import (
	"net/netip"
	"slices"
	"testing"

	"vpn/internal/router"
)

// client returns the n-th client's address of one version of IP.
func client(tun router.Tunnel, v6 bool, n int) netip.Addr {
	for _, a := range tun.Addresses {
		if a.Addr().Is6() == v6 {
			out := a.Addr()
			for range n {
				out = out.Next()
			}
			return out
		}
	}
	return netip.Addr{}
}

// What a client sends arrives outside, and comes from the server.
func TestDatagramsReachTheInternet(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	changes := p.apply(t, tun)
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		if !slices.Contains(changes, router.Change{Name: name, Was: "0", Is: "1"}) {
			t.Errorf("it is not said that %s was changed: %v", name, changes)
		}
	}
	for i, to := range []string{outsideV4, outsideV6} {
		to := netip.MustParseAddr(to)
		d := datagram{client(tun, to.Is6(), 1), to, 1000 + uint16(i)}
		write(t, device, d.bytes())
		got := p.received(t, d.port)
		want := datagram{netip.MustParseAddr([]string{serverV4, serverV6}[i]), to, d.port}
		if !slices.Equal(got, []datagram{want}) {
			t.Errorf("outside arrives %v, want %v", got, want)
		}
	}
}
