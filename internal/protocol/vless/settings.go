package vless

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// The targets that are no host and port.
const (
	SelfTarget = "self" // the server shows strangers a certificate of its own
	AutoTarget = "auto" // one of [Candidates] is to be chosen
)

// selfName is the server name beside [SelfTarget] if there is no better one.
const selfName = "www.example.com"

// Settings are the server's settings ([vpn.Server.Settings] as JSON).
type Settings struct {
	Target      string   `json:"target" help:"the site that strangers see: host:port, auto (one is chosen) or self (a certificate of its own)" choices:"auto,self" others:"yes"`
	ServerNames []string `json:"server_names" help:"name by which clients ask for the site (default: the target's host)"`
	ShortIDs    []string `json:"short_ids" help:"short id that lets clients in, up to 16 hex digits (default: a random one)"`
	Fingerprint string   `json:"fingerprint" help:"browser whose TLS clients imitate (default: chrome)" choices:"chrome,firefox,safari,ios,android,edge,360,qq,random,randomized"`

	// PublicKey is the raw base64url X25519 key that clients know; Prepare makes it.
	PublicKey string `json:"public_key"`

	// RecordLengths is what the target sends right after a handshake, as
	// package probe measured it: under "NAME N" the lengths of the TLS
	// records, header included, that follow for that server name if the
	// client offers no ALPN (N is 0), http/1.1 (1) or h2 (2). The engine
	// imitates them until it has measured for itself.
	RecordLengths map[string][]int `json:"record_lengths,omitempty"`
}

// fingerprints are the names that clients know, the default first.
var fingerprints = []string{"chrome", "firefox", "safari", "ios", "android", "edge", "360", "qq", "random", "randomized"}

// A record is a header, one byte of type, a tag of 16 bytes and up to 2^14
// bytes and some padding. The engine slices by these lengths, unchecked.
const (
	minRecord  = 5 + 1 + 16
	maxRecord  = 5 + 1<<14 + 256
	maxRecords = 64
)

// ParseSettings reads settings strictly and checks what is there, but not
// that they are complete: that is what Prepare sees to. Errors are of kind
// [vpn.Invalid].
func ParseSettings(raw json.RawMessage) (Settings, error) {
	var s Settings
	if err := protocol.DecodeSettings(raw, &s); err != nil {
		return Settings{}, err
	}
	if err := s.check(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

func (s Settings) check() error {
	if _, _, err := splitTarget(s.Target); err != nil && s.Target != "" && s.Target != AutoTarget && s.Target != SelfTarget {
		return err
	}
	for _, name := range s.ServerNames {
		if err := vpn.ValidDomain(name); err != nil {
			return about("server name", err)
		}
	}
	for _, id := range s.ShortIDs {
		if _, err := hex.DecodeString(id); err != nil || len(id) > 16 {
			return vpn.Errorf(vpn.Invalid, "short id %q is not valid", clip(id)).
				WithHint("use an even number of hex digits, at most 16")
		}
	}
	if s.Fingerprint != "" && !slices.Contains(fingerprints, s.Fingerprint) {
		return vpn.Unknown("fingerprint", s.Fingerprint, fingerprints)
	}
	if s.PublicKey != "" {
		if _, err := decodeKey(s.PublicKey); err != nil {
			return vpn.Errorf(vpn.Invalid, "the public key is not an X25519 key").
				WithHint("leave public_key out: it is made")
		}
	}
	return checkRecords(s.RecordLengths)
}

func checkRecords(lengths map[string][]int) error {
	for key, records := range lengths {
		name, alpn, _ := strings.Cut(key, " ")
		ok := vpn.ValidDomain(name) == nil && len(alpn) == 1 && alpn >= "0" && alpn <= "2" && len(records) <= maxRecords
		for _, n := range records {
			ok = ok && n >= minRecord && n <= maxRecord
		}
		if !ok {
			return vpn.Errorf(vpn.Invalid, "the record lengths of %q are not valid", clip(key)).
				WithHint("leave record_lengths out: they are measured")
		}
	}
	return nil
}

// complete fills in what may be left open, and brings the rest into one form.
func (s Settings) complete(publicHost string) (Settings, error) {
	if s.Target == "" || s.Target == AutoTarget {
		return Settings{}, vpn.Errorf(vpn.Invalid, "no target has been chosen").
			WithHint("name a site that strangers see, as in --target %s, or take --target %s", candidates[0], SelfTarget)
	}
	if s.Target != SelfTarget {
		host, port, err := splitTarget(s.Target)
		if err != nil {
			return Settings{}, err
		}
		s.Target = net.JoinHostPort(host, port)
	}
	if len(s.ServerNames) == 0 {
		name, err := s.defaultName(publicHost)
		if err != nil {
			return Settings{}, err
		}
		s.ServerNames = []string{name}
	}
	s.ServerNames = lowered(s.ServerNames)
	if len(s.ShortIDs) == 0 {
		s.ShortIDs = []string{newShortID()}
	}
	s.ShortIDs = lowered(s.ShortIDs)
	if s.Fingerprint == "" {
		s.Fingerprint = fingerprints[0]
	}
	return s, nil
}

// defaultName returns the server name that fits the target.
func (s Settings) defaultName(publicHost string) (string, error) {
	if s.Target == SelfTarget {
		if vpn.ValidDomain(publicHost) == nil {
			return publicHost, nil
		}
		return selfName, nil
	}
	host, _, err := splitTarget(s.Target)
	if err != nil {
		return "", err
	}
	if vpn.ValidDomain(host) != nil {
		return "", vpn.Errorf(vpn.Invalid, "target %s has no name that clients could ask for", s.Target).
			WithHint("name the site too, as in --server-name www.example.com")
	}
	return host, nil
}

// splitTarget returns host and port in the one form in which they are stored.
func splitTarget(target string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(target)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || vpn.ValidHost(host) != nil {
		return "", "", vpn.Errorf(vpn.Invalid, "target %q is not valid", clip(target)).
			WithHint("write it with its port, like %s, or take %q or %q", candidates[0], AutoTarget, SelfTarget)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.String()
	}
	return strings.ToLower(host), strconv.FormatUint(n, 10), nil
}

// lowered returns list in lower case, each word once.
func lowered(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.ToLower(s); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// about says which setting an error is about.
func about(setting string, err error) error {
	e := vpn.Errorf(vpn.Invalid, "%s: %w", setting, err)
	if cause, ok := errors.AsType[*vpn.Error](err); ok {
		e.Hint = cause.Hint
	}
	return e
}

// clip keeps a wrong value from filling the screen.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
