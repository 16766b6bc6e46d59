//go:build !unix

package sip022

import (
	"net"
	"syscall"
)

// A source reads from a TCP connection.
type source struct {
	conn  *net.TCPConn
	fresh func() *buffer
	end   int
}

func newSource(c *net.TCPConn, _ syscall.RawConn, fresh func() *buffer, end int) *source {
	return &source{c, fresh, end}
}

func (s *source) read(buf *buffer, at int) (*buffer, int, error) {
	if buf == nil {
		buf = s.fresh()
	}
	n, err := s.conn.Read(buf.b[at:min(len(buf.b), s.end)])
	return buf, n, err
}

func waitReadable(syscall.RawConn) error { return nil }
