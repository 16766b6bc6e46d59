package inbound

import "net/netip"

// SourceNetwork returns what counts as one source: an IPv4 address, or the
// /64 of an IPv6 address.
func SourceNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
