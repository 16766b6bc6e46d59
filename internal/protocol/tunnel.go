package protocol

import "vpn/internal/vpn"

// A Tunneler is a protocol whose clients send whole IP packets. A worker of
// one is handed an open TUN device, if the host can have one and the server is
// meant to: the control plane makes it, gives it addresses and a way to the
// internet, and guards where that leads.
type Tunneler interface {
	Protocol

	// Tunnel returns what the device of s is like, nil if s is meant to have
	// none.
	Tunnel(s vpn.Server) (*vpn.Tunnel, error)
}
