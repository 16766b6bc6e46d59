package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// maxAnswerHeader is how much a destination may say before its answer begins.
const maxAnswerHeader = 256 << 10

// enter makes a's flow the visit's. Connections to destinations are kept for
// the next request, and with nobody else: what a destination says goes to
// whom it belongs to, whatever it thinks where a message ends.
func (v *visit) enter(a *account) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return vpn.Errorf(vpn.Unavailable, "the connection is closed")
	}
	if v.flow != nil && v.account.credential == a.credential && v.flow.ctx.Err() == nil {
		return nil
	}
	v.drop()
	f, err := v.engine.open(a, v.client, "tcp")
	if err != nil {
		return err
	}
	v.account, v.flow = a, f
	v.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return v.engine.dialMetered(ctx, f, address)
		},
		DisableCompression:    true,
		MaxIdleConns:          4,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: 2 * time.Second,
		// By itself it would hold ten megabytes of headers, for each of them.
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
	return nil
}

// dialMetered connects to a destination by a connection that counts.
func (e *Engine) dialMetered(ctx context.Context, f *flow, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "port %q is not valid", text)
	}
	conn, err := e.connect(ctx, host, uint16(port))
	if err != nil {
		return nil, err
	}
	return &meteredConn{Conn: conn, flow: f, stop: context.AfterFunc(f.ctx, func() { _ = conn.Close() })}, nil
}

// roundTripper sends a request by its visit's connections.
type roundTripper struct{}

func (roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	v := visitOf(r)
	v.mu.Lock()
	t := v.transport
	v.mu.Unlock()
	if t == nil {
		return nil, net.ErrClosed
	}
	return t.RoundTrip(r)
}

// rewrite makes the request to a destination from the one to the proxy. What
// is between the client and the proxy is gone from it already, and nothing
// says who the client is.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.RawQuery = p.In.URL.RawQuery // as it came, odd ones too
	p.Out.Host = p.In.Host
	p.Out.Close = false
}

// A meteredConn is a connection to a destination whose bytes pass the meter.
type meteredConn struct {
	net.Conn
	flow *flow
	stop func() bool
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for passed := 0; passed < n; {
		k, refused := c.flow.Wait(c.flow.ctx, meter.Down, n-passed)
		if refused != nil {
			_ = c.Conn.Close() // what was read and may not pass is lost
			return passed, refused
		}
		passed += k
	}
	return n, err
}

func (c *meteredConn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		k, err := c.flow.Wait(c.flow.ctx, meter.Up, len(b)-written)
		if err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[written : written+k])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *meteredConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// A plainWriter adds nothing to what a destination says.
type plainWriter struct{ http.ResponseWriter }

// Unwrap is for [http.ResponseController].
func (w plainWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w plainWriter) WriteHeader(status int) {
	h := w.Header()
	for _, name := range []string{"Content-Type", "Date"} {
		if _, said := h[name]; !said {
			h[name] = nil // or it would be guessed
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// A watchedBody ends when its client falls silent.
type watchedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *watchedBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(idleBody))
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		// The answer may take as long as it likes.
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
