package proxy

import (
	"io"
	"net"
	"sync"

	"vpn/internal/engine/inbound"
)

// portionSize is how much is moved at a time: two records of TLS.
const portionSize = 32 << 10

// portions and buffers are of portionSize, datagramBuffers hold any datagram
// with the header of SOCKS5 in front.
//
//nolint:gochecknoglobals // a pool is the process's by nature
var (
	portions        = inbound.NewBuffers(portionSize)
	buffers         = sync.Pool{New: func() any { return new([portionSize]byte) }}
	datagramBuffers = sync.Pool{New: func() any { return new([datagramSize]byte) }}
)

// connReader reads from any connection, of which it cannot know when there is
// something to read: its buffer is small.
type connReader struct {
	conn net.Conn
	buf  []byte
}

func (r *connReader) read() ([]byte, func(), error) {
	const size = 8 << 10
	if r.buf == nil {
		r.buf = make([]byte, size)
	}
	n, err := r.conn.Read(r.buf)
	return r.buf[:n], func() {}, err
}

// socketReader reads from a socket.
type socketReader struct{ *inbound.SocketReader }

func (r socketReader) read() ([]byte, func(), error) {
	b, release, err := r.Read()
	if err == nil && len(b) == 0 {
		release()
		return nil, nil, io.EOF
	}
	return b, release, err
}

// bufferPool lends buffers to package httputil.
type bufferPool struct{}

func (bufferPool) Get() []byte { return buffers.Get().(*[portionSize]byte)[:] }

func (bufferPool) Put(b []byte) {
	if len(b) == portionSize {
		buffers.Put((*[portionSize]byte)(b))
	}
}
