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
		if b := o.openAll(); len(b) > 0 {
			return b, nil
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

// openAll opens as many whole chunks as are there and fit, and returns what
// they had.
func (o *opener) openAll() []byte {
	n := 0
	for o.failed == nil {
		if o.length < 0 {
			if o.end-o.begin < countSize+tagSize {
				break
			}
			b, err := o.take(countSize)
			if err != nil {
				o.failed = err
				break
			}
			o.length = int(binary.BigEndian.Uint16(b))
		}
		sealed := o.pending()
		if len(sealed) < o.length+tagSize {
			break
		}
		sealed = sealed[:o.length+tagSize]
		if n == 0 && len(sealed) > largeSize/2 {
			// There is no room for another one: it can stay where it is.
			b, err := o.open(sealed[:0], sealed)
			if err != nil {
				o.failed = errForged
			}
			o.skip(len(sealed))
			o.length = -1
			return b
		}
		if o.out == nil {
			o.out = largeBuffer()
		}
		if n+o.length > len(o.out.b) {
			break
		}
		// Apart from the ciphertext, so that chunks stand one behind the other
		// and take one write.
		if _, err := o.open(o.out.b[n:n], sealed); err != nil {
			o.failed = errForged
			break
		}
		n += o.length
		o.skip(len(sealed))
		o.length = -1
	}
	if n == 0 {
		return nil
	}
	return o.out.b[:n]
}
