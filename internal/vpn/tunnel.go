package vpn

import "net/netip"

// A Tunnel is what the TUN device of a server is like whose clients send
// whole IP packets.
type Tunnel struct {
	// Addresses are the device's own, each with the length of the subnet from
	// which clients have theirs, such as 10.7.3.1/24: at most one subnet of
	// each version of IP.
	Addresses []netip.Prefix
	MTU       int  // bytes of an IP packet
	Between   bool // clients may reach each other
	Asked     bool // somebody chose to have one: that it cannot be had is worth a warning
}
