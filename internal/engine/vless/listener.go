package vless

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/xtls/reality"
	xnet "github.com/xtls/xray-core/common/net"
	"github.com/xtls/xray-core/common/session"
	xreality "github.com/xtls/xray-core/transport/internet/reality"

	"vpn/internal/vpn"
)

// listen binds addr; the unspecified IPv6 address is every one, IPv4 too. A
// port that anybody else listens on, xray with SO_REUSEPORT among them, is of
// kind [vpn.Conflict].
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
		return nil, bindError(err, addr, port)
	}
	return ln.(*net.TCPListener), nil
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

// accept serves the connections of ln in the background until it is closed.
func (e *Engine) accept(ln *net.TCPListener) {
	e.accepts.Go(func() {
		const pause = 100 * time.Millisecond
		for {
			conn, err := ln.AcceptTCP()
			switch {
			case err == nil:
				go e.serve(conn)
			case errors.Is(err, net.ErrClosed):
				return
			default: // out of file descriptors, most likely
				e.log.Warn("connection not accepted", slog.Any("err", err))
				time.Sleep(pause)
			}
		}
	})
}

// serve carries one connection until it ends.
func (e *Engine) serve(raw *net.TCPConn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	leave, ok := e.live.enter("", func() {
		cancel()
		_ = raw.Close()
	})
	if !ok {
		_ = raw.Close()
		return
	}
	defer leave()
	authenticated, err := reality.Server(ctx, raw, e.reality.Load())
	if err != nil {
		return // a stranger: the target has answered, and the connection is closed
	}
	conn := &xreality.Conn{Conn: authenticated}
	defer func() { _ = conn.Close() }()

	source := xnet.DestinationFromAddr(raw.RemoteAddr())
	ctx = session.ContextWithInbound(ctx, &session.Inbound{
		Source: source,
		Local:  xnet.DestinationFromAddr(raw.LocalAddr()),
		Conn:   conn,
	})
	ctx = session.ContextWithContent(ctx, &session.Content{})
	if err := e.door.Process(ctx, xnet.Network_TCP, conn, e.door.dispatcher); err != nil {
		e.log.Debug("connection ended", slog.String("source", source.NetAddr()), slog.String("err", withoutSecrets(err.Error())))
	}
}
