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
	if err != nil { // the target has answered, and the connection is closed
		e.tell(ctx, raw, true, err)
		return
	}
	conn := &xreality.Conn{Conn: authenticated}
	defer func() { _ = conn.Close() }()

	source := xnet.DestinationFromAddr(raw.RemoteAddr())
	in := &session.Inbound{
		Source: source,
		Local:  xnet.DestinationFromAddr(raw.LocalAddr()),
		Conn:   conn,
	}
	ctx = session.ContextWithInbound(ctx, in)
	ctx = session.ContextWithContent(ctx, &session.Content{})
	if err := e.door.Process(ctx, xnet.Network_TCP, conn, e.door.dispatcher); err != nil {
		stranger := in.User == nil // who has the server's key, and no id that is known here
		e.tell(ctx, raw, stranger, err)
	}
}

// tell logs how a connection ended, at debug: all that costs something is done
// only if somebody wants to know.
func (e *Engine) tell(ctx context.Context, conn net.Conn, stranger bool, err error) {
	if !e.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("source", conn.RemoteAddr().String()), slog.String("err", withoutSecrets(err.Error()))}
	if stranger {
		e.log.LogAttrs(ctx, slog.LevelDebug, "stranger", attrs...)
	} else {
		e.log.LogAttrs(ctx, slog.LevelDebug, "connection ended", attrs...)
	}
}
