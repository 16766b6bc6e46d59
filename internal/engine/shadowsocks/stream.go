package shadowsocks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/Jigsaw-Code/outline-sdk/transport"
	onet "github.com/Jigsaw-Code/outline-ss-server/net"

	"vpn/internal/engine/inbound"
	"vpn/internal/vpn"
)

// helloSize is how many bytes a client sends at least, and what the library
// looks for a key with. It is more than a salt and a sealed length.
const helloSize = 50

// A client is one connection of a client.
type client struct {
	*aead
	door   *door
	conn   *net.TCPConn
	source netip.AddrPort
	until  time.Time // it has to show a key, and say where it wants to
}

// stream returns what serves a connection that comes in by a door.
func (s *aead) stream(d *door) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		c := &client{aead: s, door: d, conn: conn, until: time.Now().Add(s.handshake)}
		defer func() { _ = conn.Close() }()
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			c.source = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
		}
		leave, ok := s.live.Enter("", func() { _ = conn.Close() })
		if !ok {
			return
		}
		defer leave()
		if !s.streams.enter(c.source.Addr()) {
			return
		}
		known := false
		know := func() {
			if !known {
				known = true
				s.streams.leave(c.source.Addr())
			}
		}
		defer know()
		_ = conn.SetReadDeadline(c.until)
		var hello [helloSize]byte
		k, err := c.authenticate(hello[:])
		if err != nil {
			s.log.Debug("stranger", slog.Any("source", c.source), slog.Any("err", err))
			c.absorb()
			return
		}
		know()
		c.serve(k, hello[:])
	}
}

// absorb reads what a client sends, and answers nothing, until it ends or its
// time is over.
func (c *client) absorb() {
	c.drain(c.until)
}

// drain reads what a client sends until it ends, or until a time. What has come
// by now is read at least: a connection that is closed with something unread
// ends with a reset, and not as others do.
func (c *client) drain(until time.Time) {
	const moment = 50 * time.Millisecond
	if soon := time.Now().Add(moment); until.Before(soon) {
		until = soon
	}
	_ = c.conn.SetReadDeadline(until)
	from, err := newWaiter(c.conn)
	for err == nil {
		err = drainSome(from)
	}
}

func drainSome(from waiter) error {
	var buf *[sealedSize]byte
	give := func() { sealedBuffers.Put(buf) }
	_, err := from.read(func() []byte {
		buf = sealedBuffers.Get().(*[sealedSize]byte)
		return buf[:]
	}, give)
	if err == nil {
		give()
	}
	return err
}

var (
	errPatience = errors.New("too many from there have shown no key")
	errStopping = errors.New("the server is stopping")
)

// authenticate finds the key that opens what a client says first.
func (c *client) authenticate(hello []byte) (*key, error) {
	if _, err := io.ReadFull(c.conn, hello); err != nil {
		return nil, err
	}
	from := c.source.Addr()
	wait, ok := c.streams.trial(from)
	if ok && wait == 0 {
		return c.try(c.door.any, hello)
	}
	k, err := c.try(c.door.known, hello)
	if !ok {
		if err != nil {
			err = errPatience
		}
		return k, err
	}
	defer c.streams.waited(from)
	if err == nil {
		return k, nil
	}
	t := time.NewTimer(min(wait, time.Until(c.until)))
	defer t.Stop()
	select {
	case <-t.C:
		return c.try(c.door.any, hello)
	case <-c.over:
		return nil, errStopping
	}
}

// try is one trial, of all keys or of some.
func (c *client) try(authenticate func(transport.StreamConn) (string, transport.StreamConn, *onet.ConnectionError), hello []byte) (*key, error) {
	id, _, failure := authenticate(&opening{c.conn, bytes.NewReader(hello)})
	if failure != nil {
		return nil, failure
	}
	k := c.door.ring.get(vpn.CredentialID(id))
	if k == nil {
		return nil, errors.New("the key was taken away at this moment")
	}
	c.streams.forgive(c.source.Addr())
	return k, nil
}

// An opening is a connection whose first bytes were read already.
type opening struct {
	*net.TCPConn
	hello *bytes.Reader
}

// Read implements [io.Reader].
func (o *opening) Read(b []byte) (int, error) { return o.hello.Read(b) }

// serve serves a client who has shown a key.
func (c *client) serve(k *key, hello []byte) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f, err := c.open(k, c.source, "tcp", func() {
		cancel()
		inbound.HangUp(c.conn)
	})
	if err != nil {
		c.log.Debug("flow refused", slog.Any("source", c.source), slog.Any("err", err))
		return
	}
	defer f.Close()
	t, err := newTunnel(ctx, f, c, k, hello)
	if err != nil {
		c.log.Error("no ciphers", slog.Any("err", err))
		return
	}
	defer t.release()
	to, early, err := t.request()
	if err != nil { // as if there had been no key: nothing tells that there was one
		t.release()
		f.Close()
		c.absorb()
		return
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	dst, err := c.guard.DialContext(ctx, "tcp", to)
	if err != nil {
		c.log.Debug("destination refused", slog.Any("source", c.source), slog.Any("err", err))
		return
	}
	t.carry(dst.(*net.TCPConn), early)
}

var errAddress = errors.New("no address")

// The kinds of addresses, as in SOCKS5.
const (
	kindIPv4 = 1
	kindName = 3
	kindIPv6 = 4
)

// A target is where a client wants to.
type target struct {
	host string
	addr netip.Addr // if host is no name
	port uint16
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// parseTarget reads an address off the beginning of b. More is true if b is
// too short to tell.
func parseTarget(b []byte) (to target, rest []byte, more bool, err error) {
	if len(b) < 2 {
		return target{}, nil, true, nil
	}
	head, size := 1, 0
	switch b[0] {
	case kindIPv4:
		size = 4
	case kindIPv6:
		size = 16
	case kindName:
		head, size = 2, int(b[1])
	}
	if size == 0 {
		return target{}, nil, false, errAddress
	}
	if len(b) < head+size+2 {
		return target{}, nil, true, nil
	}
	host := b[head : head+size]
	to.port = binary.BigEndian.Uint16(b[head+size:])
	if b[0] == kindName {
		to.host = string(host)
		if a, err := netip.ParseAddr(to.host); err == nil {
			to.addr = a
		}
	} else {
		to.addr, _ = netip.AddrFromSlice(host)
		to.host = to.addr.String()
	}
	return to, b[head+size+2:], false, nil
}

// appendAddr appends an address as datagrams to a client begin with.
func appendAddr(b []byte, from netip.AddrPort) []byte {
	a := from.Addr().Unmap().WithZone("")
	if a.Is4() {
		b = append(b, kindIPv4)
	} else {
		b = append(b, kindIPv6)
	}
	return binary.BigEndian.AppendUint16(append(b, a.AsSlice()...), from.Port())
}
