package vpn

import (
	"net/netip"
)

var domain = pattern(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// ValidDomain returns an [Invalid] error unless name is a DNS name, in ASCII
// and without a dot at its end.
func ValidDomain(name string) error {
	if len(name) <= 253 && domain().MatchString(name) {
		return nil
	}
	return Errorf(Invalid, "%s is not a domain name", quoted(name)).
		WithHint("write it like www.example.com, and an international name in its xn-- form")
}

// ValidHost returns an [Invalid] error unless host is a DNS name or an
// address that can be dialed from elsewhere: no port, no brackets, no zone.
func ValidHost(host string) error {
	if ValidDomain(host) == nil {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		if a := a.Unmap(); a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return Errorf(Invalid, "%s is no single machine's address", quoted(host)).
				WithHint("take the one by which the machine is reached, like 203.0.113.7")
		}
		return nil
	}
	return Errorf(Invalid, "%s is neither a domain name nor an address", quoted(host)).
		WithHint("write it like vpn.example.com, 203.0.113.7 or 2001:db8::7, without a port")
}
