// Package protocol is what a protocol is on paper: its settings, keys,
// credentials and client links. Data in, text out. It opens no socket and no
// file, so all of it is tested by tables and golden files.
//
// To add one: make a folder here, run package protocoltest over it, and add a
// line to package all. Flags, API schema and docs follow from its settings
// struct.
package protocol

import (
	"fmt"

	"vpn/internal/vpn"
)

// Protocol is implemented by each folder below this one. Implementations have
// no state and may be called concurrently.
type Protocol interface {
	// Name is the word that users type, and the value of [vpn.Server.Protocol].
	Name() vpn.Protocol

	// Networks are those on which a server listens on its port: "tcp", "udp"
	// or both.
	Networks() []string

	// Fields describes the settings that a person may give, in the order in
	// which they matter.
	Fields() []Field

	// Ports returns the ports at which a server is looked for first, the best
	// one first. If none of them is free, those above the last are tried.
	Ports() []uint16

	// Prepare checks s.Settings strictly (an unknown key is an error) and
	// fills in what its owner left open: keys, short ids. It accepts its own
	// output unchanged, and never changes a key that is there.
	Prepare(s vpn.Server) (vpn.Server, error)

	// Mint makes a fresh secret for a user of s.
	Mint(s vpn.Server) (vpn.Secret, error)

	// Access returns what the holder of c puts into a client application: a
	// link, or a file. endpoint is the host, without port, that clients dial.
	// Equal arguments give equal results.
	Access(s vpn.Server, u vpn.User, c vpn.Credential, endpoint string) (vpn.Access, error)
}

// A Set is a fixed list of protocols.
type Set struct{ list []Protocol }

// NewSet returns the set of ps. It panics if two have one name: that is a
// mistake in the source, not in the input.
func NewSet(ps ...Protocol) Set {
	seen := map[vpn.Protocol]bool{}
	for _, p := range ps {
		if seen[p.Name()] {
			panic(fmt.Sprintf("protocol: two are named %q", p.Name()))
		}
		seen[p.Name()] = true
	}
	return Set{ps}
}

// All returns the protocols, the recommended one first. The caller must not
// change the slice.
func (s Set) All() []Protocol { return s.list }

// Get returns the protocol of that name, or an error of kind [vpn.Invalid]
// whose hint lists the names there are.
func (s Set) Get(name vpn.Protocol) (Protocol, error) {
	names := make([]string, 0, len(s.list))
	for _, p := range s.list {
		if p.Name() == name {
			return p, nil
		}
		names = append(names, string(p.Name()))
	}
	return nil, vpn.Unknown("protocol", string(name), names)
}
