// Package firewall says whether this host's own firewall lets strangers in to
// a port, and how to open it. It asks the kernel over netlink what the packet
// filter does with the first packet of a connection, whoever wrote the rules:
// ufw, firewalld, Docker, iptables (by either backend) or a person with nft. Of
// a tunnel's device it says the same about packets that this host forwards.
//
// It changes nothing, runs no program, and reports only what is certain. What
// it does not understand, or may not see, or what depends on who connects, is
// no block: that a port has none is no promise that it is open. Firewalls that
// are not on this host it does not see.
package firewall

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Block is a firewall that lets nobody in to a port, or nothing through from
// a device.
type Block struct {
	By      string // who drops, such as "ufw" or "nftables, chain input of table inet filter"
	Network string // "tcp" or "udp"
	Port    uint16
	Device  string   // whose packets are not forwarded; then there is no port
	Over    string   // "IPv4" or "IPv6" if the other one gets in or is not there; else empty
	Why     string   // what makes the firewall do so, if it may surprise
	Open    []string // commands that open the port, one after the other; none is known if empty
	Lasts   bool     // they hold over a reboot, and a reload of the firewall
	See     string   // without Open: the command that shows the rules
}

// String tells a person about the block. The command comes last.
func (b Block) String() string {
	over := ""
	if b.Over != "" {
		over = " over " + b.Over
	}
	what := fmt.Sprintf("%s port %d", b.Network, b.Port)
	if b.Device != "" {
		what = "what clients send through " + b.Device
	}
	text := fmt.Sprintf("this host's firewall (%s) blocks %s%s", b.By, what, over)
	if b.Why != "" {
		text += ": " + b.Why
	}
	switch {
	case len(b.Open) == 0:
		return text + "; see its rules: " + b.See
	case !b.Lasts:
		return text + "; open it until the rules are loaded anew: " + strings.Join(b.Open, " && ")
	}
	return text + "; open it: " + strings.Join(b.Open, " && ")
}

// An endpoint is where a server listens, as strangers reach it.
type endpoint struct {
	network string
	listen  netip.Addr
	port    uint16
}
