package daemon

import (
	"net/netip"

	"vpn/internal/network"
)

// machine is this machine's network, for the use cases.
type machine struct{}

func (machine) ProbeTCP(listen netip.Addr, port uint16) error { return network.ProbeTCP(listen, port) }
func (machine) DefaultAddr() (netip.Addr, bool)               { return network.DefaultAddr() }
