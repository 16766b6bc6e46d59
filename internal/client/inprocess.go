package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// InProcess returns a client of h, which runs in goroutines of this process.
// Answers stream: they are read while h writes them. When an answer has been
// read to its end or closed, h has returned.
func InProcess(h http.Handler) *Client { return newClient(handlerTransport{h}) }

type handlerTransport struct{ h http.Handler }

// RoundTrip runs the handler and returns when it has begun to answer.
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Err() != nil { // the handler must not begin, and might be faster than the select below
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, context.Cause(r.Context())
	}
	ctx, cancel := context.WithCancel(r.Context())
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pw, started: make(chan struct{})}
	done := make(chan struct{})

	req := r.Clone(ctx)
	req.RequestURI = r.URL.RequestURI()
	if req.Body == nil {
		req.Body = http.NoBody
	}
	go func() {
		defer close(done)
		defer req.Body.Close()
		_ = pw.CloseWithError(t.serve(w, req))
	}()

	select {
	case <-w.started:
	case <-ctx.Done():
		cancel()
		_ = pr.Close()
		<-done // what the handler holds (a store, a lock) must be free when we return
		return nil, context.Cause(r.Context())
	}
	length, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1 // not said
	}
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          &pipeBody{PipeReader: pr, cancel: cancel, done: done},
		ContentLength: length,
		Request:       r,
	}, nil
}

// serve runs the handler. It returns nil, which the reader of the answer sees
// as its end, only if the handler returned.
func (t handlerTransport) serve(w *pipeWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.WriteHeader(http.StatusInternalServerError)
			err = fmt.Errorf("handler panicked: %v", v)
		}
	}()
	t.h.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return nil
}

// pipeBody is the answer's body. Closing it ends the handler and waits for it.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (b *pipeBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}

// pipeWriter is the handler's side of an answer. Every write is a flush.
type pipeWriter struct {
	header  http.Header
	pipe    *io.PipeWriter
	once    sync.Once
	started chan struct{}

	// Set before started is closed.
	status int
	sent   http.Header
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

// Flush implements [http.Flusher].
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }
