package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Reached is a server that answers.
type Reached struct {
	Endpoint string
	Took     time.Duration // of the connection
	Untried  []string      // networks that it listens on too: "udp"
}

// String says so, as the end of a sentence about the server.
func (r Reached) String() string {
	text := fmt.Sprintf("answers at %s in %s over TCP", r.Endpoint, milliseconds(r.Took))
	for _, network := range r.Untried {
		text += "; " + strings.ToUpper(network) + " was not tried"
	}
	return text
}

// connecting is how long one connection to a server may take.
const connecting = 5 * time.Second

// Server tries whether a server, which listens on networks, is reached from
// this machine, by opening a TCP connection: first as clients do, then, if
// that fails, at the address that it listens on, to tell a server that does
// not answer from one that is not reached. Whether a user is let in, it does
// not try.
//
// An error is of kind [vpn.Invalid] if the server cannot be tried like that,
// and [vpn.Unavailable] if it does not answer.
func Server(ctx context.Context, s vpn.ServerInfo, networks []string) (Reached, error) {
	r := Reached{Endpoint: s.Endpoint}
	switch {
	case !s.Enabled:
		return r, vpn.Errorf(vpn.Invalid, "the server is stopped").WithHint("start it first: vpn server start %s", s.Name)
	case !slices.Contains(networks, "tcp"):
		return r, vpn.Errorf(vpn.Invalid, "%s listens on UDP and answers nobody without a key, so it cannot be tested from here", s.Protocol).
			WithHint("connect a device, and see whether it is among the connections: vpn monitor connections")
	}
	r.Untried = slices.DeleteFunc(slices.Clone(networks), func(n string) bool { return n == "tcp" })
	var err error
	if r.Took, err = dial(ctx, s.Endpoint); err == nil {
		return r, nil
	}
	own := ownAddress(s)
	if took, ownErr := dial(ctx, own); ownErr == nil && own != s.Endpoint {
		return r, vpn.Errorf(vpn.Unavailable, "it answers on this machine (%s, %s) and not at %s: %s", own, milliseconds(took), s.Endpoint, whyNot(err)).
			WithHint("a firewall or a router may be between, or this machine cannot reach its own public address; try it from elsewhere")
	}
	return r, vpn.Errorf(vpn.Unavailable, "nothing answers at %s: %s", s.Endpoint, whyNot(err)).
		WithHint("see whether it runs, and what its log says: vpn server logs %s", s.Name)
}

// dial returns how long a connection to addr took.
func dial(ctx context.Context, addr string) (time.Duration, error) {
	begin := time.Now()
	c, err := (&net.Dialer{Timeout: connecting}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing is lost
	return time.Since(begin), nil
}

// ownAddress is how a server is reached from its own machine.
func ownAddress(s vpn.ServerInfo) string {
	host := s.Listen.String()
	if !s.Listen.IsValid() || s.Listen.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(s.Port)))
}

// whyNot is the last part of a failed dial: what a person has to know.
func whyNot(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "there is no address of " + strconv.Quote(dns.Name)
	}
	op, ok := errors.AsType[*net.OpError](err)
	switch {
	case ok && op.Timeout():
		return "no answer in time"
	case ok && op.Err != nil:
		if cause := errors.Unwrap(op.Err); cause != nil {
			return cause.Error()
		}
		return op.Err.Error()
	}
	return err.Error()
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
}
