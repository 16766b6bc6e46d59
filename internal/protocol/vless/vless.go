// Package vless is VLESS with Reality and Vision on paper: its settings,
// keys, credentials and share links.
//
// Reality hides the server behind somebody else's web site, the target: a
// stranger who connects is passed on to the target and sees its certificate.
// Whether a target is fit for that is found out over the network by package
// probe; this package does no I/O.
package vless

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Name is the protocol's name.
const Name vpn.Protocol = "vless"

// Protocol implements [protocol.Protocol].
type Protocol struct{}

var _ protocol.Protocol = Protocol{}

// Name implements [protocol.Protocol].
func (Protocol) Name() vpn.Protocol { return Name }

// Networks implements [protocol.Protocol].
func (Protocol) Networks() []string { return []string{"tcp"} }

// Fields implements [protocol.Protocol].
func (Protocol) Fields() []protocol.Field { return protocol.FieldsOf(Settings{}) }

// Ports implements [protocol.Protocol]: a web site is at 443.
func (Protocol) Ports() []uint16 { return []uint16{443, 8443} }

// Prepare implements [protocol.Protocol]. The target must have been chosen:
// [AutoTarget] and none are errors, because choosing takes the network.
func (Protocol) Prepare(s vpn.Server) (vpn.Server, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Server{}, err
	}
	if set, err = set.complete(s.PublicHost); err != nil {
		return vpn.Server{}, err
	}
	keys, err := prepareKeys(s.Private, &set)
	if err != nil {
		return vpn.Server{}, err
	}
	if s.Settings, err = json.Marshal(set); err != nil {
		return vpn.Server{}, fmt.Errorf("encode settings: %w", err)
	}
	private, err := json.Marshal(keys)
	if err != nil {
		return vpn.Server{}, fmt.Errorf("encode keys: %w", err)
	}
	s.Private = vpn.NewSecret(string(private))
	return s, nil
}

// Mint implements [protocol.Protocol]. The secret is a random UUID.
func (Protocol) Mint(vpn.Server) (vpn.Secret, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return vpn.Secret{}, fmt.Errorf("make a UUID: %w", err)
	}
	return vpn.NewSecret(id.String()), nil
}
