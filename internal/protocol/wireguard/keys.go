package wireguard

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"

	"vpn/internal/vpn"
)

// A Key is a key of WireGuard's, in whatever part.
type Key [32]byte

// NewPrivateKey draws a private key of Curve25519.
func NewPrivateKey() Key {
	k := NewPresharedKey()
	// RFC 7748, section 5: what X25519 does to a key before it is used.
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

// NewPresharedKey draws a key that both sides know.
func NewPresharedKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails: the program ends instead
	return k
}

// Public returns the public key of a private one.
func (k Key) Public() Key {
	private, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		panic(err) // it has 32 bytes
	}
	return Key(private.PublicKey().Bytes())
}

// IsZero reports whether k is none.
func (k Key) IsZero() bool { return k == Key{} }

// String returns k as WireGuard's tools write it. It shows a private key, too:
// print one where it belongs only.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Its error shows nothing
// of the text.
func (k *Key) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != len(k) {
		return vpn.Errorf(vpn.Invalid, "a key is not 32 bytes in base64").WithHint("make one with: wg genkey")
	}
	*k = Key(b)
	return nil
}

// Keys are the private part ([vpn.Server.Private] as JSON).
type Keys struct {
	PrivateKey Key `json:"private_key"`
}

// ParseKeys reads the keys of a server; none at all are a zero value. Its
// errors tell nothing of what was read.
func ParseKeys(s vpn.Secret) (Keys, error) {
	var k Keys
	if s.IsZero() {
		return k, nil
	}
	if json.Unmarshal([]byte(s.Reveal()), &k) != nil || k.PrivateKey.IsZero() {
		return Keys{}, vpn.Errorf(vpn.Invalid, "the server's keys are damaged").
			WithHint("delete the server and create it anew, or restore a backup")
	}
	return k, nil
}

// A Secret is what a credential holds ([vpn.Credential.Secret] as JSON). The
// server keeps the device's private key only to be able to show the device's
// file again.
type Secret struct {
	PrivateKey   Key `json:"private_key"`
	PresharedKey Key `json:"preshared_key"`
}

// ParseSecret reads a credential's keys. Its errors tell nothing of what was
// read.
func ParseSecret(s vpn.Secret) (Secret, error) {
	var k Secret
	if json.Unmarshal([]byte(s.Reveal()), &k) != nil || k.PrivateKey.IsZero() || k.PresharedKey.IsZero() {
		return Secret{}, vpn.Errorf(vpn.Invalid, "a device's keys are damaged").WithHint("rotate them")
	}
	return k, nil
}
