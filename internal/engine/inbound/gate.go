package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// A Gate is where connections come in: one listener, which may move. Its
// methods must not be called concurrently.
type Gate struct {
	gate[*net.TCPListener]
}

// NewGate returns a gate that is closed. Each connection gets a goroutine that
// runs serve, which has to close it.
func NewGate(log *slog.Logger, serve func(*net.TCPConn)) *Gate {
	return &Gate{gate[*net.TCPListener]{bind: listen, run: func(ln *net.TCPListener) { accept(ln, log, serve) }}}
}

// A PacketGate is where datagrams come in: one socket, which may move, as the
// listener of a [Gate] may. Its methods must not be called concurrently.
type PacketGate struct {
	gate[*net.UDPConn]
}

// NewPacketGate returns a gate that is closed. For each socket that it opens,
// serve runs in a goroutine; it has to return once the socket is closed.
func NewPacketGate(serve func(*net.UDPConn)) *PacketGate {
	return &PacketGate{gate[*net.UDPConn]{bind: listenPackets, run: serve}}
}

// A gate is a socket that may move.
type gate[S socket] struct {
	bind func(context.Context, netip.Addr, uint16) (S, error)
	run  func(S) // until the socket is closed
	runs sync.WaitGroup

	now, next place[S]
}

type socket interface {
	comparable
	Close() error
}

// A place is a socket and where it is meant to be.
type place[S socket] struct {
	addr netip.Addr
	port uint16
	sock S // nil: there is none
}

func (p *place[S]) open() bool {
	var none S
	return p.sock != none
}

// Open binds addr and port, and lets what comes queue there until Serve is
// called; the unspecified IPv6 address is every one, IPv4 too. Where the gate
// is already, it stays. After an error it is as it was, unless Closed says
// that it could not be.
//
// A port that anybody else listens on, with SO_REUSEPORT or not, is of kind
// [vpn.Conflict]; an address that is not of this machine of kind
// [vpn.Invalid]; a port that takes a privilege of kind [vpn.Denied].
func (g *gate[S]) Open(ctx context.Context, addr netip.Addr, port uint16) error {
	old := g.now
	if old.open() && old.addr == addr && old.port == port {
		g.next = old
		return nil
	}
	sock, err := g.bind(ctx, addr, port)
	if err != nil && old.open() && old.port == port && vpn.KindOf(err) == vpn.Conflict {
		sock, err = g.instead(ctx, addr, port)
	}
	if err != nil {
		return err
	}
	g.next = place[S]{addr, port, sock}
	return nil
}

// instead binds an address that contains the one in use, or is contained in
// it: then it is the gate's own socket that is in the way.
func (g *gate[S]) instead(ctx context.Context, addr netip.Addr, port uint16) (sock S, err error) {
	var none S
	if err := g.now.sock.Close(); err != nil {
		return none, fmt.Errorf("close the socket: %w", err)
	}
	sock, err = g.bind(ctx, addr, port)
	if err == nil {
		g.now.sock = none // Abandon would go back
		return sock, nil
	}
	restored, lost := g.bind(ctx, g.now.addr, g.now.port)
	if lost != nil {
		g.now = place[S]{}
		return none, errors.Join(err, lost)
	}
	g.now.sock = restored
	g.start(restored)
	return none, err
}

// Serve takes what comes to the place that was opened last, and leaves the
// one before.
func (g *gate[S]) Serve() {
	old := g.now
	g.now, g.next = g.next, place[S]{}
	if g.now.sock == old.sock {
		return
	}
	if old.open() {
		_ = old.sock.Close()
	}
	g.start(g.now.sock)
}

// Abandon undoes an Open that no Serve has followed, as far as Closed does not
// say that it could not be.
func (g *gate[S]) Abandon() {
	if g.next.open() && g.next.sock != g.now.sock {
		_ = g.next.sock.Close()
	}
	g.next = place[S]{}
	if g.now.open() || g.now.port == 0 {
		return
	}
	sock, err := g.bind(context.Background(), g.now.addr, g.now.port)
	if err != nil {
		g.now = place[S]{}
		return
	}
	g.now.sock = sock
	g.start(sock)
}

// Closed reports whether nothing comes in.
func (g *gate[S]) Closed() bool { return !g.now.open() }

// Close stops listening, and waits until nothing runs at the sockets any more.
// Connections that have come in stay. It can be opened again.
func (g *gate[S]) Close() {
	for _, p := range []place[S]{g.now, g.next} {
		if p.open() {
			_ = p.sock.Close()
		}
	}
	g.now, g.next = place[S]{}, place[S]{}
	g.runs.Wait()
}

// start runs the gate at a socket in the background until that is closed.
func (g *gate[S]) start(sock S) { g.runs.Go(func() { g.run(sock) }) }

// accept serves the connections of ln until it is closed.
func accept(ln *net.TCPListener, log *slog.Logger, serve func(*net.TCPConn)) {
	const pause = 100 * time.Millisecond
	for {
		conn, err := ln.AcceptTCP()
		switch {
		case err == nil:
			go serve(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, most likely
			log.Warn("connection not accepted", slog.Any("err", err))
			time.Sleep(pause)
		}
	}
}

func listen(ctx context.Context, addr netip.Addr, port uint16) (*net.TCPListener, error) {
	network, host := "tcp", addr.Unmap().String()
	switch {
	case !addr.IsValid(), addr == netip.IPv6Unspecified():
		host = "" // works on machines without IPv6 too
	case addr.Unmap().Is4():
		network = "tcp4" // 0.0.0.0 would mean IPv6 too
	}
	// Within three minutes it shows that a client is gone.
	c := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 45 * time.Second, Interval: 15 * time.Second, Count: 8}}
	ln, err := c.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return nil, bindError("port", err, addr, port)
	}
	return ln.(*net.TCPListener), nil
}

// bindError says in the product's words why an address cannot be bound.
func bindError(what string, err error, addr netip.Addr, port uint16) error {
	var e *vpn.Error
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e = vpn.Errorf(vpn.Conflict, "%s %d is taken", what, port).WithHint("choose another port, or stop what listens on it")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e = vpn.Errorf(vpn.Invalid, "this machine has no address %s", addr).WithHint("listen on ::, which is every address")
	case errors.Is(err, os.ErrPermission):
		e = vpn.Errorf(vpn.Denied, "%s %d may not be bound", what, port).WithHint("ports below 1024 need root or CAP_NET_BIND_SERVICE")
	default:
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	e.Err = err
	return e
}
