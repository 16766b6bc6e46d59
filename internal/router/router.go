// Package router gives a server's TUN device a way to the internet, and keeps
// whoever sends through it from everything else: the device itself, its
// addresses, the kernel's forwarding, and one nftables table of its own per
// server that translates addresses and is the egress guard, by the same table
// of ranges as package egress. All of it is done over netlink; no program is
// run.
//
// It must not touch a rule, a table or a device that is not of a server of
// the same store, and it knows neither users nor what carries the packets.
//
// # Who does what
//
// All of this needs CAP_NET_ADMIN, and whoever has that can also take the
// rules away again. So it belongs into the control plane; a worker, which
// talks to strangers, is handed the open device (see [Open]) and needs no
// capability at all: reading and writing it is all that it can do, and even
// packets of a worker that was broken into meet the rules. The rules outlive
// both. The device ends with the last process that has it open, so with the
// worker.
//
// Measured on Linux 6.18, for whoever wants to divide it otherwise: a process
// of any uid whose only capability is CAP_NET_ADMIN can do all that this
// package does, the writes below /proc/sys/net included (the kernel lets
// CAP_NET_ADMIN of the network namespace's owner pass for root there), if the
// file /dev/net/tun lets its uid open it, and /proc/sys is not mounted
// read-only. A worker's Landlock rules forbid both files; the filter of its
// system calls forbids none of this.
package router

import (
	"fmt"
	"net/netip"
	"strings"

	"vpn/internal/vpn"
)

// A Tunnel is one server's device and who sends through it.
type Tunnel struct {
	Store  string // the store's id: tables of another store are not touched
	Server vpn.ServerID

	// Addresses are the device's own, each with the length of the subnet from
	// which clients have theirs, such as 10.7.3.1/24: at most one subnet of
	// each version of IP.
	Addresses []netip.Prefix
	MTU       int // bytes of an IP packet

	Allow   []netip.Prefix // forbidden destinations that clients may reach all the same
	Between bool           // clients may reach each other

	// Changes are what an earlier [Apply] returned: they are known even if
	// somebody has removed the table that they are noted in.
	Changes []Change
}

// deviceLetters of a server's id are enough to tell it from all others.
const deviceLetters = 10

// Device returns the name of a server's TUN device.
func Device(server vpn.ServerID) string {
	return "vpn-" + string(server)[:min(deviceLetters, len(server))]
}

// tablePrefix begins the names of a store's tables; a server's id follows.
func tablePrefix(store string) string { return "vpn-" + store + "-" }

func (t Tunnel) table() string { return tablePrefix(t.Store) + string(t.Server) }

// A Change is a setting of this host's kernel that [Apply] had to change. It
// stays changed when the server is gone: others may rely on it by then.
type Change struct {
	Name    string // as sysctl(8) spells it, such as "net.ipv4.ip_forward"
	Was, Is string
}

// String is such as "net.ipv4.ip_forward=1 (was 0)".
func (c Change) String() string { return fmt.Sprintf("%s=%s (was %s)", c.Name, c.Is, c.Was) }

func parseChange(text string) (c Change, ok bool) {
	name, rest, ok := strings.Cut(text, "=")
	is, was, found := strings.Cut(rest, " (was ")
	was, closed := strings.CutSuffix(was, ")")
	return Change{Name: name, Was: was, Is: is}, ok && found && closed
}

// check returns an error of kind [vpn.Invalid] if t makes no sense.
func (t Tunnel) check() error {
	seen := map[bool]bool{}
	for _, a := range t.Addresses {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			return vpn.Errorf(vpn.Invalid, "%s is no address of a tunnel", a)
		}
		if seen[a.Addr().Is4()] {
			return vpn.Errorf(vpn.Invalid, "a tunnel has one subnet of each version of IP, and %s is a second one", a)
		}
		seen[a.Addr().Is4()] = true
	}
	const least, most = 1280, 65535 // RFC 8200 asks for the first
	switch {
	case len(t.Addresses) == 0:
		return vpn.Errorf(vpn.Invalid, "a tunnel needs an address")
	case t.MTU < least || t.MTU > most:
		return vpn.Errorf(vpn.Invalid, "an MTU of %d bytes is none: it is %d to %d", t.MTU, least, most)
	case t.Store == "" || t.Server == "":
		return vpn.Errorf(vpn.Invalid, "a tunnel belongs to a server of a store")
	}
	return nil
}
