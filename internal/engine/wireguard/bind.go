package wireguard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"vpn/internal/vpn"
)

// A bind is the server's place on the network, which may move. To
// wireguard-go it is one that is closed and opened again; what it opens then
// is open already, so that a place that cannot be had changes nothing.
//
// open, cancel, moves and shut must not be called concurrently.
type bind struct {
	mu        sync.Mutex
	now, next *sockets // nil: none
}

// sockets are what is open at one place.
type sockets struct {
	conn.Bind
	addr     netip.Addr
	port     uint16
	receives []conn.ReceiveFunc
	closed   bool
}

func (s *sockets) Close() error {
	s.closed = true
	return s.Bind.Close()
}

var _ conn.Bind = (*bind)(nil)

func newBind() *bind { return &bind{} }

// open opens addr and port. After an error everything is as it was.
func (b *bind) open(addr netip.Addr, port uint16) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil && !b.now.closed && b.now.addr == addr && b.now.port == port {
		return nil
	}
	s, err := openSockets(addr, port)
	if err != nil && b.now != nil && !b.now.closed && b.now.port == port && vpn.KindOf(err) == vpn.Conflict {
		// It may be this bind's own sockets that are in the way.
		_ = b.now.Close()
		if s, err = openSockets(addr, port); err != nil {
			restored, lost := openSockets(b.now.addr, b.now.port)
			if lost != nil {
				return errors.Join(err, lost)
			}
			b.next = restored // what was handed over has ended
			return err
		}
	}
	if err != nil {
		return err
	}
	b.next = s
	return nil
}

// cancel closes what was opened for nothing.
func (b *bind) cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		_ = b.next.Close()
	}
	b.next = nil
}

// moves reports whether wireguard-go has to be told of another place.
func (b *bind) moves() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next != nil
}

// shut closes everything.
func (b *bind) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range []*sockets{b.now, b.next} {
		if s != nil && !s.closed {
			_ = s.Close()
		}
	}
	b.now, b.next = nil, nil
}

// Open implements [conn.Bind]: it hands over what open has opened.
func (b *bind) Open(uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		if b.now == nil {
			return nil, 0, net.ErrClosed
		}
		// The device was taken down and up again.
		s, err := openSockets(b.now.addr, b.now.port)
		if err != nil {
			return nil, 0, err
		}
		b.next = s
	}
	b.now, b.next = b.next, nil
	return b.now.receives, b.now.port, nil
}

// Close implements [conn.Bind].
func (b *bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil || b.now.closed {
		return nil
	}
	return b.now.Close()
}

// SetMark implements [conn.Bind]. There is none.
func (b *bind) SetMark(uint32) error { return nil }

// Send implements [conn.Bind].
func (b *bind) Send(bufs [][]byte, ep conn.Endpoint) error {
	b.mu.Lock()
	s := b.now
	b.mu.Unlock()
	if s == nil {
		return net.ErrClosed
	}
	return s.Send(bufs, ep)
}

// ParseEndpoint implements [conn.Bind].
func (b *bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	return (&conn.StdNetBind{}).ParseEndpoint(s)
}

// BatchSize implements [conn.Bind].
func (b *bind) BatchSize() int { return conn.IdealBatchSize }

// openSockets opens a place: every address, every one of IPv4, or one.
func openSockets(addr netip.Addr, port uint16) (*sockets, error) {
	s := &sockets{addr: addr, port: port}
	var err error
	switch addr = addr.Unmap(); {
	case !addr.IsValid(), addr == netip.IPv6Unspecified():
		s.Bind = conn.NewStdNetBind()
		s.receives, _, err = s.Open(port)
	default:
		one := newOneAddress(addr)
		s.Bind = one
		s.receives, _, err = s.Open(port)
	}
	if err != nil {
		return nil, bindError(err, addr, port)
	}
	return s, nil
}

// bindError says in the product's words why an address cannot be bound.
func bindError(err error, addr netip.Addr, port uint16) error {
	var e *vpn.Error
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e = vpn.Errorf(vpn.Conflict, "port %d is taken", port).WithHint("choose another port, or stop what listens on it")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e = vpn.Errorf(vpn.Invalid, "this machine has no address %s", addr).WithHint("listen on ::, which is every address")
	case errors.Is(err, os.ErrPermission):
		e = vpn.Errorf(vpn.Denied, "port %d may not be bound", port).WithHint("ports below 1024 need root or CAP_NET_BIND_SERVICE")
	default:
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	e.Err = err
	return e
}

// oneAddress is a [conn.Bind] of one address, for which wireguard-go has none.
// It moves a packet at a time, and so costs more than [conn.StdNetBind].
type oneAddress struct {
	network string
	addr    netip.Addr
	conn    *net.UDPConn
}

func newOneAddress(addr netip.Addr) *oneAddress {
	if addr.Is4() {
		return &oneAddress{network: "udp4", addr: addr}
	}
	return &oneAddress{network: "udp6", addr: addr}
}

// Open implements [conn.Bind].
func (o *oneAddress) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	const buffer = 4 << 20 // as much as wireguard-go asks for, and the kernel gives what it likes
	c, err := net.ListenUDP(o.network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.addr, port)))
	if err != nil {
		return nil, 0, err
	}
	_, _ = c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer)
	o.conn = c
	receive := func(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, from, err := c.ReadFromUDPAddrPort(packets[0])
		if err != nil {
			return 0, err
		}
		sizes[0] = n
		eps[0] = &conn.StdNetEndpoint{AddrPort: from}
		return 1, nil
	}
	return []conn.ReceiveFunc{receive}, port, nil
}

// Close implements [conn.Bind].
func (o *oneAddress) Close() error { return o.conn.Close() }

// SetMark implements [conn.Bind].
func (o *oneAddress) SetMark(uint32) error { return nil }

// Send implements [conn.Bind].
func (o *oneAddress) Send(bufs [][]byte, ep conn.Endpoint) error {
	to, ok := ep.(*conn.StdNetEndpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	return errors.Join(slices.Collect(func(yield func(error) bool) {
		for _, b := range bufs {
			if _, err := o.conn.WriteToUDPAddrPort(b, to.AddrPort); err != nil && !yield(err) {
				return
			}
		}
	})...)
}

// ParseEndpoint implements [conn.Bind].
func (o *oneAddress) ParseEndpoint(s string) (conn.Endpoint, error) {
	return (&conn.StdNetBind{}).ParseEndpoint(s)
}

// BatchSize implements [conn.Bind].
func (o *oneAddress) BatchSize() int { return conn.IdealBatchSize }
