//go:build unix

package shadowsocks

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A waiter reads from a TCP socket, and takes a buffer only once there is
// something to read.
type waiter struct{ raw syscall.RawConn }

func newWaiter(c *net.TCPConn) (waiter, error) {
	raw, err := c.SyscallConn()
	return waiter{raw}, err
}

// read reads into the buffer that take returns; give is called if it was not
// needed after all.
func (w waiter) read(take func() []byte, give func()) (n int, err error) {
	waitErr := w.raw.Read(func(fd uintptr) bool {
		b := take()
		n, err = syscall.Read(int(fd), b)
		for errors.Is(err, syscall.EINTR) {
			n, err = syscall.Read(int(fd), b)
		}
		if errors.Is(err, syscall.EAGAIN) {
			give()
			return false
		}
		return true
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		give()
		return 0, os.NewSyscallError("read", err)
	case n <= 0:
		give()
		return 0, io.EOF
	}
	return n, nil
}

// waitReadable returns when a datagram has come to a socket, or the socket was
// closed. It takes nothing.
func waitReadable(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
}
