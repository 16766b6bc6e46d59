//go:build unix

package sip022

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A source reads from a TCP socket. It takes a buffer only when there is
// something to put into it.
type source struct {
	raw   syscall.RawConn
	fresh func() *buffer // takes one
	end   int            // of a buffer, how much is filled at most
	try   func(fd uintptr) bool

	// of the read under way
	buf *buffer
	at  int
	n   int
	err error
}

func newSource(_ *net.TCPConn, raw syscall.RawConn, fresh func() *buffer, end int) *source {
	s := &source{raw: raw, fresh: fresh, end: end}
	s.try = s.once
	return s
}

// read waits until there is something, and reads once, into buf from at on, or
// into a fresh buffer if buf is nil. It returns the buffer, which is nil only
// if buf was and nothing was read. The error is [io.EOF] at the end.
func (s *source) read(buf *buffer, at int) (*buffer, int, error) {
	s.buf, s.at, s.n, s.err = buf, at, 0, nil
	if err := s.raw.Read(s.try); err != nil {
		s.err = err
	}
	if s.n == 0 && buf == nil && s.buf != nil {
		s.buf.free()
		s.buf = nil
	}
	buf, s.buf = s.buf, nil
	return buf, s.n, s.err
}

// once is for [syscall.RawConn.Read].
func (s *source) once(fd uintptr) (done bool) {
	taken := s.buf == nil
	if taken {
		s.buf = s.fresh()
	}
	b := s.buf.b[s.at:min(len(s.buf.b), s.end)]
	n, err := syscall.Read(int(fd), b)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), b)
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		if taken {
			s.buf.free()
			s.buf = nil
		}
		return false
	case err != nil:
		s.err = os.NewSyscallError("read", err)
	case n == 0:
		s.err = io.EOF
	}
	s.n = max(n, 0)
	return true
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
