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
	log     *slog.Logger
	serve   func(*net.TCPConn)
	accepts sync.WaitGroup // one for each listener

	now, next place
}

// A place is a listener and where it is meant to be.
type place struct {
	addr netip.Addr
	port uint16
	ln   *net.TCPListener // nil: there is none
}

// NewGate returns a gate that is closed. Each connection gets a goroutine that
// runs serve, which has to close it.
func NewGate(log *slog.Logger, serve func(*net.TCPConn)) *Gate {
	return &Gate{log: log, serve: serve}
}

// Open binds addr and port, and lets connections queue there until Serve is
// called; the unspecified IPv6 address is every one, IPv4 too. Where the gate
// is already, it stays. After an error it is as it was, unless Closed says
// that it could not be.
//
// A port that anybody else listens on, with SO_REUSEPORT or not, is of kind
// [vpn.Conflict]; an address that is not of this machine of kind
// [vpn.Invalid]; a port that takes a privilege of kind [vpn.Denied].
func (g *Gate) Open(ctx context.Context, addr netip.Addr, port uint16) error {
	old := g.now
	if old.ln != nil && old.addr == addr && old.port == port {
		g.next = old
		return nil
	}
	ln, err := listen(ctx, addr, port)
	if err != nil && old.ln != nil && old.port == port && vpn.KindOf(err) == vpn.Conflict {
		ln, err = g.instead(ctx, addr, port)
	}
	if err != nil {
		return err
	}
	g.next = place{addr, port, ln}
	return nil
}

// instead binds an address that contains the one in use, or is contained in
// it: then it is the gate's own listener that is in the way.
func (g *Gate) instead(ctx context.Context, addr netip.Addr, port uint16) (*net.TCPListener, error) {
	if err := g.now.ln.Close(); err != nil {
		return nil, fmt.Errorf("close the listener: %w", err)
	}
	ln, err := listen(ctx, addr, port)
	if err == nil {
		g.now.ln = nil // Abandon would go back
		return ln, nil
	}
	restored, lost := listen(ctx, g.now.addr, g.now.port)
	if lost != nil {
		g.now = place{}
		return nil, errors.Join(err, lost)
	}
	g.now.ln = restored
	g.accept(restored)
	return nil, err
}

// Serve takes what comes to the place that was opened last, and leaves the
// one before.
func (g *Gate) Serve() {
	old := g.now
	g.now, g.next = g.next, place{}
	if g.now.ln == old.ln {
		return
	}
	if old.ln != nil {
		_ = old.ln.Close()
	}
	g.accept(g.now.ln)
}

// Abandon undoes an Open that no Serve has followed, as far as Closed does not
// say that it could not be.
func (g *Gate) Abandon() {
	if g.next.ln != nil && g.next.ln != g.now.ln {
		_ = g.next.ln.Close()
	}
	g.next = place{}
	if g.now.ln != nil || g.now.port == 0 {
		return
	}
	ln, err := listen(context.Background(), g.now.addr, g.now.port)
	if err != nil {
		g.now = place{}
		return
	}
	g.now.ln = ln
	g.accept(ln)
}

// Closed reports whether nothing comes in.
func (g *Gate) Closed() bool { return g.now.ln == nil }

// Close stops listening. Connections that have come in stay. It can be opened
// again.
func (g *Gate) Close() {
	for _, p := range []place{g.now, g.next} {
		if p.ln != nil {
			_ = p.ln.Close()
		}
	}
	g.now, g.next = place{}, place{}
	g.accepts.Wait()
}

// accept serves the connections of ln in the background until it is closed.
func (g *Gate) accept(ln *net.TCPListener) {
	g.accepts.Go(func() {
		const pause = 100 * time.Millisecond
		for {
			conn, err := ln.AcceptTCP()
			switch {
			case err == nil:
				go g.serve(conn)
			case errors.Is(err, net.ErrClosed):
				return
			default: // out of file descriptors, most likely
				g.log.Warn("connection not accepted", slog.Any("err", err))
				time.Sleep(pause)
			}
		}
	})
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
