//go:build unix

package inbound

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// A SocketReader reads from a socket. It holds a buffer only while there is
// something in it: most connections are silent most of the time.
type SocketReader struct {
	raw     syscall.RawConn
	buffers *Buffers
}

// NewSocketReader returns a reader of the socket c, whose raw side is raw.
func NewSocketReader(_ net.Conn, raw syscall.RawConn, buffers *Buffers) *SocketReader {
	return &SocketReader{raw, buffers}
}

// Read waits until there is something, and returns it and how to give the
// buffer back. Nothing, without an error, is the end of a stream, or a
// datagram that is empty.
func (r *SocketReader) Read() (b []byte, release func(), err error) {
	var n int
	waitErr := r.raw.Read(func(fd uintptr) bool {
		b, release = r.buffers.Borrow()
		n, err = syscall.Read(int(fd), b)
		for errors.Is(err, syscall.EINTR) {
			n, err = syscall.Read(int(fd), b)
		}
		if errors.Is(err, syscall.EAGAIN) {
			release()
			return false
		}
		return true
	})
	switch {
	case waitErr != nil:
		return nil, nil, waitErr
	case err != nil:
		release()
		return nil, nil, os.NewSyscallError("read", err)
	}
	return b[:n], release, nil
}
