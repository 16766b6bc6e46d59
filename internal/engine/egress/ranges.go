package egress

import (
	"net/netip"
	"slices"
)

// forbidden4 is every IPv4 range that is not out there on the internet. The
// documentation ranges are left out: nobody routes them, and tests use them
// as their internet.
var forbidden4 = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this host, RFC 1122
	netip.MustParsePrefix("10.0.0.0/8"),       // private, RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier NAT, RFC 6598; a metadata service
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's platform service, public in form only
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local, and most metadata services
	netip.MustParsePrefix("172.16.0.0/12"),    // private, RFC 1918; Docker's bridges
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments, RFC 6890; a metadata service
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays, RFC 7526
	netip.MustParsePrefix("192.168.0.0/16"),   // private, RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks, RFC 2544
	netip.MustParsePrefix("224.0.0.0/4"),      // multicast
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, and broadcast
}

// global6 is the only IPv6 space that leads anywhere, beside nat64. That
// leaves out loopback, unspecified, unique local, link-local, site-local and
// multicast addresses, ::a.b.c.d, ::ffff:0:a.b.c.d and the local NAT64 prefix
// 64:ff9b:1::/48.
var global6 = []netip.Prefix{netip.MustParsePrefix("2000::/3")}

// nat64 addresses have an IPv4 address in their last 32 bits, RFC 6052.
var nat64 = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96")}

// forbidden6 is what is not out there of the global unicast space.
var forbidden6 = []netip.Prefix{
	netip.MustParsePrefix("2001::/23"), // protocol assignments, RFC 2928: Teredo, benchmarks, ORCHID
	netip.MustParsePrefix("2002::/16"), // 6to4: IPv4 inside
}

// Ranges is the table that a [Guard] judges by, for packets that no code of
// ours sees: package router makes rules of the kernel's from it. An IPv4
// address may be reached unless Forbidden4 has it; one of NAT64 is judged by
// the IPv4 address in its last 32 bits; any other IPv6 address may be reached
// if Global6 has it and Forbidden6 does not.
type Ranges struct {
	Forbidden4, Global6, Forbidden6, NAT64 []netip.Prefix
}

// Table returns the ranges. The slices are the caller's.
func Table() Ranges {
	return Ranges{slices.Clone(forbidden4), slices.Clone(global6), slices.Clone(forbidden6), slices.Clone(nat64)}
}
