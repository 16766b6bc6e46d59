package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpn/internal/vpn"

	protocol "vpn/internal/protocol/proxy"
)

const (
	// greetTime is how long a client has to say what it wants.
	greetTime = 10 * time.Second

	socksVersion = 5
	tlsHandshake = 22 // the type of the record that begins a TLS connection
)

// A client is one connection of a client, as a [net.Conn] that may begin with
// bytes that were read already.
type client struct {
	net.Conn
	raw    *net.TCPConn
	source netip.AddrPort
	ahead  []byte

	closing sync.Once
	leave   func() // the registry
	known   func() // called once the client has shown who it is; may be called again
	visit   *visit // what HTTP keeps for it, if it is HTTP
}

func (c *client) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// Close ends the connection, and all that is kept for it.
func (c *client) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		err = c.raw.Close()
		if c.visit != nil {
			c.visit.end()
		}
		c.known()
		c.leave()
	})
	return err
}

// part says the last to a client and closes the connection, not before the
// client has had the time to read it: whatever it still sends would turn the
// end into a reset that eats the words.
func (c *client) part() {
	const moment, most = 500 * time.Millisecond, 64 << 10
	_ = c.raw.CloseWrite()
	_ = c.raw.SetReadDeadline(time.Now().Add(moment))
	_, _ = io.CopyN(io.Discard, c.raw, most)
	_ = c.Close()
}

// serve takes up one connection.
func (e *Engine) serve(raw *net.TCPConn) {
	c := &client{Conn: raw, raw: raw, known: func() {}}
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.source = a.AddrPort()
		c.source = netip.AddrPortFrom(c.source.Addr().Unmap(), c.source.Port())
	}
	// Whoever serves the client notices, and closes the rest.
	leave, ok := e.live.Enter("", func() { _ = raw.Close() })
	if !ok {
		_ = raw.Close()
		return
	}
	c.leave, c.visit = leave, &visit{engine: e, client: c}
	r := e.rules.Load()
	var turnedAway error
	switch {
	case !r.admits(c.source.Addr()):
		turnedAway = errElsewhere
	case !e.strange.enter(c.source.Addr()):
		turnedAway = errTooMany
	}
	if turnedAway != nil {
		e.log.Debug("stranger", slog.Any("source", c.source), slog.Any("err", turnedAway))
		_ = c.Close()
		return
	}
	c.known = sync.OnceFunc(func() { e.strange.leave(c.source.Addr()) })
	switch {
	case r.protocol == protocol.SOCKS5:
		e.socks(c)
	case r.protocol == protocol.HTTP && r.tls != nil:
		e.handoff.give(tls.Server(c, r.tls))
	case r.protocol == protocol.HTTP:
		e.handoff.give(c)
	default:
		e.either(c, r)
	}
}

// either tells by its first byte what a client speaks.
func (e *Engine) either(c *client, r *rules) {
	c.ahead = make([]byte, 1)
	_ = c.raw.SetReadDeadline(time.Now().Add(e.greet))
	if _, err := io.ReadFull(c.raw, c.ahead); err != nil {
		_ = c.Close()
		return
	}
	_ = c.raw.SetReadDeadline(time.Time{})
	switch {
	case c.ahead[0] == socksVersion:
		e.socks(c)
	case c.ahead[0] == tlsHandshake && r.tls != nil:
		e.handoff.give(tls.Server(c, r.tls))
	default:
		e.handoff.give(c)
	}
}

// A handoff is the listener that the HTTP server is given connections by.
type handoff struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandoff() *handoff { return &handoff{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (h *handoff) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

// Accept implements [net.Listener].
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements [net.Listener].
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// Why somebody is a stranger, for the log.
var (
	errPassword   = errors.New("no user has that name and password")
	errNoPassword = errors.New("no name and password are given")
	errElsewhere  = errors.New("nobody is admitted from there")
	errTooMany    = errors.New("too many there have not shown who they are")
)

// identify returns whose name and password these are, once it is the turn of
// who asks, or nil.
func (e *Engine) identify(c *client, name, password string) *account {
	a := e.patience.judge(c.source.Addr(), e.accounts.Load().check(name, password))
	if a != nil {
		c.known()
	}
	return a
}

// guest returns the account of a client that has given no password, or nil if
// it needs one.
func (e *Engine) guest(c *client) *account {
	r := e.rules.Load()
	if !r.trusts(c.source.Addr()) {
		return nil
	}
	a := e.accounts.Load().anonymous(r.policy.AnonymousUser)
	if a != nil {
		c.known()
	}
	return a
}

// tooMany is the error for a request beyond the rate.
func tooMany(wait time.Duration) error {
	return vpn.Errorf(vpn.Denied, "too many requests").WithHint("wait %v", wait.Round(time.Millisecond))
}

// timedOut reports whether a destination did not answer.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
