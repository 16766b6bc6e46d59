package sip022

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// warm is how long a socket keeps its buffer at most after a datagram.
const warm = 2 * time.Second

// A datagramReader reads from a socket, and holds a buffer only while there
// is traffic.
type datagramReader struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	buf   *buffer
	until time.Time // it gives up the buffer
}

func newDatagramReader(c *net.UDPConn) *datagramReader {
	raw, err := c.SyscallConn()
	if err != nil {
		raw = nil // it is closed: so will the first read say
	}
	return &datagramReader{conn: c, raw: raw}
}

// next waits for a datagram, which then stands in buf behind answerRoom until
// the next call.
func (r *datagramReader) next() (int, netip.AddrPort, error) {
	for {
		if r.buf == nil {
			if err := r.conn.SetReadDeadline(time.Time{}); err != nil {
				return 0, netip.AddrPort{}, net.ErrClosed
			}
			if r.raw != nil {
				if err := waitReadable(r.raw); err != nil {
					return 0, netip.AddrPort{}, net.ErrClosed
				}
			}
			r.buf = largeBuffer()
		}
		if now := time.Now(); r.until.Sub(now) < warm/2 {
			r.until = now.Add(warm)
			_ = r.conn.SetReadDeadline(r.until)
		}
		n, from, err := r.conn.ReadFromUDPAddrPort(r.buf.b[answerRoom : largeSize-tagSize])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.release()
			continue
		}
		return n, from, err
	}
}

func (r *datagramReader) release() {
	if r.buf != nil {
		r.buf.free()
		r.buf, r.until = nil, time.Time{}
	}
}
