package sip022

import (
	"encoding/binary"
	"io"
	"net"
	"syscall"
)

// An opener reads what a client sends on a connection and opens it. While
// nothing is there it holds no buffer: most connections are silent most of the
// time.
type opener struct {
	box
	conn *net.TCPConn
	src  *source

	in         *buffer // nil: nothing is there
	begin, end int     // of what has not been opened
	out        *buffer // what was opened last
	length     int     // of the payload that comes next, if it is known; else -1
	failed     error
}

func newOpener(c *net.TCPConn, raw syscall.RawConn) *opener {
	return &opener{conn: c, src: newSource(c, raw, smallBuffer, largeSize), length: -1}
}

// pending returns what has been read and not opened.
func (o *opener) pending() []byte {
	if o.in == nil {
		return nil
	}
	return o.in.b[o.begin:o.end]
}

func (o *opener) skip(n int) { o.begin += n }

// fill waits for more, and reads once.
func (o *opener) fill() error {
	if o.begin == o.end {
		o.drop()
	} else {
		to := o.in.larger() // where the next chunk fits, whatever its length
		o.end = copy(to.b, o.pending())
		o.begin = 0
		if to != o.in {
			o.in.free()
			o.in = to
		}
	}
	var n int
	var err error
	o.in, n, err = o.src.read(o.in, o.end)
	o.end += n
	return err
}

// drop lets go of what was read.
func (o *opener) drop() {
	if o.in != nil {
		o.in.free()
	}
	o.in, o.begin, o.end = nil, 0, 0
}

// drain reads and throws away what comes, until the end or the deadline.
func (o *opener) drain() {
	for {
		o.drop()
		if err := o.fill(); err != nil {
			o.drop()
			return
		}
	}
}

// close gives the buffers back.
func (o *opener) close() {
	o.drop()
	if o.out != nil {
		o.out.free()
		o.out = nil
	}
}

// take opens the next n bytes in place, and waits for them.
func (o *opener) take(n int) ([]byte, error) {
	for o.end-o.begin < n+tagSize {
		if err := o.fill(); err != nil {
			return nil, err
		}
	}
	b := o.pending()[:n+tagSize]
	o.skip(len(b))
	p, err := o.open(b[:0], b)
	if err != nil {
		return nil, errForged
	}
	return p, nil
}

// next returns the payload of what has come, of one chunk or several, and
// waits for it. It is valid until the next call. The error is [io.EOF] if the
// client has ended the stream between two chunks, and errForged if somebody
// has tampered with it.
func (o *opener) next() ([]byte, error) {
	for {
		n := o.openAll()
		if n > 0 {
			return o.out.b[:n], nil
		}
		if o.out != nil {
			o.out.free()
			o.out = nil
		}
		if o.failed != nil {
			return nil, o.failed
		}
		if err := o.fill(); err != nil {
			if err == io.EOF && (o.begin != o.end || o.length >= 0) { //nolint:errorlint // it is never wrapped
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// openAll opens as many whole chunks as are there and fit, and returns how many
// bytes they had.
func (o *opener) openAll() (n int) {
	for o.failed == nil {
		if o.length < 0 {
			if o.end-o.begin < countSize+tagSize {
				return n
			}
			b, err := o.take(countSize)
			if err != nil {
				o.failed = err
				return n
			}
			o.length = int(binary.BigEndian.Uint16(b))
		}
		size := o.length + tagSize
		if o.end-o.begin < size {
			return n
		}
		if o.out == nil {
			o.out = largeBuffer()
		}
		if n+o.length > len(o.out.b) {
			return n
		}
		// Apart from the ciphertext, so that chunks stand one behind the other
		// and take one write.
		if _, err := o.open(o.out.b[n:n], o.pending()[:size]); err != nil {
			o.failed = errForged
			return n
		}
		n += o.length
		o.skip(size)
		o.length = -1
	}
	return n
}
