package wireguard

import (
	"context"
	"io"
	"net"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A stackReader reads from an endpoint of the network stack. It holds a buffer
// only while there is something in it.
type stackReader struct {
	ep       tcpip.Endpoint
	queue    *waiter.Queue
	entry    waiter.Entry
	readable <-chan struct{}
}

func readStack(ep tcpip.Endpoint, queue *waiter.Queue) *stackReader {
	r := &stackReader{ep: ep, queue: queue}
	var readable chan struct{}
	r.entry, readable = waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	r.readable = readable
	queue.EventRegister(&r.entry)
	return r
}

func (r *stackReader) stop() { r.queue.EventUnregister(&r.entry) }

// read waits until there is something, and returns it and how to give the
// buffer back. Nothing, without an error, is a datagram that is empty. The end
// of a stream, or of an endpoint that was closed here, is [io.EOF].
func (r *stackReader) read(ctx context.Context) (b []byte, release func(), err error) {
	for {
		b, release = portions.Borrow()
		w := tcpip.SliceWriter(b)
		got, failed := r.ep.Read(&w, tcpip.ReadOptions{})
		switch failed.(type) {
		case nil:
			return b[:got.Count], release, nil
		case *tcpip.ErrClosedForReceive:
			release()
			return nil, nil, io.EOF
		case *tcpip.ErrWouldBlock:
			release()
		default:
			release()
			return nil, nil, net.ErrClosed
		}
		select {
		case <-r.readable:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}
