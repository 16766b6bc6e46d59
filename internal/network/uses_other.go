//go:build !linux

package network

import (
	"fmt"
	"net"
	"net/netip"
)

// Uses returns the ranges of addresses that this machine's interfaces have.
// Its routes are not known, on this system.
func Uses() ([]Use, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	var out []Use
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			out = append(out, Use{p.Masked(), "an interface"})
		}
	}
	return out, nil
}
