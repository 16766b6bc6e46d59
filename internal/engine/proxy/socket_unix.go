//go:build unix

package proxy

import (
	"errors"
	"syscall"
)

// waitReadable returns when a datagram has come to a socket, or its deadline
// has passed. It takes nothing.
func waitReadable(raw syscall.RawConn) error {
	return raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
}
