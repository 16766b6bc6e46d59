// Package shadowsocks is Shadowsocks on paper: settings, keys, passwords and
// ss:// links, as Outline and other clients take them.
//
// Of the methods, those with AEAD ciphers (SIP004) tell users apart by trying
// their keys, and so one port has room for a limited number of them. Those of
// 2022 (SIP022) name the user in the first bytes.
package shadowsocks

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Name is the protocol's name.
const Name vpn.Protocol = "shadowsocks"

// passwordSize is how many random bytes are in a password of an AEAD method,
// and from minSecret to maxSecret how long secrets are.
const (
	passwordSize = 24
	minSecret    = 16
	maxSecret    = 255
)

// Protocol implements [protocol.Protocol].
type Protocol struct{}

var (
	_ protocol.Protocol = Protocol{}
	_ protocol.Reviser  = Protocol{}
	_ protocol.Dropper  = Protocol{}
	_ protocol.Spreader = Protocol{}
)

// Name implements [protocol.Protocol].
func (Protocol) Name() vpn.Protocol { return Name }

// Networks implements [protocol.Protocol].
func (Protocol) Networks() []string { return []string{"tcp", "udp"} }

// Fields implements [protocol.Protocol].
func (Protocol) Fields() []protocol.Field { return protocol.FieldsOf(Settings{}) }

// Ports implements [protocol.Protocol].
func (Protocol) Ports() []uint16 { return []uint16{8388} }

// PerPort implements [protocol.Spreader].
func (Protocol) PerPort(s vpn.Server) int {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return 0 // it runs nowhere
	}
	return set.PerPort()
}

// Prepare implements [protocol.Protocol].
func (Protocol) Prepare(s vpn.Server) (vpn.Server, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Server{}, err
	}
	if err := refuseKeys(s.Settings, set); err != nil {
		return vpn.Server{}, err
	}
	keys, err := ParseKeys(s.Private)
	if err != nil {
		return vpn.Server{}, err
	}
	if keys.Seed == "" {
		keys = newKeys()
	}
	private, err := json.Marshal(keys)
	if err != nil {
		return vpn.Server{}, fmt.Errorf("encode keys: %w", err)
	}
	s.Private = vpn.NewSecret(string(private))
	if s.Settings, err = json.Marshal(set); err != nil {
		return vpn.Server{}, fmt.Errorf("encode settings: %w", err)
	}
	return s, nil
}

// Mint implements [protocol.Protocol]. The secret is a random password, or a
// random key in base64 with a method of 2022. Each of them is good for any
// method ([UserPSK]), so that a server's method may change.
func (Protocol) Mint(s vpn.Server) (vpn.Secret, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Secret{}, err
	}
	if set.Method.Is2022() {
		return vpn.NewSecret(base64.StdEncoding.EncodeToString(random(set.Method.KeySize()))), nil
	}
	return vpn.NewSecret(base64.RawURLEncoding.EncodeToString(random(passwordSize))), nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return b
}

// ValidSecret returns an [vpn.Invalid] error unless s is long enough for a
// password that nobody guesses.
func ValidSecret(s vpn.Secret) error {
	if n := len(s.Reveal()); n < minSecret || n > maxSecret {
		return vpn.Errorf(vpn.Invalid, "a password has from %d to %d characters", minSecret, maxSecret).WithHint("rotate it")
	}
	return nil
}
