package shadowsocks

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"vpn/internal/vpn"
)

const seedSize = 32

// Keys are the private part ([vpn.Server.Private] as JSON). The AEAD methods
// have no use for them, and a server's method may change.
type Keys struct {
	Seed string `json:"seed"` // base64; the server's key of each method of 2022 follows from it
}

func newKeys() Keys { return Keys{base64.StdEncoding.EncodeToString(random(seedSize))} }

// ParseKeys reads a server's keys; none at all are a zero value. Its errors
// tell nothing of what was read.
func ParseKeys(s vpn.Secret) (Keys, error) {
	var k Keys
	if s.IsZero() {
		return k, nil
	}
	if json.Unmarshal([]byte(s.Reveal()), &k) == nil {
		if seed, err := base64.StdEncoding.DecodeString(k.Seed); err == nil && len(seed) == seedSize {
			return k, nil
		}
	}
	return Keys{}, vpn.Errorf(vpn.Invalid, "the server's keys are damaged").
		WithHint("delete the server and create it anew, or restore a backup")
}

// ServerPSK returns the pre-shared key of the server for a method of 2022: all
// of its users have it too. It is [Method.KeySize] long.
func (k Keys) ServerPSK(m Method) ([]byte, error) {
	seed, err := base64.StdEncoding.DecodeString(k.Seed)
	if err != nil || len(seed) != seedSize {
		return nil, vpn.Errorf(vpn.Internal, "the server has no keys")
	}
	return derive(seed, "server "+string(m), m.KeySize())
}

// UserPSK returns the pre-shared key of a user for a method of 2022, which is
// [Method.KeySize] long. A secret that is a key in base64 is that key; from
// any other one, such as a password from before the server changed its method,
// the key is derived.
func UserPSK(m Method, s vpn.Secret) ([]byte, error) {
	if err := ValidSecret(s); err != nil {
		return nil, err
	}
	if key, err := base64.StdEncoding.DecodeString(s.Reveal()); err == nil && len(key) == m.KeySize() {
		return key, nil
	}
	return derive([]byte(s.Reveal()), "user "+string(m), m.KeySize())
}

func derive(secret []byte, use string, size int) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, use, size)
}
