// Package wireguard is WireGuard on paper: its settings, keys, addresses and
// the files that clients read.
//
// A credential is one device: WireGuard lets one pair of keys be used from one
// place at a time. Its secret is the device's private key and a key shared
// with the server; its addresses follow from its slot, so that they stay the
// same whoever comes or goes.
//
// Which IPv4 subnet collides with nothing is found out by looking at the
// machine; this package does no I/O.
package wireguard

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Name is the protocol's name.
const Name vpn.Protocol = "wireguard"

// Protocol implements [protocol.Protocol].
type Protocol struct{}

var (
	_ protocol.Protocol = Protocol{}
	_ protocol.Reviser  = Protocol{}
	_ protocol.Dropper  = Protocol{}
	_ protocol.Seater   = Protocol{}
	_ protocol.Tunneler = Protocol{}
)

// Name implements [protocol.Protocol].
func (Protocol) Name() vpn.Protocol { return Name }

// Networks implements [protocol.Protocol].
func (Protocol) Networks() []string { return []string{"udp"} }

// Fields implements [protocol.Protocol].
func (Protocol) Fields() []protocol.Field { return protocol.FieldsOf(Settings{}) }

// Ports implements [protocol.Protocol].
func (Protocol) Ports() []uint16 { return []uint16{51820} }

// Prepare implements [protocol.Protocol]. The IPv4 subnet must have been
// chosen, because choosing takes a look at the machine; an IPv6 one is drawn
// as RFC 4193 wants it.
func (Protocol) Prepare(s vpn.Server) (vpn.Server, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Server{}, err
	}
	if err := set.complete(); err != nil {
		return vpn.Server{}, err
	}
	keys, err := ParseKeys(s.Private)
	if err != nil {
		return vpn.Server{}, err
	}
	if keys.PrivateKey.IsZero() {
		keys.PrivateKey = NewPrivateKey()
		private, err := json.Marshal(keys)
		if err != nil {
			return vpn.Server{}, fmt.Errorf("encode keys: %w", err)
		}
		s.Private = vpn.NewSecret(string(private))
	}
	set.PublicKey = keys.PrivateKey.Public().String()
	if s.Settings, err = json.Marshal(set); err != nil {
		return vpn.Server{}, fmt.Errorf("encode settings: %w", err)
	}
	return s, nil
}

// Mint implements [protocol.Protocol].
func (Protocol) Mint(vpn.Server) (vpn.Secret, error) {
	b, err := json.Marshal(Secret{PrivateKey: NewPrivateKey(), PresharedKey: NewPresharedKey()})
	if err != nil {
		return vpn.Secret{}, fmt.Errorf("encode a device's keys: %w", err)
	}
	return vpn.NewSecret(string(b)), nil
}

// Seats implements [protocol.Seater]: how many devices the subnets have
// addresses for.
func (Protocol) Seats(s vpn.Server) (uint32, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return 0, err
	}
	n, err := set.Network()
	return n.Seats(), err
}

// Tunnel implements [protocol.Tunneler].
func (Protocol) Tunnel(s vpn.Server) (*vpn.Tunnel, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return nil, err
	}
	if set.Carrier == Userspace {
		return nil, nil
	}
	n, err := set.Network()
	if err != nil {
		return nil, err
	}
	four, six := n.Gateway()
	return &vpn.Tunnel{
		Addresses: []netip.Prefix{netip.PrefixFrom(four, n.Four.Bits()), netip.PrefixFrom(six, n.Six.Bits())},
		MTU:       set.MTUBytes(),
		Asked:     set.Carrier == TUN,
	}, nil
}

// Revise implements [protocol.Reviser]. Another subnet has to be looked at.
func (Protocol) Revise(s vpn.Server, changes json.RawMessage) (vpn.Server, bool, error) {
	was, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Server{}, false, err
	}
	raw, err := protocol.MergeSettings(s.Settings, changes)
	if err != nil {
		return vpn.Server{}, false, err
	}
	is, err := ParseSettings(raw)
	if err != nil {
		return vpn.Server{}, false, err
	}
	s.Settings = raw
	return s, is.Subnet != was.Subnet || is.Subnet6 != was.Subnet6, nil
}

// Admits implements [protocol.Reviser]. A file names the server's key and the
// device's addresses.
func (Protocol) Admits(s, old vpn.Server) bool {
	is, err := ParseSettings(s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(old.Settings)
	if err != nil {
		return false
	}
	return is.PublicKey == was.PublicKey && is.Subnet == was.Subnet && is.Subnet6 == was.Subnet6
}

// Drops implements [protocol.Dropper]: a device, be it the kernel's or the
// stack's, is made for its addresses, its MTU and the way that packets take.
func (Protocol) Drops(s, old vpn.Server) bool {
	is, err := ParseSettings(s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(old.Settings)
	if err != nil {
		return false
	}
	return is.Subnet != was.Subnet || is.Subnet6 != was.Subnet6 || is.MTUBytes() != was.MTUBytes() || is.Carrier != was.Carrier
}
