package shadowsocks

import (
	"encoding/json"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Revise implements [protocol.Reviser]. No setting follows from another.
func (Protocol) Revise(s vpn.Server, changes json.RawMessage) (revised vpn.Server, check bool, err error) {
	s.Settings, err = protocol.MergeSettings(s.Settings, changes)
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
