// Package proxy is the proxies on paper: HTTP, SOCKS5, and both on one port.
// Its part are their settings, keys, passwords and links.
//
// None of them is ever open to everybody: clients without a password are let
// in from networks that the operator names, on the account of a user that the
// operator names.
package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// The protocols' names.
const (
	HTTP   vpn.Protocol = "http"
	SOCKS5 vpn.Protocol = "socks5"
	Mixed  vpn.Protocol = "mixed"
)

// Names returns the names of all that this package is about.
func Names() []vpn.Protocol { return []vpn.Protocol{HTTP, SOCKS5, Mixed} }

// secretSize is how many random bytes are in a password, and minSecret how
// long one is at least.
const (
	secretSize = 24
	minSecret  = 24
)

// Protocol implements [protocol.Protocol] for the name it is made of.
type Protocol struct{ name vpn.Protocol }

var (
	_ protocol.Protocol = Protocol{}
	_ protocol.Namer    = Protocol{}
)

// New returns the protocol of that name, one of [Names].
func New(name vpn.Protocol) Protocol { return Protocol{name} }

// Name implements [protocol.Protocol].
func (p Protocol) Name() vpn.Protocol { return p.name }

// Networks implements [protocol.Protocol]. Datagrams have ports of their own.
func (Protocol) Networks() []string { return []string{"tcp"} }

// Fields implements [protocol.Protocol].
func (p Protocol) Fields() []protocol.Field { return protocol.FieldsOf(p.settings(&Settings{})) }

// Ports implements [protocol.Protocol].
func (p Protocol) Ports() []uint16 {
	if p.name == HTTP {
		return []uint16{8080}
	}
	return []uint16{1080}
}

// Prepare implements [protocol.Protocol].
func (p Protocol) Prepare(s vpn.Server) (vpn.Server, error) {
	set, err := ParseSettings(p.name, s.Settings)
	if err != nil {
		return vpn.Server{}, err
	}
	if err := set.normalize(); err != nil {
		return vpn.Server{}, err
	}
	keys, err := ParseKeys(p.name, s.Private)
	if err != nil {
		return vpn.Server{}, err
	}
	if p.name != SOCKS5 {
		if err := prepareTLS(&set.TLS, &keys, s); err != nil {
			return vpn.Server{}, err
		}
		private, err := json.Marshal(keys)
		if err != nil {
			return vpn.Server{}, fmt.Errorf("encode keys: %w", err)
		}
		s.Private = vpn.NewSecret(string(private))
	}
	if s.Settings, err = json.Marshal(p.settings(&set)); err != nil {
		return vpn.Server{}, fmt.Errorf("encode settings: %w", err)
	}
	return s, nil
}

// Names implements [protocol.Namer]: who answers for clients without a password.
func (p Protocol) Names(s vpn.Server) []string {
	set, err := ParseSettings(p.name, s.Settings)
	if err != nil || set.AnonymousUser == "" {
		return nil
	}
	return []string{set.AnonymousUser}
}

// Mint implements [protocol.Protocol]. The secret is a random password that
// needs no escaping in a link.
func (Protocol) Mint(vpn.Server) (vpn.Secret, error) {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return vpn.NewSecret(base64.RawURLEncoding.EncodeToString(b)), nil
}

// ValidSecret returns an [vpn.Invalid] error unless s is long enough for a
// password that nobody guesses, and no longer than SOCKS5 can carry.
func ValidSecret(s vpn.Secret) error {
	const most = 255
	n := len(s.Reveal())
	if n < minSecret || n > most {
		return vpn.Errorf(vpn.Invalid, "a password has from %d to %d characters", minSecret, most).WithHint("rotate it")
	}
	return nil
}
