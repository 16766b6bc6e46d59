package vpn_test

import (
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// What is taken for a host can stand in a link as it is.
func FuzzValidHost(f *testing.F) {
	for _, s := range []string{"vpn.example.com", "203.0.113.5", "2001:db8::1", "[::1]", "a b", "a\n", "fe80::1%eth0", "-a.example", "xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if err := vpn.ValidHost(host); err != nil {
			wantInvalid(t, err)
			return
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return
		}
		if len(host) > 253 || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			t.Errorf("%q is taken as a host", host)
		}
	})
}
