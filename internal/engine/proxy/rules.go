package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"

	"vpn/internal/engine/egress"
	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// rules are what a server's settings say. They are replaced, never changed.
type rules struct {
	protocol vpn.Protocol
	policy   proxy.Policy
	tls      *tls.Config // nil: clients speak no TLS
}

// admits reports whether clients may come from an address at all.
func (r *rules) admits(from netip.Addr) bool {
	return len(r.policy.Sources) == 0 || contains(r.policy.Sources, from)
}

// trusts reports whether clients from an address need no password.
func (r *rules) trusts(from netip.Addr) bool {
	return r.policy.AnonymousUser != "" && contains(r.policy.AnonymousSources, from)
}

// refuse returns the error for a destination that the rules are against.
func refuse(destination string) error {
	return vpn.Errorf(vpn.Denied, "destination %s is not allowed on this server", destination)
}

// checkPort says whether users may reach that port.
func (r *rules) checkPort(port uint16) error {
	within := func(list []proxy.Ports) bool {
		return slices.ContainsFunc(list, func(p proxy.Ports) bool { return p.Contains(port) })
	}
	if port == 0 || within(r.policy.DenyPorts) || len(r.policy.AllowPorts) > 0 && !within(r.policy.AllowPorts) {
		return vpn.Errorf(vpn.Denied, "port %d is not allowed on this server", port)
	}
	return nil
}

// resolve returns the addresses of a host that users may reach by the guard's
// lights and by the rules. A name that the rules deny is not looked up.
func (r *rules) resolve(ctx context.Context, g *egress.Guard, host string) ([]netip.Addr, error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if matches(r.policy.Deny.Names, name) {
		return nil, refuse(host)
	}
	addrs, err := g.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	named := r.policy.Allow.Empty() || matches(r.policy.Allow.Names, name)
	permitted := addrs[:0]
	for _, a := range addrs {
		if r.permits(a, named) {
			permitted = append(permitted, a)
		}
	}
	if len(permitted) == 0 {
		return nil, refuse(host)
	}
	return permitted, nil
}

// permits reports whether the rules let users reach an address. named says
// that its name is allowed. An IPv4 address in one of NAT64 is judged, too.
func (r *rules) permits(a netip.Addr, named bool) bool {
	within := func(list []netip.Prefix) bool { return contains(list, a) || contains(list, egress.Destination(a)) }
	return !within(r.policy.Deny.Networks) && (named || within(r.policy.Allow.Networks))
}

// matches reports whether name is one of patterns, or below one like *.name.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if below, ok := strings.CutPrefix(p, "*"); ok {
			return strings.HasSuffix(name, below)
		}
		return name == p
	})
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// connect connects to a destination of a user.
func (e *Engine) connect(ctx context.Context, host string, port uint16) (*net.TCPConn, error) {
	r := e.rules.Load()
	if err := r.checkPort(port); err != nil {
		return nil, err
	}
	addrs, err := r.resolve(ctx, e.guard, host)
	if err != nil {
		return nil, err
	}
	conn, err := e.guard.Dial(ctx, "tcp", addrs, port)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
