package vless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/xtls/xray-core/common"
	"github.com/xtls/xray-core/common/buf"
	xnet "github.com/xtls/xray-core/common/net"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// A stream is a TCP flow.
//
// What passes through user space is counted by Wait, byte by byte in both
// directions. Vision lets the kernel move a download by itself once both ends
// speak TLS 1.3 through it; from then on the destination's socket tells how
// far it is.
type stream struct {
	*tunnel
	dst   *net.TCPConn
	raw   syscall.RawConn // of dst
	idle  *idler
	moves atomic.Uint64 // buffers that passed

	read    atomic.Uint64 // bytes read from dst in user space; they are the first
	spliced atomic.Uint64 // bytes that the kernel has moved: told when it ends
}

// stream carries a TCP flow.
func (d *dispatcher) stream(ctx context.Context, t *tunnel, dest xnet.Destination) error {
	addrs, err := d.guard.Resolve(ctx, hostOf(dest.Address))
	if err != nil {
		return err
	}
	conn, err := d.guard.Dial(ctx, "tcp", addrs, uint16(dest.Port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	s := &stream{tunnel: t, dst: conn.(*net.TCPConn)}
	if s.raw, err = s.dst.SyscallConn(); err != nil {
		return fmt.Errorf("reach the destination's socket: %w", err)
	}
	s.relay(ctx)
	return nil
}

// relay moves bytes both ways until both ends are done, or one is gone.
func (s *stream) relay(ctx context.Context) {
	s.idle = newIdler(idleStream, s.moved, s.end)
	defer s.idle.stop()
	var up sync.WaitGroup
	up.Go(func() { s.upload(ctx) })
	s.download(ctx)
	up.Wait()
}

func (s *stream) moved() uint64 { return s.moves.Load() + s.splicedNow() }

// upload moves bytes to the destination until the client has sent its last.
func (s *stream) upload(ctx context.Context) {
	to := buf.NewWriter(s.dst)
	for {
		mb, err := s.link.Reader.ReadMultiBuffer()
		if s.pass(ctx, meter.Up, mb, to) != nil {
			// The destination takes no more, but may have something to say.
			s.idle.within(linger)
			return
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = s.dst.CloseWrite()
			s.idle.within(linger)
			return
		default:
			s.end()
			return
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
	s.idle.within(linger)
}

func (s *stream) copyDown(ctx context.Context) error {
	from := newReader(s.dst, s.raw)
	for {
		if s.maySplice() {
			return s.splice()
		}
		mb, err := from.ReadMultiBuffer()
		s.read.Add(uint64(mb.Len()))
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

// maySplice reports whether the rest of the download is the destination's
// bytes unchanged, and nobody needs to hold them back.
func (s *stream) maySplice() bool {
	return canSplice && !s.shared && s.in.CanSpliceCopy == 1 && s.MaySplice()
}

// splice lets the kernel move the rest of the download.
func (s *stream) splice() error {
	s.Splice(func() vpn.Traffic { return vpn.Traffic{Down: s.splicedNow()} })
	s.idle.within(idleSpliced)
	n, err := s.client.ReadFrom(s.dst)
	s.spliced.Store(uint64(n))
	return err
}

// splicedNow returns how many bytes the kernel has moved so far. While it is
// at it only the socket knows; when the socket is closed only we do.
func (s *stream) splicedNow() uint64 {
	n := s.spliced.Load()
	if got, ok := received(s.raw); ok {
		n = max(n, got-min(got, s.read.Load()))
	}
	return n
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
