//go:build !unix

package inbound

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// A SocketReader reads from a socket.
type SocketReader struct {
	conn    net.Conn
	buffers *Buffers
}

// NewSocketReader returns a reader of the socket c.
func NewSocketReader(c net.Conn, _ syscall.RawConn, buffers *Buffers) *SocketReader {
	return &SocketReader{c, buffers}
}

// Read waits until there is something, and returns it and how to give the
// buffer back. Nothing, without an error, is the end of a stream, or a
// datagram that is empty.
func (r *SocketReader) Read() (b []byte, release func(), err error) {
	b, release = r.buffers.Borrow()
	n, err := r.conn.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		release()
		return nil, nil, err
	}
	return b[:n], release, nil
}
