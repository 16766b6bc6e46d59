package xfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Server answers requests. Its zero value is ready for use.
type Server struct {
	accepted       atomic.Int64
	received, sent atomic.Uint64
	mu             sync.Mutex
	sources        map[string]int // live connections by the address they come from
}

// Serve answers every connection that l accepts, with TLS inside if there is a
// config, and returns once l is closed. It may be called for several listeners.
func (s *Server) Serve(l net.Listener, config *tls.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		raw, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // this one connection has failed
		}
		s.accepted.Add(1)
		go s.answer(ctx, &counted{Conn: raw, received: &s.received, sent: &s.sent}, config)
	}
}

// Moved returns the bytes that all connections together have received and
// sent, those of TLS included.
func (s *Server) Moved() (received, sent uint64) { return s.received.Load(), s.sent.Load() }

// Accepted returns how many connections there have been.
func (s *Server) Accepted() int { return int(s.accepted.Load()) }

// Live returns the live connections by the host they come from.
func (s *Server) Live() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]int, len(s.sources))
	for k, n := range s.sources {
		m[k] = n
	}
	return m
}

func (s *Server) count(host string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources == nil {
		s.sources = map[string]int{}
	}
	if s.sources[host] += n; s.sources[host] == 0 {
		delete(s.sources, host)
	}
}

func (s *Server) answer(ctx context.Context, raw net.Conn, config *tls.Config) {
	// Not the TLS connection: it would send a last record to nobody, and spoil the counts.
	defer raw.Close()
	host, _, _ := net.SplitHostPort(raw.RemoteAddr().String())
	s.count(host, 1)
	defer s.count(host, -1)
	c := raw
	if config != nil {
		c = tls.Server(raw, config)
	}
	for {
		q, err := readRequest(c)
		if err != nil {
			return
		}
		if err := serve(ctx, c, q); err != nil {
			return
		}
	}
}

func serve(ctx context.Context, c net.Conn, q request) error {
	in := io.LimitReader(c, int64(q.count))
	sum := sha256.New()
	switch q.op {
	case opEcho:
		n, err := io.CopyBuffer(struct{ io.Writer }{c}, in, make([]byte, 32<<10))
		return short(n, q.count, err)
	case opUpload:
		n, err := io.CopyBuffer(struct{ io.Writer }{sum}, in, make([]byte, 128<<10))
		if err := short(n, q.count, err); err != nil {
			return err
		}
	case opDownload:
		if err := send(ctx, c, io.TeeReader(&stream{left: q.count}, sum), q.rate); err != nil {
			return err
		}
	case opPull:
		return pour(c, q.count)
	case opPush:
		if err := drain(c, q.count); err != nil {
			return err
		}
		_, err := c.Write([]byte{opPush})
		return err
	}
	_, err := io.Copy(c, bytes.NewReader(sum.Sum(nil)))
	return err
}

// short makes an end of stream before the last byte the error that it is.
func short(n int64, want uint64, err error) error {
	if err == nil && uint64(n) < want {
		return io.ErrUnexpectedEOF
	}
	return err
}
