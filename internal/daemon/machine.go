package daemon

import (
	"net/netip"

	"vpn/internal/firewall"
	"vpn/internal/network"
)

// machine is this machine's network, for the use cases.
type machine struct{ firewall firewall.Firewall }

func (*machine) ProbeTCP(listen netip.Addr, port uint16) error { return network.ProbeTCP(listen, port) }

func (*machine) ProbeUDP(listen netip.Addr, port uint16) error { return network.ProbeUDP(listen, port) }
func (*machine) DefaultAddr() (netip.Addr, bool)               { return network.DefaultAddr() }

func (m *machine) Blocked(network string, listen netip.Addr, port uint16) []string {
	var out []string
	for _, b := range m.firewall.Blocks(network, listen, port) {
		out = append(out, b.String())
	}
	return out
}
