package vless

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/xtls/xray-core/common/buf"

	"vpn/internal/engine/inbound"
)

const (
	maxBuffers = 8 // of xray's, that bytes are read into at once: 64 KiB
	portion    = maxBuffers * buf.Size
	// sealedPortion has room for a portion with the overhead of its records.
	// The first 128 KiB of a connection go in records of 1.2 KB, 22 bytes of
	// which are overhead.
	sealedPortion = portion + portion/32
)

// wires is what the wires of an engine share.
type wires struct{ sealed, ahead *inbound.Buffers }

func newWires() *wires {
	return &wires{sealed: inbound.NewBuffers(sealedPortion), ahead: inbound.NewBuffers(portion)}
}

// A wire is a client's TCP connection, as TLS uses it. TLS writes each record
// by a call of its own, and reads few more than one: here the records of one
// portion can leave together, and come together.
//
// What is not overridden is the socket's: package reality splices strangers
// through to the target.
type wire struct {
	*net.TCPConn
	wires *wires

	write   sync.Mutex
	held    []byte // sealed records; nil unless they are being gathered
	waiting int    // bytes in it
	failed  error  // of the writes since they are

	// For who reads.
	socket  *inbound.SocketReader // nil: TLS reads the socket itself
	ahead   []byte                // read from the socket, and not yet by TLS
	release func()                // gives back what ahead is in
	only    bool                  // read nothing but ahead
}

func (ws *wires) wrap(c *net.TCPConn) *wire { return &wire{TCPConn: c, wires: ws} }

// together calls f and sends what TLS writes meanwhile in as few calls as it
// can, all of it before it returns.
func (w *wire) together(f func() error) error {
	b, release := w.wires.sealed.Borrow()
	defer release()
	w.write.Lock()
	w.held, w.waiting, w.failed = b, 0, nil
	w.write.Unlock()
	err := f()
	w.write.Lock()
	defer w.write.Unlock()
	w.flush()
	w.held = nil
	if err != nil {
		return err
	}
	return w.failed
}

// Write implements [net.Conn]. Of a record that is held back the error comes
// later, from together.
func (w *wire) Write(b []byte) (int, error) {
	w.write.Lock()
	defer w.write.Unlock()
	if w.held == nil {
		return w.TCPConn.Write(b)
	}
	if len(b) > len(w.held)-w.waiting {
		w.flush()
	}
	switch {
	case w.failed != nil:
		return 0, w.failed
	case len(b) > len(w.held):
		return w.TCPConn.Write(b)
	}
	w.waiting += copy(w.held[w.waiting:], b)
	return len(b), nil
}

// flush sends what is held back. The caller holds w.write.
func (w *wire) flush() {
	if w.waiting > 0 && w.failed == nil {
		_, w.failed = w.TCPConn.Write(w.held[:w.waiting])
	}
	w.waiting = 0
}

// readAhead makes TLS read from the socket by portions. From now on what TLS
// has not read need not be in the socket any more.
func (w *wire) readAhead() error {
	raw, err := w.SyscallConn()
	if err != nil {
		return err
	}
	w.socket = inbound.NewSocketReader(w.TCPConn, raw, w.wires.ahead)
	return nil
}

// Read implements [net.Conn].
func (w *wire) Read(b []byte) (int, error) {
	if w.socket == nil {
		return w.TCPConn.Read(b)
	}
	if len(w.ahead) == 0 {
		if w.only {
			return 0, nothingYet{}
		}
		var err error
		if w.ahead, w.release, err = w.socket.Read(); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.ahead)
	if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
		w.release()
		w.release = nil
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}

// nothingYet is the error of a read that would have to wait. It is a
// [net.Error]: after a temporary one TLS can be read on.
type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// batchWriter writes what TLS makes of a portion together.
type batchWriter struct {
	wire *wire
	tls  buf.Writer
}

// WriteMultiBuffer implements [buf.Writer].
func (b batchWriter) WriteMultiBuffer(mb buf.MultiBuffer) error {
	const record = 1 << 10 // fits into one
	if mb.Len() <= record {
		return b.tls.WriteMultiBuffer(mb)
	}
	return b.wire.together(func() error { return b.tls.WriteMultiBuffer(mb) })
}

// A batchReader reads from TLS as much as has come, a portion at most.
type batchReader struct {
	wire   *wire
	tls    io.Reader
	failed error // of a read that came after bytes
}

// newBatchReader makes TLS read ahead: nobody may read from the socket itself
// any more.
func newBatchReader(w *wire, tls io.Reader) (*batchReader, error) {
	if err := w.readAhead(); err != nil {
		return nil, err
	}
	return &batchReader{wire: w, tls: tls}, nil
}

// ReadMultiBuffer implements [buf.Reader].
func (r *batchReader) ReadMultiBuffer() (buf.MultiBuffer, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	var mb buf.MultiBuffer
	defer func() { r.wire.only = false }()
	for {
		b := buf.New()
		for !b.IsFull() && r.failed == nil {
			had := b.Len()
			n, err := r.tls.Read(b.Extend(b.Available()))
			b.Resize(0, had+int32(n))
			r.failed = err
			r.wire.only = true // what has come is not to wait for more
		}
		if b.IsEmpty() {
			b.Release()
		} else {
			mb = append(mb, b)
		}
		switch {
		case errors.Is(r.failed, nothingYet{}):
			r.failed = nil
			return mb, nil
		case r.failed != nil && mb.IsEmpty():
			return nil, r.failed
		case r.failed != nil, len(mb) == maxBuffers:
			return mb, nil
		}
	}
}
