package shadowsocks

import (
	"encoding/json"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Revise implements [protocol.Reviser]. How many users are at one port is
// nothing that a method of 2022 knows: with such a one it goes, unless it is
// asked for, which Prepare refuses.
func (Protocol) Revise(s vpn.Server, changes json.RawMessage) (revised vpn.Server, check bool, err error) {
	if s.Settings, err = protocol.MergeSettings(s.Settings, changes); err != nil {
		return s, false, err
	}
	var given map[string]json.RawMessage
	set, err := ParseSettings(s.Settings)
	if err != nil || json.Unmarshal(changes, &given) != nil {
		return s, false, nil //nolint:nilerr // Prepare will say what is wrong
	}
	if _, asked := given["keys_per_port"]; set.Method.Is2022() && !asked {
		s.Settings, err = protocol.MergeSettings(s.Settings, json.RawMessage(`{"keys_per_port": null}`))
	}
	return s, false, err
}

// Admits implements [protocol.Reviser]. Clients have the method, and need no
// prefix. At which port they are let in, the credentials tell.
func (Protocol) Admits(s, old vpn.Server) bool {
	is, err := ParseSettings(s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(old.Settings)
	return err == nil && is.Method == was.Method
}

// Drops implements [protocol.Dropper]: between a method of 2022 and another
// one, all that is said is another thing.
func (Protocol) Drops(s, old vpn.Server) bool {
	is, err := ParseSettings(s.Settings)
	if err != nil {
		return false
	}
	was, err := ParseSettings(old.Settings)
	return err == nil && is.Method.Is2022() != was.Method.Is2022()
}
