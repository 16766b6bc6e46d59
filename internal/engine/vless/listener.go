package vless

import (
	"context"
	"log/slog"
	"net"

	"github.com/xtls/reality"
	xnet "github.com/xtls/xray-core/common/net"
	"github.com/xtls/xray-core/common/session"
	xreality "github.com/xtls/xray-core/transport/internet/reality"
)

// serve carries one connection until it ends.
func (e *Engine) serve(raw *net.TCPConn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	leave, ok := e.live.Enter("", func() {
		cancel()
		_ = raw.Close()
	})
	if !ok {
		_ = raw.Close()
		return
	}
	defer leave()
	authenticated, err := reality.Server(ctx, e.wires.wrap(raw), e.reality.Load())
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
