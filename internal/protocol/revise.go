package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"

	"vpn/internal/vpn"
)

// A Reviser is a [Protocol] in whose settings one thing follows from another,
// so that changing some of them is more than putting the new values in.
type Reviser interface {
	// Revise returns s with changes, an object of settings as [MergeSettings]
	// takes it, and without what followed from what they change; Prepare makes
	// that anew. check reports whether the result has to be settled over the
	// network, as a new server has.
	Revise(s vpn.Server, changes json.RawMessage) (revised vpn.Server, check bool, err error)

	// Admits reports whether s, which is prepared, lets clients in that were
	// set up for old, as far as settings go.
	Admits(s, old vpn.Server) bool
}

// Revise is [Reviser.Revise]; the settings of a protocol that is none have
// nothing to do with each other.
func Revise(p Protocol, s vpn.Server, changes json.RawMessage) (revised vpn.Server, check bool, err error) {
	if r, ok := p.(Reviser); ok {
		return r.Revise(s, changes)
	}
	was := s.Settings
	s.Settings, err = MergeSettings(was, changes)
	return s, !bytes.Equal(s.Settings, was), err
}

// Admits is [Reviser.Admits]; a protocol that is none admits the clients of
// equal settings only.
func Admits(p Protocol, s, old vpn.Server) bool {
	if r, ok := p.(Reviser); ok {
		return r.Admits(s, old)
	}
	return bytes.Equal(s.Settings, old.Settings)
}

// A Dropper is a [Protocol] whose servers cannot take every change of settings
// while they run.
type Dropper interface {
	// Drops reports whether live connections end when old becomes s, because
	// its worker has to be started anew.
	Drops(s, old vpn.Server) bool
}

// Drops is [Dropper.Drops]; a protocol that is none keeps all connections.
func Drops(p Protocol, s, old vpn.Server) bool {
	d, ok := p.(Dropper)
	return ok && d.Drops(s, old)
}

// MergeSettings returns the settings object with those keys replaced that
// changes names; a null takes the key away. Nothing else is checked. An error
// is of kind [vpn.Invalid].
func MergeSettings(settings, changes json.RawMessage) (json.RawMessage, error) {
	merged := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{settings, changes} {
		if len(bytes.TrimSpace(object)) == 0 {
			continue
		}
		values, _, ok := splitObject(bytes.TrimSpace(object))
		if !ok {
			return nil, vpn.Errorf(vpn.Invalid, "the settings are not one JSON object, each key once").
				WithHint(`write them like {"key": "value"}`)
		}
		for key, value := range values {
			if merged[key] = value; string(value) == "null" {
				delete(merged, key)
			}
		}
	}
	out, err := json.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return out, nil
}
