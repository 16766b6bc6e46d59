package vless

import (
	"encoding/json"
	"fmt"
	"slices"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

var _ protocol.Reviser = Protocol{}

// Revise implements [protocol.Reviser]. With another target go the server
// names that were its own, and with either what was measured there and the
// certificate that strangers see in place of one.
func (Protocol) Revise(s vpn.Server, changes json.RawMessage) (vpn.Server, bool, error) {
	old, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Server{}, false, err
	}
	raw, err := protocol.MergeSettings(s.Settings, changes)
	if err != nil {
		return vpn.Server{}, false, err
	}
	set, err := ParseSettings(raw)
	if err != nil {
		return vpn.Server{}, false, err
	}
	moved := !sameTarget(set.Target, old.Target)
	if moved && !names(changes, "server_names") && old.followsTarget(s.PublicHost) {
		set.ServerNames = nil
	}
	settle := moved || !slices.Equal(lowered(set.ServerNames), old.ServerNames)
	if settle {
		set.RecordLengths = nil
		if s.Private, err = withoutCertificate(s.Private); err != nil {
			return vpn.Server{}, false, err
		}
	}
	if s.Settings, err = json.Marshal(set); err != nil {
		return vpn.Server{}, false, fmt.Errorf("encode settings: %w", err)
	}
	return s, settle, nil
}

// Admits implements [protocol.Reviser]. A link carries one server name and one
// short id; which were the first when it was made, nobody knows.
func (Protocol) Admits(s, old vpn.Server) bool {
	now, err := ParseSettings(s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(old.Settings)
	if err != nil {
		return false
	}
	return now.PublicKey == was.PublicKey && holdsAll(now.ServerNames, was.ServerNames) && holdsAll(now.ShortIDs, was.ShortIDs)
}

func holdsAll(list, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(list, w) })
}

func sameTarget(a, b string) bool {
	if a == b {
		return true
	}
	hostA, portA, errA := splitTarget(a)
	hostB, portB, errB := splitTarget(b)
	return errA == nil && errB == nil && hostA == hostB && portA == portB
}

// followsTarget reports whether the server names are those that nobody chose.
func (s Settings) followsTarget(publicHost string) bool {
	name, err := s.defaultName(publicHost)
	return err == nil && slices.Equal(s.ServerNames, lowered([]string{name})) || slices.Equal(s.ServerNames, []string{selfName})
}

// names reports whether changes holds a key with a value.
func names(changes json.RawMessage, key string) bool {
	var values map[string]json.RawMessage
	return json.Unmarshal(changes, &values) == nil && len(values[key]) > 0 && string(values[key]) != "null"
}

// withoutCertificate returns the keys without the certificate of [SelfTarget],
// which holds the server names; Prepare makes it if it is needed.
func withoutCertificate(private vpn.Secret) (vpn.Secret, error) {
	keys, err := ParseKeys(private)
	if err != nil {
		return vpn.Secret{}, err
	}
	keys.SelfCert, keys.SelfKey = "", ""
	b, err := json.Marshal(keys)
	if err != nil {
		return vpn.Secret{}, fmt.Errorf("encode keys: %w", err)
	}
	return vpn.NewSecret(string(b)), nil
}
