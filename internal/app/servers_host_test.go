package app_test

import (
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// homeNetwork is a machine behind a router.
type homeNetwork struct {
	quietNetwork
	addr string
}

func (n homeNetwork) DefaultAddr() (netip.Addr, bool) { return netip.MustParseAddr(n.addr), true }

func TestAPrivateAddressInTheLinksIsToldOf(t *testing.T) {
	for addr, private := range map[string]bool{
		"192.168.1.5": true, "10.0.0.1": true, "172.31.9.9": true, "100.64.3.2": true, "127.0.0.1": true,
		"169.254.1.1": true, "fd00::1": true, "fe80::1": true, "::ffff:10.0.0.1": true,
		"203.0.113.5": false, "172.32.0.1": false, "100.128.0.1": false, "2001:db8::1": false,
	} {
		t.Run(addr, func(t *testing.T) {
			b := newBench(t)
			b.network = homeNetwork{addr: addr}
			b.reset()
			c, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "main", Settings: []byte(`{"target":"self"}`)})
			if err != nil {
				t.Fatal(err)
			}
			status, err := b.app.System.Status(b.ctx)
			if err != nil {
				t.Fatal(err)
			}
			for what, warnings := range map[string][]string{"create": c.Warnings, "status": status.Warnings} {
				if told := strings.Contains(strings.Join(warnings, "\n"), "is private: clients elsewhere cannot reach it"); told != private {
					t.Errorf("%s with the address %s warns: %q", what, addr, warnings)
				}
			}
			named, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "named", PublicHost: "vpn.example.com", Port: 9000, Settings: []byte(`{"target":"self"}`)})
			if err != nil || strings.Contains(strings.Join(named.Warnings, "\n"), "private") {
				t.Errorf("with a public host: %v, %v", named.Warnings, err)
			}
			local, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "local", PublicHost: "localhost", Port: 9001, Settings: []byte(`{"target":"self"}`)})
			if err != nil || !strings.Contains(strings.Join(local.Warnings, "\n"), "localhost, is private") {
				t.Errorf("with localhost as its public host: %v, %v", local.Warnings, err)
			}
		})
	}
}
