package network

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"

	"vpn/internal/vpn"
)

// A Use is a range of addresses that something of this machine has already.
type Use struct {
	Prefix netip.Prefix
	By     string // such as "interface eth0", "a route by docker0" or "server wg"
}

// Taken returns an error of kind [vpn.Conflict] that names the use if subnet
// overlaps one of uses, in whole or in part.
func Taken(subnet netip.Prefix, uses []Use) error {
	for _, u := range uses {
		if u.Prefix.Overlaps(subnet) {
			return vpn.Errorf(vpn.Conflict, "subnet %s is taken by %s, which has %s", subnet, u.By, u.Prefix).
				WithHint("choose another, or leave it out and one that is free is taken")
		}
	}
	return nil
}

// Sizes of the subnets that are picked.
const (
	bits4 = 24
	bits6 = 64
)

// pickTries is how many random subnets are tried before all are.
const pickTries = 64

// private4 is where IPv4 subnets are picked from. 10/8 has 65,536 of them, and
// is what people expect; in 192.168/16 are the networks of homes, in 172.16/12
// Docker's, and 100.64/10 belongs to carriers and to Tailscale: whoever picks
// from one of those cuts clients off from a network that they are in.
var private4 = netip.MustParsePrefix("10.0.0.0/8")

// PickSubnet4 returns a random /24 of 10.0.0.0/8 that overlaps none of uses.
// The lower half of 10.0/16 and 10.1/16 are left out: routers, clouds and
// container networks begin to count there, and clients may be in one. The
// error is of kind [vpn.Conflict] if all are taken.
func PickSubnet4(uses []Use) (netip.Prefix, error) {
	at := func(n int) netip.Prefix {
		a := private4.Addr().As4()
		a[1], a[2] = byte(n>>8), byte(n) //nolint:gosec // n has 16 bits
		return netip.PrefixFrom(netip.AddrFrom4(a), bits4)
	}
	var b [2]byte
	for range pickTries {
		_, _ = rand.Read(b[:]) // never fails
		p := at(int(binary.BigEndian.Uint16(b[:])))
		if !crowded(p) && Taken(p, uses) == nil {
			return p, nil
		}
	}
	for n := range 1 << (bits4 - private4.Bits()) {
		if p := at(n); Taken(p, uses) == nil {
			return p, nil
		}
	}
	return netip.Prefix{}, vpn.Errorf(vpn.Conflict, "no IPv4 subnet is free in %s", private4).
		WithHint("give one of another range: 172.16.0.0/12 or 192.168.0.0/16")
}

// Private reports whether p is of those ranges that anybody may give to a
// network of their own: RFC 1918, RFC 4193, and RFC 6598 behind translators.
func Private(p netip.Prefix) bool {
	return slices.ContainsFunc([]netip.Prefix{
		private4,
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("fc00::/7"),
	}, func(of netip.Prefix) bool { return of.Bits() <= p.Bits() && of.Contains(p.Addr()) })
}

// crowded reports whether many networks elsewhere are likely to have p.
func crowded(p netip.Prefix) bool {
	return slices.ContainsFunc([]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/15"),   // routers at home, clouds
		netip.MustParsePrefix("10.8.0.0/16"),   // OpenVPN, WireGuard's how-tos
		netip.MustParsePrefix("10.10.0.0/16"),  // people
		netip.MustParsePrefix("10.42.0.0/15"),  // K3s
		netip.MustParsePrefix("10.88.0.0/16"),  // Podman
		netip.MustParsePrefix("10.96.0.0/12"),  // Kubernetes' services
		netip.MustParsePrefix("10.244.0.0/16"), // Kubernetes' pods
	}, p.Overlaps)
}

// PickSubnet6 returns a random unique local /64, RFC 4193: fd, 40 random bits
// of a site's and 16 of a subnet's. Nobody else in the world is likely to have
// it, and none of uses does.
func PickSubnet6(uses []Use) netip.Prefix {
	for {
		var a [16]byte
		_, _ = rand.Read(a[1:8]) // never fails
		a[0] = 0xfd
		if p := netip.PrefixFrom(netip.AddrFrom16(a), bits6); Taken(p, uses) == nil {
			return p
		}
	}
}
