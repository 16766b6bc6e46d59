package protocol

import "vpn/internal/vpn"

// A Spreader is a [Protocol] that finds out who a client is by trying keys, so
// that one port has room for so many of them. Credentials beyond are let in at
// the ports that follow, by their slot: a credential keeps its port whoever
// comes or goes.
type Spreader interface {
	// PerPort returns how many credentials one port of s has room for; 0 is any
	// number.
	PerPort(s vpn.Server) int
}

// MaxPorts is how many ports a server may have.
const MaxPorts = 64

// PerPort is [Spreader.PerPort]; a protocol that is none has room for any
// number.
func PerPort(p Protocol, s vpn.Server) int {
	if sp, ok := p.(Spreader); ok {
		return sp.PerPort(s)
	}
	return 0
}

// PortOf returns the port at which the credential of a slot is let in, of a
// server whose first port has room for perPort of them. It is false if there
// is no such port.
func PortOf(first uint16, perPort int, slot uint32) (uint16, bool) {
	if perPort <= 0 {
		return first, true
	}
	i := int(slot) / perPort
	port := int(first) + i
	return uint16(port), i < MaxPorts && port <= 1<<16-1
}
