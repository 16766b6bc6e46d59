package vless

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/xtls/xray-core/common/buf"
	"golang.org/x/sys/unix"
)

// canSplice says that the kernel can move bytes from one socket to another.
const canSplice = true

// The states of a TCP socket whose peer has not sent its FIN, from the
// kernel's tcp_states.h.
const (
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
)

// received returns how many bytes of payload have come in on a TCP socket,
// unless it is closed.
func received(c syscall.RawConn) (n uint64, ok bool) {
	err := c.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		n, ok = info.Bytes_received, true
		switch info.State {
		case tcpEstablished, tcpFinWait1, tcpFinWait2:
		default: // the kernel counts the FIN as a byte
			n -= min(n, 1)
		}
	})
	return n, ok && err == nil
}

// A socketReader reads from a TCP socket into as many buffers as the last
// read needed. It is there instead of xray's, which takes a reset by the peer
// for nothing to read and waits for ever, with its buffers in hand.
type socketReader struct {
	raw     syscall.RawConn
	buffers int // to read into
}

const maxBuffers = 8 // 64 KiB

func newReader(_ *net.TCPConn, raw syscall.RawConn) buf.Reader {
	return &socketReader{raw: raw, buffers: 1}
}

// ReadMultiBuffer implements [buf.Reader].
func (r *socketReader) ReadMultiBuffer() (buf.MultiBuffer, error) {
	var mb buf.MultiBuffer
	var failed error
	err := r.raw.Read(func(fd uintptr) bool {
		mb, failed = r.read(int(fd))
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, os.NewSyscallError("readv", failed)
	case mb.IsEmpty():
		return nil, io.EOF
	}
	return mb, nil
}

// read returns what there is. It holds no buffers when there is nothing.
func (r *socketReader) read(fd int) (buf.MultiBuffer, error) {
	mb := make(buf.MultiBuffer, r.buffers)
	vectors := make([][]byte, r.buffers)
	for i := range mb {
		mb[i] = buf.New()
		vectors[i] = mb[i].Extend(buf.Size)
	}
	n, err := unix.Readv(fd, vectors)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Readv(fd, vectors)
	}
	if err != nil {
		n = 0
	}
	used := (n + buf.Size - 1) / buf.Size
	buf.ReleaseMulti(mb[used:])
	mb = mb[:used]
	if used > 0 {
		mb[used-1].Resize(0, int32(n-(used-1)*buf.Size))
	}
	if used == r.buffers {
		used *= 2
	}
	r.buffers = max(1, min(used, maxBuffers))
	return mb, err
}
