package proxy

import (
	"encoding/json"
	"fmt"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

var _ protocol.Reviser = Protocol{}

// Revise implements [protocol.Reviser]. Without TLS there is no certificate:
// one that is not given anew goes with it.
func (p Protocol) Revise(s vpn.Server, changes json.RawMessage) (revised vpn.Server, check bool, err error) {
	var given, merged map[string]json.RawMessage
	if s.Settings, err = protocol.MergeSettings(s.Settings, changes); err != nil {
		return s, false, err
	}
	if json.Unmarshal(changes, &given) != nil || json.Unmarshal(s.Settings, &merged) != nil {
		return s, false, nil // Prepare will say what is wrong
	}
	if _, anew := given["tls_cert"]; !anew && string(merged["tls"]) != "true" {
		delete(merged, "tls_cert")
	}
	if s.Settings, err = json.Marshal(merged); err != nil {
		return s, false, fmt.Errorf("encode settings: %w", err)
	}
	return s, false, nil
}

// Admits implements [protocol.Reviser]. A link says whether there is TLS, and
// clients may have been told to trust a certificate that is self-made.
func (p Protocol) Admits(s, old vpn.Server) bool {
	is, err := ParseSettings(p.name, s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(p.name, old.Settings)
	if err != nil {
		return false
	}
	switch {
	case !was.Enabled:
		return !is.Enabled || p.name == Mixed // which still speaks without
	case !is.Enabled:
		return false
	}
	return is.Cert == was.Cert || was.selfMade() == nil
}
