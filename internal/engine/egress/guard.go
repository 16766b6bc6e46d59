// Package egress is the one guard on where users' traffic may go, for every
// engine: no protocol may reach this host itself, the private networks around
// it or the metadata service of its cloud, in any spelling of an address.
//
// The guard judges addresses, never names: a name is resolved once, and what
// is dialed is an address that was judged. It counts nothing and knows no
// user.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"vpn/internal/vpn"
)

// A Guard says which addresses users may reach. Its methods may be called
// concurrently.
type Guard struct {
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	connect func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex // one change at a time
	policy atomic.Pointer[policy]
}

// A policy is what the operator and the host add to the table of forbidden
// ranges. It is replaced, never changed.
type policy struct {
	allow []netip.Prefix
	host  map[netip.Addr]struct{}
}

// New returns a guard that refuses all forbidden ranges but the prefixes of
// allow.
func New(allow []netip.Prefix) *Guard {
	g := &Guard{lookup: net.DefaultResolver.LookupNetIP}
	g.connect = (&net.Dialer{Timeout: dialTimeout, Control: g.Control}).DialContext
	g.policy.Store(&policy{})
	g.SetAllow(allow)
	return g
}

// SetAllow replaces the prefixes that users may reach although they are
// forbidden otherwise. It holds for connections made from now on.
func (g *Guard) SetAllow(allow []netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := *g.policy.Load()
	p.allow = make([]netip.Prefix, 0, len(allow))
	for _, a := range allow {
		p.allow = append(p.allow, plainPrefix(a))
	}
	g.policy.Store(&p)
}

// SetHost replaces the addresses that are refused because they are this
// host's own, public ones among them: its API and databases listen there.
func (g *Guard) SetHost(addrs []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := *g.policy.Load()
	p.host = make(map[netip.Addr]struct{}, len(addrs))
	for _, a := range addrs {
		p.host[plain(a)] = struct{}{}
	}
	g.policy.Store(&p)
}

// HostAddrs returns the addresses of this host's interfaces, for SetHost.
func HostAddrs() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list interface addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs, nil
}

// Permits reports whether users may reach a. An address that carries an IPv4
// address inside is judged by that one too.
func (g *Guard) Permits(a netip.Addr) bool {
	return g.policy.Load().permits(plain(a))
}

// permitted returns those of addrs that users may reach.
func (g *Guard) permitted(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if g.Permits(a) {
			out = append(out, a.Unmap())
		}
	}
	return out
}

func (p *policy) permits(a netip.Addr) bool {
	if contains(p.allow, a) {
		return true
	}
	if _, own := p.host[a]; own {
		return false
	}
	switch {
	case a.Is4():
		return !contains(forbidden4, a)
	case contains(nat64, a):
		return p.permits(inside(a))
	}
	return contains(global6, a) && !contains(forbidden6, a)
}

// inside returns the IPv4 address in the last 32 bits of one of NAT64.
func inside(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// Destination returns where packets to a come out in the end: an IPv4 address
// however it is written, of NAT64 too, and any other without its zone. Lists
// of destinations are to be compared with this.
func Destination(a netip.Addr) netip.Addr {
	if a = plain(a); contains(nat64, a) {
		return inside(a)
	}
	return a
}

// refusal is the error for a destination that users may not reach.
func refusal(destination string) error {
	return vpn.Errorf(vpn.Denied, "destination %s is not allowed", destination).
		WithHint("if users are meant to reach it, allow its prefix on the server")
}

// plain returns a without a zone, and an IPv4 address as such however it was
// written.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// plainPrefix does the same for a prefix; one of IPv4-mapped addresses
// becomes one of IPv4.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(a.Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
