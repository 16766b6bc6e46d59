package vless

import (
	"net"
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
func sheltered(link *transport.Link, client *net.TCPConn) *transport.Link {
	r, isReader := link.Reader.(*proxy.VisionReader)
	w, isWriter := link.Writer.(*proxy.VisionWriter)
	if !isReader || !isWriter {
		return link
	}
	state := new(sync.Mutex)
	r.Reader = outside{state, r.Reader, nil}
	w.Writer = outside{state, nil, w.Writer}
	return &transport.Link{
		Reader: &visionReader{vision: r, state: state, client: client},
		Writer: &visionWriter{vision: w, state: state},
	}
}

type visionReader struct {
	vision *proxy.VisionReader
	state  *sync.Mutex
	client *net.TCPConn
	direct bool // what comes next is the client's socket's, as it is; for who reads
}

// ReadMultiBuffer implements [buf.Reader].
func (r *visionReader) ReadMultiBuffer() (buf.MultiBuffer, error) {
	r.state.Lock()
	defer r.state.Unlock()
	mb, err := r.vision.ReadMultiBuffer()
	if _, ours := r.vision.Reader.(outside); !ours {
		// Vision has begun to read the socket itself, by xray's means.
		if raw, err := r.client.SyscallConn(); err == nil {
			r.vision.Reader = outside{r.state, newReader(r.client, raw), nil}
			r.direct = true
		}
	}
	return mb, err
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
	if _, ours := w.vision.Writer.(outside); !ours {
		// Vision has begun to write to the socket itself.
		w.vision.Writer = outside{w.state, nil, w.vision.Writer}
	}
	return err
}

// outside reads and writes without the lock that Vision is called under.
type outside struct {
	state *sync.Mutex
	r     buf.Reader
	w     buf.Writer
}

func (o outside) ReadMultiBuffer() (buf.MultiBuffer, error) {
	o.state.Unlock()
	defer o.state.Lock()
	return o.r.ReadMultiBuffer()
}

func (o outside) WriteMultiBuffer(mb buf.MultiBuffer) error {
	o.state.Unlock()
	defer o.state.Lock()
	return o.w.WriteMultiBuffer(mb)
}
