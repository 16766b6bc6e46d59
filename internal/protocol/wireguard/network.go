package wireguard

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"

	"vpn/internal/vpn"
)

// A Network is a server's two subnets. The server has the first address of
// each, and the device of slot n the one that is n after that.
type Network struct{ Four, Six netip.Prefix }

// reserved is how many addresses of a subnet are no device's in front of
// them: the subnet's own and the server's.
const reserved = 2

// The sizes that subnets may have: room for some devices, and no more than
// anybody needs.
const (
	minBits4, maxBits4 = 8, 29
	minBits6, maxBits6 = 32, 112
)

// Network returns the subnets of s, each the zero prefix if it is not chosen.
func (s Settings) Network() (Network, error) {
	var n Network
	var err error
	if s.Subnet != "" {
		if n.Four, err = subnet(s.Subnet, minBits4, maxBits4); err != nil || !n.Four.Addr().Is4() {
			return Network{}, badSubnet(s.Subnet, "an IPv4", minBits4, maxBits4, "10.7.0.0/16")
		}
	}
	if s.Subnet6 != "" {
		if n.Six, err = subnet(s.Subnet6, minBits6, maxBits6); err != nil || !n.Six.Addr().Is6() || n.Six.Addr().Is4In6() {
			return Network{}, badSubnet(s.Subnet6, "an IPv6", minBits6, maxBits6, "fd12:3456:789a::/64")
		}
	}
	return n, nil
}

func subnet(text string, least, most int) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a := p.Addr()
	if p != p.Masked() || p.Bits() < least || p.Bits() > most || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return netip.Prefix{}, strconv.ErrRange
	}
	return p, nil
}

func badSubnet(text, kind string, least, most int, example string) error {
	return vpn.Errorf(vpn.Invalid, "%s is not %s subnet for devices", strconv.Quote(text), kind).
		WithHint("write it like %s, without bits set behind the slash, from /%d to /%d", example, least, most)
}

// Gateway returns the server's addresses.
func (n Network) Gateway() (four, six netip.Addr) { return n.Four.Addr().Next(), n.Six.Addr().Next() }

// Device returns the addresses of the device of a slot, and whether the
// subnets have any.
func (n Network) Device(slot uint32) (four, six netip.Addr, ok bool) {
	if slot >= n.Seats() {
		return netip.Addr{}, netip.Addr{}, false
	}
	b4, b6 := n.Four.Addr().As4(), n.Six.Addr().As16()
	binary.BigEndian.PutUint32(b4[:], binary.BigEndian.Uint32(b4[:])+reserved+slot)
	// The rest of an IPv6 subnet is larger than any slot.
	low := binary.BigEndian.Uint64(b6[8:])
	binary.BigEndian.PutUint64(b6[8:], low+reserved+uint64(slot))
	return netip.AddrFrom4(b4), netip.AddrFrom16(b6), true
}

// Seats returns how many devices there are addresses for: as many as in the
// smaller subnet, whose last address is nobody's.
func (n Network) Seats() uint32 {
	if !n.Four.IsValid() || !n.Six.IsValid() {
		return 0
	}
	bits := min(32-n.Four.Bits(), 128-n.Six.Bits(), 31)
	return uint32(min(int64(1)<<bits-reserved-1, math.MaxUint32))
}
