package shadowsocks

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// A Method names how bytes are encrypted.
type Method string

// The methods.
const (
	ChaCha20      Method = "chacha20-ietf-poly1305"
	AES256        Method = "aes-256-gcm"
	AES128        Method = "aes-128-gcm"
	AES256Of2022  Method = "2022-blake3-aes-256-gcm"
	AES128Of2022  Method = "2022-blake3-aes-128-gcm"
	defaultMethod        = ChaCha20
)

// Methods returns all methods, the default one first.
func Methods() []Method { return []Method{ChaCha20, AES256, AES128, AES256Of2022, AES128Of2022} }

// Is2022 reports whether the method is one of SIP022.
func (m Method) Is2022() bool { return strings.HasPrefix(string(m), "2022-") }

// KeySize returns the size of a key, and of a salt, in bytes.
func (m Method) KeySize() int {
	if strings.Contains(string(m), "128") {
		return 16
	}
	return 32
}

const (
	// defaultKeys is how many keys are tried, at most, for a client from an
	// address that is new: about 3 ms of one processor core. See
	// docs/benchmarks.md.
	defaultKeys = 1000
	mostKeys    = 100_000

	maxPrefix = 16 // bytes, as Outline's clients take them
	minSalt   = 16 // bytes of a salt that have to be random
)

// Settings are a server's settings ([vpn.Server.Settings] as JSON).
type Settings struct {
	Method      Method `json:"method" help:"chacha20-ietf-poly1305 (default), aes-256-gcm, aes-128-gcm, 2022-blake3-aes-256-gcm or 2022-blake3-aes-128-gcm" choices:"chacha20-ietf-poly1305,aes-256-gcm,aes-128-gcm,2022-blake3-aes-256-gcm,2022-blake3-aes-128-gcm"`
	Prefix      string `json:"prefix" help:"what streams of Outline's clients begin with, percent-encoded as in its access keys: POST%20"`
	KeysPerPort string `json:"keys_per_port" help:"users at one port, not with a method of 2022; those beyond are at the ports that follow (default 1000)"`
}

// ParseSettings reads a server's settings strictly, checks them and fills in
// what they leave open. Errors are of kind [vpn.Invalid].
func ParseSettings(raw json.RawMessage) (Settings, error) {
	var set Settings
	if err := protocol.DecodeSettings(raw, &set); err != nil {
		return Settings{}, err
	}
	if set.Method == "" {
		set.Method = defaultMethod
	}
	if !slices.Contains(Methods(), set.Method) {
		names := make([]string, 0, len(Methods()))
		for _, m := range Methods() {
			names = append(names, string(m))
		}
		return Settings{}, vpn.Unknown("method", string(set.Method), names)
	}
	prefix, err := set.parsePrefix()
	if err != nil {
		return Settings{}, err
	}
	set.Prefix = encodePrefix(prefix)
	if set.Method.Is2022() {
		set.KeysPerPort = "" // which no port counts; Prepare refuses it
		return set, nil
	}
	if set.KeysPerPort == "" {
		set.KeysPerPort = strconv.Itoa(defaultKeys)
	}
	n, err := strconv.Atoi(set.KeysPerPort)
	if err != nil || n < 1 || n > mostKeys {
		return Settings{}, vpn.Errorf(vpn.Invalid, "keys_per_port is not a number from 1 to %d", mostKeys).
			WithHint("leave it out for %d", defaultKeys)
	}
	set.KeysPerPort = strconv.Itoa(n)
	return set, nil
}

// refuseKeys returns an [vpn.Invalid] error if raw, which [ParseSettings] takes,
// says how many users are at one port where any number is.
func refuseKeys(raw json.RawMessage, set Settings) error {
	var given struct {
		KeysPerPort string `json:"keys_per_port"`
	}
	if !set.Method.Is2022() || json.Unmarshal(raw, &given) != nil || given.KeysPerPort == "" {
		return nil
	}
	return vpn.Errorf(vpn.Invalid, "the method %s has any number of users at one port", set.Method).
		WithHint("leave --keys-per-port out, or take another method")
}

// PerPort returns how many users one port has room for; 0 is any number.
func (s Settings) PerPort() int {
	if s.Method.Is2022() {
		return 0
	}
	n, _ := strconv.Atoi(s.KeysPerPort) // which was checked
	return n
}

// parsePrefix returns the bytes of the prefix: the characters that the
// encoded text stands for, each of them a byte.
func (s Settings) parsePrefix() ([]byte, error) {
	if s.Prefix == "" {
		return nil, nil
	}
	invalid := func(format string, args ...any) error {
		return vpn.Errorf(vpn.Invalid, format, args...).
			WithHint("write it as in the access keys of Outline, such as %s", `POST%20 or %16%03%01%00%C2%A8%01%01`)
	}
	if strings.ContainsFunc(s.Prefix, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, invalid("the prefix is not percent-encoded")
	}
	text, err := url.PathUnescape(s.Prefix)
	if err != nil {
		return nil, invalid("the prefix is not percent-encoded")
	}
	var prefix []byte
	for _, r := range text {
		if r > 0xff {
			return nil, invalid("the prefix holds something else than U+0000 to U+00FF in UTF-8")
		}
		prefix = append(prefix, byte(r))
	}
	switch random := s.Method.KeySize() - len(prefix); {
	case s.Method.Is2022():
		return nil, vpn.Errorf(vpn.Invalid, "the method %s has no prefix", s.Method).WithHint("leave the prefix out, or take another method")
	case len(prefix) > maxPrefix:
		return nil, invalid("the prefix has %d bytes, more than %d", len(prefix), maxPrefix)
	case random < minSalt:
		return nil, vpn.Errorf(vpn.Invalid, "with a prefix, the method %s has too short a salt to be safe", s.Method).
			WithHint("take %s or %s", ChaCha20, AES256)
	}
	return prefix, nil
}

// encodePrefix is the opposite of parsePrefix, in one form only.
func encodePrefix(prefix []byte) string {
	text := make([]rune, len(prefix))
	for i, b := range prefix {
		text[i] = rune(b)
	}
	return protocol.Escape(string(text))
}
