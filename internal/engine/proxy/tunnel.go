package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/splice"
)

// A flow is what one client does on a user's account, until it is closed.
type flow struct {
	*inbound.Flow
	ctx    context.Context //nolint:containedctx // it ends with the flow, as the meter wants
	cancel context.CancelFunc
}

// open begins a flow of a client. When it has to end, so does the client's
// connection.
func (e *Engine) open(a *account, c *client, network string) (*flow, error) {
	ctx, cancel := context.WithCancel(context.Background())
	current := func() bool { return e.accounts.Load().has(a) }
	f, err := e.live.Open(e.meter, a.credential, c.source, network, current, func() {
		cancel()
		inbound.HangUp(c.raw)
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
	client *client
	front  net.Conn // the client's connection with TLS, if there is TLS; else client
	dst    *net.TCPConn
	pipes  *splice.Pipes

	rawDst, rawSrc syscall.RawConn
	idle           *inbound.Idler
	moves          atomic.Uint64 // portions that passed
}

// tunnel carries a stream until it ends. What the client has sent already is
// in early. It closes all it is given.
func (e *Engine) tunnel(f *flow, c *client, front net.Conn, early []byte, dst *net.TCPConn) {
	defer f.close()
	defer func() { _ = front.Close() }()
	defer func() { _ = dst.Close() }()
	defer context.AfterFunc(f.ctx, func() { _ = dst.Close() })()
	_ = c.raw.SetDeadline(time.Time{})
	t := &tunnel{flow: f, client: c, front: front, dst: dst, pipes: e.pipes}
	var err error
	if t.rawDst, err = dst.SyscallConn(); err != nil {
		return
	}
	if t.rawSrc, err = c.raw.SyscallConn(); err != nil {
		return
	}
	t.idle = inbound.NewIdler(inbound.IdleTunnel, t.moves.Load, t.end)
	defer t.idle.Stop()
	var up sync.WaitGroup
	up.Go(func() { t.upload(early) })
	t.download()
	up.Wait()
}

// end ends the stream. What is on its way to the client still arrives.
func (t *tunnel) end() {
	t.cancel()
	_ = t.client.raw.Close()
}

// upload moves bytes to the destination until the client has sent its last.
func (t *tunnel) upload(early []byte) {
	err := t.pass(meter.Up, early, t.dst)
	if err == nil {
		err = t.copyUp()
	}
	switch {
	case err == nil:
		_ = t.dst.CloseWrite()
		t.idle.Within(inbound.ThinkTime)
	case errors.Is(err, splice.ErrSource):
		t.end()
	default: // the destination takes no more, but may have something to say
		t.idle.Within(inbound.Linger)
	}
}

// download moves bytes to the client until the destination has sent its last.
func (t *tunnel) download() {
	if err := t.copyDown(); err != nil {
		t.end()
		return
	}
	if secured, ok := t.front.(interface{ CloseWrite() error }); ok {
		_ = secured.CloseWrite() // the client would take the end for a cut else
	}
	_ = t.client.raw.CloseWrite()
	t.idle.Within(inbound.Linger)
}

func (t *tunnel) copyUp() error {
	if !t.spliced() {
		return t.copy(meter.Up, t.dst, &connReader{conn: t.front}, nil)
	}
	err := t.copy(meter.Up, t.dst, socketReader{inbound.NewSocketReader(t.client.raw, t.rawSrc, portions)}, isMuch)
	if !errors.Is(err, errMuch) {
		return err
	}
	return t.splice(meter.Up, t.rawDst, t.rawSrc)
}

func (t *tunnel) copyDown() error {
	from := socketReader{inbound.NewSocketReader(t.dst, t.rawDst, portions)}
	if !t.spliced() {
		return t.copy(meter.Down, t.front, from, nil)
	}
	err := t.copy(meter.Down, t.front, from, isMuch)
	if !errors.Is(err, errMuch) {
		return err
	}
	return t.splice(meter.Down, t.rawSrc, t.rawDst)
}

// errMuch says that more comes at a time than is best copied. A few bytes the
// kernel splices at twice the cost.
var errMuch = errors.New("the kernel shall do it")

func isMuch(n int) bool { return n >= portionSize/2 }

// spliced reports whether the kernel can move what comes.
func (t *tunnel) spliced() bool { return splice.Supported && t.front == net.Conn(t.client) }

func (t *tunnel) splice(d meter.Direction, dst, src syscall.RawConn) error {
	return t.pipes.Move(dst, src, func(n int) (int, error) {
		t.moves.Add(1)
		return t.Wait(t.ctx, d, n)
	})
}

// A portionReader reads a portion into a buffer of the pool, which it holds
// only while there is something in it, where the system lets it.
type portionReader interface {
	// read returns some bytes, and how to give them back.
	read() ([]byte, func(), error)
}

// copy moves bytes until the source has sent its last, or a portion of them is
// one of which enough, if it is not nil, says that it is: then the error is
// errMuch.
func (t *tunnel) copy(d meter.Direction, to io.Writer, from portionReader, enough func(int) bool) error {
	for {
		b, release, err := from.read()
		if len(b) > 0 {
			passed := t.pass(d, b, to)
			release()
			if passed != nil {
				return passed
			}
			if err == nil && enough != nil && enough(len(b)) {
				return errMuch
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.Join(splice.ErrSource, err)
		}
	}
}

// pass writes as much of b as the meter lets pass, all of it or an error.
func (t *tunnel) pass(d meter.Direction, b []byte, to io.Writer) error {
	for len(b) > 0 {
		n, err := t.Wait(t.ctx, d, len(b))
		if err != nil {
			return err
		}
		t.moves.Add(1)
		if _, err := to.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
