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

// A socketReader reads from a TCP socket into as many buffers as the last
// read needed. It is there instead of xray's, which takes a reset by the peer
// for nothing to read and waits for ever, with its buffers in hand.
type socketReader struct {
	raw     syscall.RawConn
	buffers int // to read into
}

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
