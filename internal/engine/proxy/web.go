package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"vpn/internal/vpn"
)

const (
	maxHeader = 32 << 10
	idleWeb   = time.Minute // of a connection between two requests
	// idleBody is how long a client may be silent in the middle of a body.
	idleBody = time.Minute
)

// newWeb returns the server of those who speak HTTP. It brings along what is
// easy to get wrong: the limits and the end of headers and bodies, which of
// them belong to whom, 100-continue, and time for those who have none.
func (e *Engine) newWeb() *http.Server {
	forward := &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     roundTripper{},
		FlushInterval: -1, // whoever sends piecemeal is read piecemeal
		BufferPool:    bufferPool{},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			e.fail(w, r, err)
		},
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      &web{e, forward},
		ReadHeaderTimeout:            e.greet,
		IdleTimeout:                  idleWeb,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
		ConnContext:                  withVisit(e),
		ConnState:                    e.countWeb,
		DisableGeneralOptionsHandler: true,
		Protocols:                    protocols,
	}
}

// countWeb keeps count of the connections that web has.
func (e *Engine) countWeb(_ net.Conn, now http.ConnState) {
	switch now {
	case http.StateNew:
		e.webConns.Add(1)
	case http.StateHijacked, http.StateClosed:
		e.webConns.Done()
	case http.StateActive, http.StateIdle:
	}
}

// A visit is what is kept for a connection that carries requests.
type visit struct {
	engine *Engine
	client *client

	mu        sync.Mutex
	over      bool
	account   *account
	flow      *flow           // nil: none of the requests was forwarded
	transport *http.Transport // of flow
}

type visitKey struct{}

func withVisit(e *Engine) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, visitKey{}, clientOf(conn).visit)
	}
}

func clientOf(conn net.Conn) *client {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*client)
}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }

// end is called once the connection is closed.
func (v *visit) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	v.drop()
}

// drop ends the flow. The caller holds v.mu.
func (v *visit) drop() {
	if v.flow != nil {
		v.flow.close()
		v.transport.CloseIdleConnections()
		v.flow, v.transport = nil, nil
	}
}

// partIfIdle ends the connection with the answer if it carries nothing: it
// would count for neither a stranger's nor one of the user's, who might keep
// any number of them.
func (v *visit) partIfIdle(w http.ResponseWriter) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flow == nil {
		w.Header().Set("Connection", "close")
	}
}

// web answers requests.
type web struct {
	engine  *Engine
	forward *httputil.ReverseProxy
}

func (h *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := h.engine
	leave, ok := e.live.Enter("", func() {})
	if !ok {
		return
	}
	defer leave()
	v := visitOf(r)
	if !e.rules.Load().admits(v.client.source.Addr()) {
		e.log.Debug("stranger", slog.Any("source", v.client.source), slog.Any("err", errElsewhere))
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	shown := r.Header.Values("Proxy-Authorization")
	a := e.requester(v.client, shown)
	if a == nil {
		err := errPassword
		if len(shown) == 0 {
			err = errNoPassword
		}
		e.log.Debug("stranger", slog.Any("source", v.client.source), slog.Any("err", err))
		askPassword(w, r)
		return
	}
	if wait, ok := e.pace.allow(a.user, v.client.source.Addr()); !ok {
		v.partIfIdle(w)
		w.Header().Set("Retry-After", strconv.Itoa(1+int(wait/time.Second)))
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		e.webConnect(w, r, v, a)
	case r.URL.Scheme != "http" || r.URL.Host == "":
		v.partIfIdle(w)
		http.Error(w, "this is a proxy: ask for http://host/path, or for CONNECT host:port", http.StatusBadRequest)
	default:
		if err := v.enter(a); err != nil {
			e.fail(w, r, err)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &watchedBody{r.Body, http.NewResponseController(w)}
		}
		if len(r.TransferEncoding) > 0 {
			// It may have had a length too, which is void then and may have
			// been meant to hide a request in the body: there are no more
			// requests on this connection (RFC 9112, section 6.1).
			w.Header().Set("Connection", "close")
		}
		h.forward.ServeHTTP(plainWriter{w}, r)
	}
}

// requester returns who sends a request, or nil if that is not shown.
func (e *Engine) requester(c *client, credentials []string) *account {
	switch len(credentials) {
	case 0:
		return e.guest(c)
	case 1:
	default:
		return nil
	}
	scheme, encoded, _ := strings.Cut(credentials[0], " ")
	text, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if !strings.EqualFold(scheme, "Basic") || err != nil {
		return nil
	}
	name, password, _ := strings.Cut(string(text), ":")
	return e.identify(c, name, password)
}

// askPassword is RFC 9110, section 15.5.8, and RFC 7617.
func askPassword(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Proxy-Authenticate", `Basic realm="proxy", charset="UTF-8"`)
	if r.ContentLength != 0 && r.Method != http.MethodConnect {
		w.Header().Set("Connection", "close") // nobody reads a stranger's body
	}
	http.Error(w, "a name and a password are required", http.StatusProxyAuthRequired)
}

// fail says why a request could not be carried.
func (e *Engine) fail(w http.ResponseWriter, r *http.Request, err error) {
	e.log.Debug("request refused", slog.Any("source", visitOf(r).client.source), slog.Any("err", err))
	status, text := http.StatusBadGateway, "the destination cannot be reached"
	var own *vpn.Error
	switch {
	case errors.As(err, &own) && own.Kind == vpn.Denied:
		status, text = http.StatusForbidden, own.Error()
	case errors.As(err, &own) && own.Kind == vpn.Invalid:
		status, text = http.StatusBadRequest, own.Error()
	case timedOut(err):
		status, text = http.StatusGatewayTimeout, "the destination does not answer"
	case errors.As(err, &own):
		text = own.Message
	}
	visitOf(r).partIfIdle(w)
	http.Error(w, text, status)
}

// webConnect answers CONNECT, and lets a tunnel take the connection over.
func (e *Engine) webConnect(w http.ResponseWriter, r *http.Request, v *visit, a *account) {
	host, port, err := splitTarget(r.RequestURI)
	if err != nil {
		e.fail(w, r, err)
		return
	}
	f, err := e.open(a, v.client, "tcp")
	if err != nil {
		e.fail(w, r, err)
		return
	}
	stop := context.AfterFunc(r.Context(), f.cancel) // the client has gone meanwhile
	dst, err := e.connect(f.ctx, host, port)
	stop()
	if err != nil {
		f.close()
		e.fail(w, r, err)
		return
	}
	front, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = dst.Close()
		f.close()
		return
	}
	v.end() // no more requests
	_ = front.SetDeadline(time.Now().Add(e.greet))
	if _, err := front.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = dst.Close()
		_ = front.Close()
		f.close()
		return
	}
	early := buffered(in.Reader)
	// In a goroutine of its own, so that the server's, with all its buffers,
	// is not held as long as the tunnel lasts.
	go e.tunnel(f, v.client, front, early, dst)
}

// buffered returns a copy of what a reader has read ahead.
func buffered(in *bufio.Reader) []byte {
	ahead, err := in.Peek(in.Buffered())
	if err != nil || len(ahead) == 0 {
		return nil
	}
	return append([]byte(nil), ahead...)
}

func splitTarget(uri string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(uri)
	n, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil || host == "" || n == 0 {
		return "", 0, vpn.Errorf(vpn.Invalid, "CONNECT takes host:port")
	}
	return host, uint16(n), nil
}
