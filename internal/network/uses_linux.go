package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Uses returns the ranges of addresses that this machine's interfaces and
// routes have, those of every routing table. Routes to everything, and what
// is about this machine alone (loopback, link-local, multicast), are none.
func Uses() ([]Use, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	names := map[uint32]string{}
	var out []Use
	for _, l := range links {
		names[uint32(l.Index)] = l.Name //nolint:gosec // the kernel's are positive
		addrs, err := l.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", l.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = use(out, p, "interface "+l.Name)
			}
		}
	}
	routes, err := readRoutes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		by := "a route"
		if name := names[r.link]; name != "" {
			by += " by " + name
		}
		out = use(out, r.to, by)
	}
	return out, nil
}

// use adds what p is taken by, if it is worth to be known, and not yet.
func use(uses []Use, p netip.Prefix, by string) []Use {
	p = p.Masked()
	a := p.Addr()
	local := a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast()
	if p.Bits() == 0 || local || slices.ContainsFunc(uses, func(u Use) bool { return u.Prefix == p }) {
		return uses
	}
	return append(uses, Use{p, by})
}

type route struct {
	to   netip.Prefix
	link uint32 // 0: none, or several
}

// readRoutes asks the kernel for the routes of all tables.
func readRoutes() ([]route, error) {
	var out []route
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rib, err := syscall.NetlinkRIB(unix.RTM_GETROUTE, family)
		if err != nil {
			return nil, fmt.Errorf("list the routes: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(rib)
		if err != nil {
			return nil, fmt.Errorf("list the routes: %w", err)
		}
		for i := range messages {
			if r, ok := parseRoute(&messages[i]); ok {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// parseRoute reads struct rtmsg and its attributes. Routes of the cache and
// those that lead to an address of this machine, or to a broadcast, are none.
func parseRoute(m *syscall.NetlinkMessage) (r route, ok bool) {
	const kindAt, flagsAt = 7, 8
	if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) < unix.SizeofRtMsg {
		return r, false
	}
	family, bits, kind := m.Data[0], int(m.Data[1]), m.Data[kindAt]
	cached := binary.NativeEndian.Uint32(m.Data[flagsAt:])&unix.RTM_F_CLONED != 0
	if cached || !slices.Contains([]byte{unix.RTN_UNICAST, unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT}, kind) {
		return r, false
	}
	to := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		to = netip.IPv6Unspecified()
	}
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return r, false
	}
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.RTA_DST:
			if to, ok = netip.AddrFromSlice(a.Value); !ok {
				return r, false
			}
		case unix.RTA_OIF:
			if len(a.Value) == 4 {
				r.link = binary.NativeEndian.Uint32(a.Value)
			}
		}
	}
	r.to = netip.PrefixFrom(to, bits)
	return r, r.to.IsValid()
}
