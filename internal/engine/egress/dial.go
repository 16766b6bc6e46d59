package egress

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

const (
	headStart   = 250 * time.Millisecond // of one attempt before the next, RFC 8305
	dialTimeout = 10 * time.Second       // of one attempt
)

// DialContext resolves the host of address and connects to it, as
// [net.Dialer.DialContext] does, unless users may not reach it.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "destination %q is not host:port", address)
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "destination %q has no valid port", address)
	}
	addrs, err := g.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	return g.Dial(ctx, network, addrs, uint16(port))
}

// Dial connects to the first of addrs that answers. IPv6 and IPv4 take turns;
// each attempt has a head start over the next, and a failed one starts the
// next at once. Every address is judged again, and once more when its socket
// is about to connect, so that no caller can forget to. The connection is a [*net.TCPConn] or a connected [*net.UDPConn].
//
// The error is of kind [vpn.Denied] if users may reach none of addrs, and of
// kind [vpn.Unavailable], wrapping the first failure, if none answers.
func (g *Guard) Dial(ctx context.Context, network string, addrs []netip.Addr, port uint16) (net.Conn, error) {
	if len(addrs) == 0 {
		return nil, vpn.Errorf(vpn.Unavailable, "destination has no address")
	}
	first := netip.AddrPortFrom(addrs[0], port).String()
	if addrs = g.permitted(addrs); len(addrs) == 0 {
		return nil, refusal(first)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		results = make(chan dialed, len(addrs)) // no attempt ever waits for its reader
		todo    = takeTurns(addrs)
		pending int
		failure error
	)
	// Most destinations have one address, whose attempt needs no timer.
	var next *time.Timer
	var late <-chan time.Time
	if len(todo) > 1 {
		next = time.NewTimer(headStart)
		defer next.Stop()
		late = next.C
	}
	attempt := func() {
		if len(todo) == 0 {
			return
		}
		to := netip.AddrPortFrom(todo[0], port).String()
		todo = todo[1:]
		pending++
		go func() {
			conn, err := g.connect(ctx, network, to)
			results <- dialed{conn, err}
		}()
		if len(todo) > 0 {
			next.Reset(headStart)
		}
	}
	for attempt(); pending > 0; {
		select {
		case <-late:
			attempt()
		case r := <-results:
			pending--
			if r.err == nil {
				if pending > 0 {
					go closeAll(results, pending)
				}
				return r.conn, nil
			}
			if failure == nil {
				failure = r.err
			}
			if ctx.Err() != nil {
				todo = nil
			}
			attempt()
		}
	}
	return nil, &vpn.Error{Kind: vpn.Unavailable, Message: "destination " + first + " cannot be reached", Err: failure}
}

// Control is for [net.Dialer.Control]: it refuses to connect a socket to an
// address that users may not reach.
func (g *Guard) Control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !g.Permits(a.Addr()) {
		return refusal(address)
	}
	return nil
}

type dialed struct {
	conn net.Conn
	err  error
}

// closeAll closes the connections of the n attempts that came too late.
func closeAll(results <-chan dialed, n int) {
	for range n {
		if r := <-results; r.err == nil {
			_ = r.conn.Close()
		}
	}
}

// takeTurns orders addrs so that IPv6 comes first and the families alternate.
func takeTurns(addrs []netip.Addr) []netip.Addr {
	var six, four, out []netip.Addr
	for _, a := range addrs {
		if a.Unmap().Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for len(six) > 0 || len(four) > 0 {
		if len(six) > 0 {
			out, six = append(out, six[0]), six[1:]
		}
		if len(four) > 0 {
			out, four = append(out, four[0]), four[1:]
		}
	}
	return out
}
