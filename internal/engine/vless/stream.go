package vless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xtls/xray-core/common"
	"github.com/xtls/xray-core/common/buf"
	xnet "github.com/xtls/xray-core/common/net"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/splice"
)

const (
	idleStream  = 5 * time.Minute
	idlePackets = 2 * time.Minute // what RFC 4787 asks of a NAT, at least
	// idleSpliced leaves the end of a silent connection to TCP keepalive: in
	// it are the push services of phones, silent for half an hour at a time.
	idleSpliced = 24 * time.Hour
)

// A stream is a TCP flow.
//
// Vision lets bytes pass as they are once both ends speak TLS 1.3 through it,
// and then the kernel moves them. Whoever moves them, no byte passes that the
// meter has not counted before.
type stream struct {
	*tunnel
	pipes  *splice.Pipes
	log    *slog.Logger
	dst    *net.TCPConn
	rawDst syscall.RawConn
	rawSrc syscall.RawConn // of the client
	idle   *inbound.Idler
	moves  atomic.Uint64 // portions that passed
}

// stream carries a TCP flow.
func (d *dispatcher) stream(ctx context.Context, t *tunnel, dest xnet.Destination) error {
	addrs, err := d.guard.Resolve(ctx, hostOf(dest.Address))
	if err != nil {
		return err
	}
	conn, err := d.guard.DialHere(ctx, "tcp", addrs, uint16(dest.Port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	s := &stream{tunnel: t, pipes: d.pipes, log: d.log, dst: conn.(*net.TCPConn)}
	if s.rawDst, err = s.dst.SyscallConn(); err != nil {
		return fmt.Errorf("reach the destination's socket: %w", err)
	}
	if s.rawSrc, err = s.client.SyscallConn(); err != nil {
		return fmt.Errorf("reach the client's socket: %w", err)
	}
	s.relay(ctx)
	return nil
}

// relay moves bytes both ways until both ends are done, or one is gone.
func (s *stream) relay(ctx context.Context) {
	s.idle = inbound.NewIdler(idleStream, s.moves.Load, s.end)
	defer s.idle.Stop()
	var up sync.WaitGroup
	up.Go(func() { s.upload(ctx) })
	s.download(ctx)
	up.Wait()
}

// upload moves bytes to the destination until the client has sent its last.
func (s *stream) upload(ctx context.Context) {
	switch err := s.copyUp(ctx); {
	case err == nil:
		_ = s.dst.CloseWrite()
		s.idle.Within(inbound.Linger)
	case errors.Is(err, splice.ErrSource):
		s.end()
	default: // the destination takes no more, but may have something to say
		s.idle.Within(inbound.Linger)
	}
}

func (s *stream) copyUp(ctx context.Context) error {
	to := buf.NewWriter(s.dst)
	for {
		if s.maySpliceUp() {
			return s.splice(ctx, meter.Up, s.rawDst, s.rawSrc)
		}
		mb, err := s.link.Reader.ReadMultiBuffer()
		if err := s.pass(ctx, meter.Up, mb, to); err != nil {
			return err
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("%w: %w", splice.ErrSource, err)
		}
	}
}

// download moves bytes to the client until the destination has sent its last.
func (s *stream) download(ctx context.Context) {
	err := s.copyDown(ctx)
	if err != nil {
		s.end()
		return
	}
	s.closeDown()
	s.idle.Within(inbound.Linger)
}

func (s *stream) copyDown(ctx context.Context) error {
	from := newReader(s.dst, s.rawDst)
	for {
		if s.maySpliceDown() {
			s.idle.Within(idleSpliced)
			return s.splice(ctx, meter.Down, s.rawSrc, s.rawDst)
		}
		mb, err := from.ReadMultiBuffer()
		if err := s.pass(ctx, meter.Down, mb, s.link.Writer); err != nil {
			return err
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// pass writes as much of mb as the meter lets pass, all of it or an error.
func (s *stream) pass(ctx context.Context, d meter.Direction, mb buf.MultiBuffer, to buf.Writer) error {
	for n := int(mb.Len()); n > 0; {
		k, err := s.Wait(ctx, d, n)
		if err != nil {
			buf.ReleaseMulti(mb)
			return err
		}
		n -= k
		for k > 0 {
			part := mb
			if int(mb.Len()) > k {
				mb, part = buf.SplitSize(mb, int32(k)) // which may give less
			} else {
				mb = nil
			}
			k -= int(part.Len())
			if err := to.WriteMultiBuffer(part); err != nil {
				buf.ReleaseMulti(mb)
				return err
			}
		}
		s.moves.Add(1)
	}
	return nil
}

// maySpliceDown reports whether the rest of the download is the destination's
// bytes unchanged.
func (s *stream) maySpliceDown() bool {
	return splice.Supported && !s.shared && s.in.CanSpliceCopy == 1
}

// maySpliceUp reports whether the rest of the upload is the client's bytes
// unchanged, none of which has been read ahead.
func (s *stream) maySpliceUp() bool {
	r, ok := s.link.Reader.(*visionReader)
	return splice.Supported && ok && !s.shared && r.direct
}

// splice lets the kernel move the rest of one direction.
func (s *stream) splice(ctx context.Context, d meter.Direction, dst, src syscall.RawConn) error {
	s.log.Debug("the kernel moves the rest", slog.Bool("up", d == meter.Up))
	return s.pipes.Move(dst, src, func(n int) (int, error) {
		s.moves.Add(1)
		return s.Wait(ctx, d, n)
	})
}

// closeDown tells the client that no more comes. xray would close the
// connection instead, and that only after a pause.
func (s *stream) closeDown() {
	if s.shared {
		_ = common.Close(s.link.Writer)
		return
	}
	if s.in.CanSpliceCopy != 1 {
		// The client still reads TLS of ours: without this it would take the
		// end for a cut.
		if c, ok := s.in.Conn.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}
	_ = s.client.CloseWrite()
}

func hostOf(a xnet.Address) string {
	if a.Family().IsDomain() {
		return a.Domain()
	}
	return a.IP().String()
}
