//go:build unix

package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A socketReader reads from a TCP socket. It holds a buffer only while there
// is something in it: most connections are silent most of the time.
type socketReader struct{ raw syscall.RawConn }

func newSocketReader(_ *net.TCPConn, raw syscall.RawConn) portionReader { return socketReader{raw} }

func (r socketReader) read() (b []byte, release func(), err error) {
	var n int
	var buf *[portionSize]byte
	waitErr := r.raw.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[portionSize]byte)
		n, err = syscall.Read(int(fd), buf[:])
		for errors.Is(err, syscall.EINTR) {
			n, err = syscall.Read(int(fd), buf[:])
		}
		if errors.Is(err, syscall.EAGAIN) {
			buffers.Put(buf)
			buf = nil
			return false
		}
		return true
	})
	switch {
	case waitErr != nil:
		return nil, nil, waitErr
	case err != nil:
		n, err = 0, os.NewSyscallError("read", err)
	case n == 0:
		err = io.EOF
	}
	if n <= 0 {
		buffers.Put(buf)
		return nil, nil, err
	}
	return buf[:n], func() { buffers.Put(buf) }, nil
}

// waitReadable returns when a datagram has come to a socket, or its deadline
// has passed. It takes nothing.
func waitReadable(raw syscall.RawConn) error {
	return raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
}
