package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// A Dialer tests a server by opening a TCP connection to it from this machine:
// first as clients do, then, if that fails, at the address that it listens
// on, to tell a server that does not answer from one that is not reached.
// Whether a user is let in, it does not try.
type Dialer struct {
	Protocols []protocol.Protocol
	Timeout   time.Duration // of each attempt; 0: 5 seconds
}

// Test returns what was found, as the end of a sentence about the server. An
// error is of kind [vpn.Invalid] if the server cannot be tested like that,
// and [vpn.Unavailable] if it does not answer.
func (d Dialer) Test(ctx context.Context, s vpn.ServerInfo) (string, error) {
	i := slices.IndexFunc(d.Protocols, func(p protocol.Protocol) bool { return p.Name() == s.Protocol })
	if i < 0 {
		return "", vpn.Errorf(vpn.Invalid, "it is not known how %s is reached", s.Protocol)
	}
	on := d.Protocols[i].Networks()
	switch {
	case !s.Enabled:
		return "", vpn.Errorf(vpn.Invalid, "the server is stopped").WithHint("start it first")
	case !slices.Contains(on, "tcp"):
		return "", vpn.Errorf(vpn.Invalid, "%s listens on UDP and answers nobody without a key, so it cannot be tested from here", s.Protocol).
			WithHint("connect a device, and see whether it is among the connections")
	}
	more := ""
	if slices.Contains(on, "udp") {
		more = "; UDP was not tried"
	}
	took, err := d.dial(ctx, s.Endpoint)
	if err == nil {
		return fmt.Sprintf("answers at %s in %s over TCP%s", s.Endpoint, milliseconds(took), more), nil
	}
	own := ownAddress(s)
	if took, ownErr := d.dial(ctx, own); ownErr == nil && own != s.Endpoint {
		return "", vpn.Errorf(vpn.Unavailable, "it answers on this machine (%s, %s) and not at %s: %s", own, milliseconds(took), s.Endpoint, reason(err)).
			WithHint("a firewall or a router may be between, or this machine cannot reach its own public address; try it from elsewhere")
	}
	return "", vpn.Errorf(vpn.Unavailable, "nothing answers at %s: %s", s.Endpoint, reason(err))
}

func (d Dialer) dial(ctx context.Context, addr string) (time.Duration, error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	begin := time.Now()
	c, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
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

// reason is the last part of a failed dial: what a person has to know.
func reason(err error) string {
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
