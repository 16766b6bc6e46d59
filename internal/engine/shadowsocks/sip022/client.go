package sip022

import (
	"container/list"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
)

// maxStrangers is how many connections may be open whose client has not shown
// who it is. Each costs memory, and the machine may be small.
const maxStrangers = 4096

// strangers are the connections of those who have not shown who they are,
// first come first. A client of ours does so at once: of too many the first
// has to go.
type strangers struct {
	mu   sync.Mutex
	ends *list.List // of func()
}

func newStrangers() *strangers { return &strangers{ends: list.New()} }

// enter adds one, which end ends, and returns how it leaves; it may leave more
// than once.
func (s *strangers) enter(end func()) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends.Len() >= maxStrangers {
		s.ends.Remove(s.ends.Front()).(func())()
	}
	el := s.ends.PushBack(end)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ends.Remove(el)
	}
}

func sourceOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// serve takes up one connection.
func (e *Engine) serve(conn *net.TCPConn) {
	end := func() { _ = conn.Close() } // whoever serves it notices
	bye := end
	defer func() { bye() }()
	leave, ok := e.live.Enter("", end)
	if !ok {
		return
	}
	defer leave()
	known := e.strange.enter(end)
	defer known()
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(e.options.greet))
	o := newOpener(conn, raw)
	defer o.close()
	r, err := e.hear(o)
	source := sourceOf(conn.RemoteAddr())
	if err != nil {
		e.log.Debug("stranger", slog.Any("source", source), slog.Any("err", err))
		o.drain()
		return
	}
	known()
	o.src.fresh = largeBuffer
	if err := e.carry(r, o, source); err != nil {
		e.log.Debug("request refused", slog.Any("source", source),
			slog.String("credential", string(r.user.credential)), slog.Any("err", err))
		bye = func() { inbound.HangUp(conn) }
	}
}

// carry does what a request asks for. An error is one before it began.
func (e *Engine) carry(r *request, o *opener, source netip.AddrPort) error {
	f, err := e.open(r.user, source, "tcp", func() { inbound.HangUp(o.conn) })
	if err != nil {
		return err
	}
	defer f.close()
	dst, err := e.guard.DialContext(f.ctx, "tcp", r.target.String())
	if err != nil {
		return err
	}
	e.tunnel(f, r, o, dst.(*net.TCPConn))
	return nil
}
