package vpn_test

import (
	"strings"
	"testing"

	"vpn/internal/vpn"
)

func TestValidDomainAndHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, c := range []struct {
		in           string
		domain, host bool
	}{
		{"example.com", true, true},
		{"WWW.Example.com", true, true},
		{"localhost", true, true},
		{"a-b.xn--p1ai", true, true},
		{"1.example.com", true, true},
		{long + "." + long + "." + long + "." + strings.Repeat("a", 61), true, true},
		{"203.0.113.7", false, true},
		{"2001:db8::7", false, true},
		{"", false, false},
		{"1.2.3", false, false},
		{"example.com.", false, false},
		{".example.com", false, false},
		{"a..b", false, false},
		{"-a.com", false, false},
		{"a-.com", false, false},
		{"a_b.com", false, false},
		{"*.example.com", false, false},
		{"example.com:443", false, false},
		{"[2001:db8::7]", false, false},
		{"fe80::1%eth0", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"::ffff:0.0.0.0", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
		{"255.255.255.255", false, false},
		{"пример.рф", false, false},
		{"example.com\n", false, false},
		{"exa mple.com", false, false},
		{"example.com/x", false, false},
		{"a@example.com", false, false},
		{long + "a.com", false, false},
		{long + "." + long + "." + long + "." + long, false, false},
	} {
		for what, got := range map[string]struct {
			err  error
			want bool
		}{
			"domain": {vpn.ValidDomain(c.in), c.domain},
			"host":   {vpn.ValidHost(c.in), c.host},
		} {
			if (got.err == nil) != got.want {
				t.Errorf("%q as a %s: %v", c.in, what, got.err)
			}
			if got.err != nil {
				wantInvalid(t, got.err)
			}
		}
	}
}
