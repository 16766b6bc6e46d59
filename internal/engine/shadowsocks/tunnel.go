package shadowsocks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

// A tunnel is a stream between a client and a destination.
type tunnel struct {
	*inbound.Flow
	ctx    context.Context //nolint:containedctx // it ends with the flow, as the meter wants
	client *client
	dst    *net.TCPConn
	src    waiter
	idle   *inbound.Idler
	moves  atomic.Uint64 // portions that passed

	opener *opener
	sealer *sealer

	// What has come and is not opened yet: sealed[begin:end].
	sealed     *[sealedSize]byte
	begin, end int
}

func newTunnel(ctx context.Context, f *inbound.Flow, c *client, k *key, hello []byte) (*tunnel, error) {
	t := &tunnel{Flow: f, ctx: ctx, client: c}
	salt := k.entry.CryptoKey.SaltSize()
	var err error
	if t.opener, err = newOpener(k.entry.CryptoKey, hello[:salt]); err != nil {
		return nil, err
	}
	if t.sealer, err = newSealer(&k.entry); err != nil {
		return nil, err
	}
	if t.src, err = newWaiter(c.conn); err != nil {
		return nil, err
	}
	t.take()
	t.end = copy(t.sealed[:], hello[salt:])
	return t, nil
}

func (t *tunnel) take() []byte {
	t.sealed = sealedBuffers.Get().(*[sealedSize]byte)
	return t.sealed[:]
}

func (t *tunnel) give() {
	if t.sealed != nil {
		sealedBuffers.Put(t.sealed)
		t.sealed, t.begin, t.end = nil, 0, 0
	}
}

// release gives up what is held for the tunnel.
func (t *tunnel) release() { t.give() }

// next appends to plain what the client has sent, as soon as there is
// something. plain has room for a whole sealed buffer.
func (t *tunnel) next(plain []byte) ([]byte, error) {
	for {
		if t.begin < t.end {
			out, used, err := t.opener.open(plain, t.sealed[t.begin:t.end])
			t.begin += used
			if err != nil || len(out) > len(plain) {
				if t.begin == t.end {
					t.give()
				}
				return out, err
			}
		}
		if err := t.fill(); err != nil {
			return plain, err
		}
	}
}

// fill reads some more of what the client sends.
func (t *tunnel) fill() error {
	if t.begin == t.end {
		t.give()
		n, err := t.src.read(t.take, t.give)
		t.end = n
		if errors.Is(err, io.EOF) && t.opener.ahead >= 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	t.end = copy(t.sealed[:], t.sealed[t.begin:t.end])
	t.begin = 0
	n, err := t.client.conn.Read(t.sealed[t.end:])
	t.end += n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// request reads where the client wants to, and what it has sent beyond that.
func (t *tunnel) request() (to string, early []byte, err error) {
	buf := plainBuffers.Get().(*[sealedSize]byte)
	defer plainBuffers.Put(buf)
	for plain := buf[:0]; ; {
		if plain, err = t.next(plain); err != nil {
			return "", nil, err
		}
		to, rest, more, err := parseTarget(plain)
		if err != nil || !more {
			return to.String(), bytes.Clone(rest), err
		}
	}
}

// carry carries the stream until it ends. What the client has sent already is
// in early.
func (t *tunnel) carry(dst *net.TCPConn, early []byte) {
	t.dst = dst
	defer func() { _ = dst.Close() }()
	defer context.AfterFunc(t.ctx, func() { _ = dst.Close() })()
	t.idle = inbound.NewIdler(inbound.IdleTunnel, t.moves.Load, t.hangUp)
	defer t.idle.Stop()
	var up sync.WaitGroup
	up.Go(func() { t.upload(early) })
	t.download()
	up.Wait()
}

// hangUp ends the stream. What is on its way to the client still arrives.
func (t *tunnel) hangUp() {
	_ = t.client.conn.Close()
	_ = t.dst.Close()
}

// upload moves bytes to the destination until the client has sent its last.
func (t *tunnel) upload(early []byte) {
	err := t.pass(early)
	for err == nil {
		if err = t.uploadSome(); errors.Is(err, io.EOF) {
			_ = t.dst.CloseWrite()
			t.idle.Within(inbound.ThinkTime)
			return
		}
	}
	switch {
	case errors.Is(err, errSealed):
		// Somebody has meddled with the stream. That it ends shall not tell
		// them what they have hit.
		t.client.drain(time.Now().Add(t.client.handshake))
		t.hangUp()
	case errors.Is(err, errDestination): // it may have something to say
		t.idle.Within(inbound.Linger)
	default:
		t.hangUp()
	}
}

// uploadSome moves what has come.
func (t *tunnel) uploadSome() error {
	// There is no buffer for what is opened while nothing has come.
	if t.begin == t.end {
		if err := t.fill(); err != nil {
			return err
		}
	}
	buf := plainBuffers.Get().(*[sealedSize]byte)
	defer plainBuffers.Put(buf)
	plain, used, err := t.opener.open(buf[:0], t.sealed[t.begin:t.end])
	t.begin += used
	if passed := t.pass(plain); passed != nil {
		return passed
	}
	switch {
	case err != nil:
		return err
	case t.begin == t.end:
		t.give()
	case used == 0:
		return t.fill()
	}
	return nil
}

var errDestination = errors.New("the destination takes no more")

// pass writes as much of b to the destination as the meter lets pass, all of
// it or an error.
func (t *tunnel) pass(b []byte) error {
	for len(b) > 0 {
		n, err := t.Wait(t.ctx, meter.Up, len(b))
		if err != nil {
			return err
		}
		t.moves.Add(1)
		if _, err := t.dst.Write(b[:n]); err != nil {
			return errors.Join(errDestination, err)
		}
		b = b[n:]
	}
	return nil
}

// download moves bytes to the client until the destination has sent its last.
func (t *tunnel) download() {
	from, err := newWaiter(t.dst)
	for err == nil {
		err = t.downloadSome(from)
	}
	if !errors.Is(err, io.EOF) {
		t.hangUp()
		return
	}
	_ = t.client.conn.CloseWrite()
	t.idle.Within(inbound.Linger)
}

// downloadSome moves what has come.
func (t *tunnel) downloadSome(from waiter) error {
	var buf *[sealedSize]byte
	give := func() { plainBuffers.Put(buf) }
	n, err := from.read(func() []byte {
		buf = plainBuffers.Get().(*[sealedSize]byte)
		return buf[:portionSize]
	}, give)
	if err != nil {
		return err
	}
	defer give()
	sealed := sealedBuffers.Get().(*[sealedSize]byte)
	defer sealedBuffers.Put(sealed)
	for b := buf[:n]; len(b) > 0; {
		n, err := t.Wait(t.ctx, meter.Down, len(b))
		if err != nil {
			return err
		}
		t.moves.Add(1)
		if _, err := t.client.conn.Write(t.sealer.seal(sealed[:0], b[:n])); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
