package egress

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"vpn/internal/vpn"
)

// Resolve returns the addresses of host, a name or an address, that users may
// reach, in the order in which they are best tried. A name is resolved once:
// dial what is returned, not the name.
//
// If there are addresses but users may reach none of them, the error is of
// kind [vpn.Denied]; if host cannot be resolved, of kind [vpn.Unavailable].
func (g *Guard) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	host = unbracket(host)
	if a, err := netip.ParseAddr(host); err == nil {
		if !g.Permits(a) {
			return nil, refusal(a.String())
		}
		return []netip.Addr{a.Unmap()}, nil
	}
	if !resolvable(host) {
		return nil, refusal(strconv.Quote(host))
	}
	found, err := g.lookup(ctx, "ip", host)
	if err != nil {
		return nil, &vpn.Error{Kind: vpn.Unavailable, Message: fmt.Sprintf("destination %q cannot be resolved", host), Err: err}
	}
	permitted := g.permitted(found)
	switch {
	case len(found) == 0:
		return nil, vpn.Errorf(vpn.Unavailable, "destination %q has no address", host)
	case len(permitted) == 0:
		return nil, refusal(fmt.Sprintf("%q (%s)", host, found[0]))
	}
	return permitted, nil
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(host string) string {
	if in, ok := strings.CutPrefix(host, "["); ok {
		if in, ok := strings.CutSuffix(in, "]"); ok {
			return in
		}
	}
	return host
}

// resolvable reports whether host can be a name. One whose last label is a
// number, such as "127.1" or "0x7f000001", cannot: it is an IPv4 address to
// C libraries, and would be asked of the DNS in vain.
func resolvable(host string) bool {
	if host == "" || len(host) > 254 || strings.ContainsAny(host, "%:[]/\\ \x00") {
		return false
	}
	name := strings.TrimSuffix(host, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") != ""
	}
	return strings.Trim(last, "0123456789") != ""
}
