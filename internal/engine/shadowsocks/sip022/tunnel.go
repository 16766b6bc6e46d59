package sip022

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

// A flow is what one client does on a user's account, until it is closed.
type flow struct {
	*inbound.Flow
	ctx    context.Context //nolint:containedctx // it ends with the flow, as the meter wants
	cancel context.CancelFunc
}

// open begins a flow of a client. When it has to end, end is called, at most
// once; it must not block, and may be called before open returns.
func (e *Engine) open(u *user, source netip.AddrPort, network string, end func()) (*flow, error) {
	ctx, cancel := context.WithCancel(context.Background())
	current := func() bool { return e.keys.Load().has(u) }
	f, err := e.live.Open(e.meter, u.credential, source, network, current, func() {
		cancel()
		end()
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &flow{f, ctx, cancel}, nil
}

func (f *flow) close() {
	f.cancel()
	f.Flow.Close()
}

// A tunnel is a stream between a client and a destination.
type tunnel struct {
	*flow
	client *net.TCPConn
	dst    *net.TCPConn
	in     *opener
	out    *sealer
	idle   *inbound.Idler
	moves  atomic.Uint64 // portions that passed
}

// tunnel carries a stream until it ends, and closes dst.
func (e *Engine) tunnel(f *flow, r *request, o *opener, dst *net.TCPConn) {
	defer func() { _ = dst.Close() }()
	defer context.AfterFunc(f.ctx, func() { _ = dst.Close() })()
	_ = o.conn.SetDeadline(time.Time{})
	raw, err := dst.SyscallConn()
	if err != nil {
		return
	}
	t := &tunnel{flow: f, client: o.conn, dst: dst, in: o, out: newSealer(r, dst, raw, e.options.now)}
	t.idle = inbound.NewIdler(inbound.IdleTunnel, t.moves.Load, t.end)
	defer t.idle.Stop()
	var down sync.WaitGroup
	down.Go(t.download)
	t.upload(r.first, e.options.greet)
	down.Wait()
}

// end ends the stream. What is on its way to the client still arrives.
func (t *tunnel) end() {
	t.cancel()
	_ = t.client.Close()
}

// upload moves bytes to the destination until the client has sent its last.
func (t *tunnel) upload(b []byte, patience time.Duration) {
	err := t.send(b)
	for err == nil {
		if b, err = t.in.next(); err == nil {
			err = t.send(b)
		}
	}
	var gone *destinationError
	switch {
	case errors.Is(err, io.EOF):
		_ = t.dst.CloseWrite()
		t.idle.Within(inbound.ThinkTime)
	case errors.As(err, &gone): // it takes no more, but may have something to say
		t.idle.Within(inbound.Linger)
	case errors.Is(err, errForged):
		// Nobody learns from an end of the connection where that was noticed.
		_ = t.dst.CloseWrite()
		_ = t.client.SetReadDeadline(time.Now().Add(patience))
		t.in.drain()
		t.end()
	default:
		t.end()
	}
	t.in.close()
}

// A destinationError says that a destination takes no more.
type destinationError struct{ error }

// send passes b on to the destination.
func (t *tunnel) send(b []byte) error {
	for len(b) > 0 {
		n, err := t.Wait(t.ctx, meter.Up, len(b))
		if err != nil {
			return &destinationError{err}
		}
		t.moves.Add(1)
		if _, err := t.dst.Write(b[:n]); err != nil {
			return &destinationError{err}
		}
		b = b[n:]
	}
	return nil
}

// download moves bytes to the client until the destination has sent its last.
func (t *tunnel) download() {
	for {
		n, err := t.out.read()
		if n > 0 {
			if err := t.deliver(n); err != nil {
				t.end()
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = t.client.CloseWrite()
			t.idle.Within(inbound.Linger)
			return
		default:
			t.end()
			return
		}
	}
}

// deliver seals the n bytes that were read, and sends them to the client.
func (t *tunnel) deliver(n int) error {
	defer t.out.release()
	for at := 0; at < n; {
		k, err := t.Wait(t.ctx, meter.Down, n-at)
		if err != nil {
			return err
		}
		t.moves.Add(1)
		if err := t.out.send(t.client, at, k); err != nil {
			return err
		}
		at += k
	}
	return nil
}
