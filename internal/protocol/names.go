package protocol

import "vpn/internal/vpn"

// A Namer is a [Protocol] whose settings name users, beside those that the
// server lets in by their credentials.
type Namer interface {
	// Names returns the names of the users that the settings of s, which are
	// prepared, name.
	Names(s vpn.Server) []string
}

// Names is [Namer.Names]; a protocol that is none names nobody.
func Names(p Protocol, s vpn.Server) []string {
	if n, ok := p.(Namer); ok {
		return n.Names(s)
	}
	return nil
}
