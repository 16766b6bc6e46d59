package vless

import (
	"io"
	"sync"

	"github.com/xtls/xray-core/common/buf"
	"github.com/xtls/xray-core/proxy"
	"github.com/xtls/xray-core/transport"
)

// xray's reader and writer of Vision share state without a lock, though they
// run in different goroutines, and of a multiplexed connection every flow
// writes to the one writer. Here they take turns: one thinks at a time, while
// others may wait for their socket.

// sheltered returns link with its Vision, if it has one, made safe.
func sheltered(link *transport.Link, client *wire, tls io.Reader) *transport.Link {
	r, isReader := link.Reader.(*proxy.VisionReader)
	w, isWriter := link.Writer.(*proxy.VisionWriter)
	if !isReader || !isWriter {
		return link
	}
	state := new(sync.Mutex)
	padded := &outside{state: state, r: r.Reader}
	r.Reader = padded
	w.Writer = &outside{state: state, w: batchWriter{client, w.Writer}}
	return &transport.Link{
		Reader: &visionReader{vision: r, state: state, client: client, tls: tls, padded: padded},
		Writer: &visionWriter{vision: w, state: state},
	}
}

// looks is after how many buffers Vision does not look into what passes any
// more: it takes interest in the first eight, in both directions together.
const looks = 9

type visionReader struct {
	vision *proxy.VisionReader
	state  *sync.Mutex
	client *wire
	tls    io.Reader
	padded *outside // what Vision reads, until it reads the socket itself

	// For who reads.
	direct   bool // what comes next is the client's socket's, as it is
	unpadded bool // there has been padding
	plain    int  // reads since then that Vision has let through as they were
	batches  *batchReader
}

// ReadMultiBuffer implements [buf.Reader].
func (r *visionReader) ReadMultiBuffer() (buf.MultiBuffer, error) {
	if r.batches != nil {
		return r.batches.ReadMultiBuffer()
	}
	r.state.Lock()
	defer r.state.Unlock()
	mb, err := r.vision.ReadMultiBuffer()
	switch _, ours := r.vision.Reader.(*outside); {
	case !ours:
		// Vision has begun to read the socket itself, by xray's means.
		if raw, err := r.client.SyscallConn(); err == nil {
			r.vision.Reader = &outside{state: r.state, r: newReader(r.client.TCPConn, raw)}
			r.direct = true
		}
	case !r.direct && err == nil:
		err = r.settle(mb)
	}
	return mb, err
}

// settle notices when Vision is done: its padding has ended, and the client
// goes on in TLS. Then nothing of what comes can be for anybody but TLS, which
// may read it ahead.
func (r *visionReader) settle(mb buf.MultiBuffer) (err error) {
	switch {
	case mb.IsEmpty(), r.padded.last == nil:
	case mb[0] != r.padded.last:
		r.unpadded, r.plain = true, 0
	case r.unpadded:
		r.plain++
	}
	if r.plain == looks {
		r.batches, err = newBatchReader(r.client, r.tls)
	}
	return err
}

type visionWriter struct {
	vision *proxy.VisionWriter
	turn   sync.Mutex // of those who write; taken first
	state  *sync.Mutex
}

// WriteMultiBuffer implements [buf.Writer].
func (w *visionWriter) WriteMultiBuffer(mb buf.MultiBuffer) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.state.Lock()
	defer w.state.Unlock()
	err := w.vision.WriteMultiBuffer(mb)
	if _, ours := w.vision.Writer.(*outside); !ours {
		// Vision has begun to write to the socket itself.
		w.vision.Writer = &outside{state: w.state, w: w.vision.Writer}
	}
	return err
}

// outside reads and writes without the lock that Vision is called under.
type outside struct {
	state *sync.Mutex
	r     buf.Reader
	w     buf.Writer
	last  *buf.Buffer // the first of the last read; only to be compared with
}

func (o *outside) ReadMultiBuffer() (mb buf.MultiBuffer, err error) {
	o.state.Unlock()
	defer o.state.Lock()
	mb, err = o.r.ReadMultiBuffer()
	o.last = nil
	if len(mb) == 1 {
		o.last = mb[0]
	}
	return mb, err
}

func (o *outside) WriteMultiBuffer(mb buf.MultiBuffer) error {
	o.state.Unlock()
	defer o.state.Lock()
	return o.w.WriteMultiBuffer(mb)
}
