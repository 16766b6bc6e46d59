package router

import (
	"net/netip"
	"slices"
)

// A span is a range of addresses, both ends included.
type span struct{ first, last netip.Addr }

// spans returns what prefixes cover of one version of IP, in order and
// without overlaps: the kernel's sets of ranges do not take those.
func spans(prefixes []netip.Prefix, v6 bool) []span {
	var all []span
	for _, p := range prefixes {
		if p.Addr().Is6() == v6 {
			all = append(all, span{p.Masked().Addr(), last(p)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.first.Compare(b.first) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && (s.first.Compare(out[n-1].last) <= 0 || s.first == out[n-1].last.Next()) {
			if s.last.Compare(out[n-1].last) > 0 {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// last returns the highest address of p.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// plain returns a prefix of IPv4-mapped addresses as one of IPv4, like the
// guard in package egress.
func plain(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p
}
