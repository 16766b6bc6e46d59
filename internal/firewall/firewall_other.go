//go:build !linux

package firewall

import "net/netip"

// A Firewall is this host's packet filter.
type Firewall struct{}

// Blocks knows of none, on this system.
func (*Firewall) Blocks(string, netip.Addr, uint16) []Block { return nil }

// ForwardBlocks knows of none, on this system.
func (*Firewall) ForwardBlocks(string, []netip.Prefix) []Block { return nil }
