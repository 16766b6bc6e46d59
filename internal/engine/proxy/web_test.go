package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/proxy"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// site is a web site that tells what it was asked.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	counted  vpn.Traffic
}

func newSite(t *testing.T, answer http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(b))
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Listener = &countingListener{s.Listener, s}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

type countingListener struct {
	net.Listener
	s *site
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, l.s}, err
}

type countingConn struct {
	net.Conn
	s *site
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.add(vpn.Traffic{Up: uint64(n)})
	return n, err
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.s.add(vpn.Traffic{Down: uint64(n)})
	return n, err
}

func (s *site) add(t vpn.Traffic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted = s.counted.Add(t)
}

func (s *site) last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[len(s.requests)-1], s.bodies[len(s.bodies)-1]
}

// browser is a real client of the proxy.
func (r *running) browser() *http.Client {
	to := &url.URL{Scheme: "http", Host: r.addr(), User: url.UserPassword("alice", r.password())}
	transport := &http.Transport{Proxy: http.ProxyURL(to), DisableCompression: true, ExpectContinueTimeout: patience}
	r.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestForwardedRequests(t *testing.T) {
	r := start(t, protocol.HTTP, `{}`)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Content-Type", "text/odd")
		w.Header().Set("Trailer", "X-Sum")
		_, _ = fmt.Fprintf(w, "you asked for %s", r.URL)
		w.Header().Set("X-Sum", "42")
	})
	browser := r.browser()
	body := strings.Repeat("0123456789", 10_000)
	for i, tt := range []struct{ method, path, body string }{
		{"GET", "/a%2fb?x=1;y=2&z=%zz", ""}, {"POST", "/", body}, {"HEAD", "/", ""}, {"PUT", "/chunked", body},
	} {
		var sent io.Reader = strings.NewReader(tt.body)
		if tt.path == "/chunked" {
			sent = struct{ io.Reader }{sent}
		}
		req, err := http.NewRequest(tt.method, s.URL+tt.path, sent)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Expect", "100-continue")
		res, err := browser.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", tt.method, tt.path, err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := "you asked for " + tt.path; err != nil || res.StatusCode != 200 || tt.method != "HEAD" && string(got) != want {
			t.Errorf("request %d: %d %q, %v", i, res.StatusCode, got, err)
		}
		if res.Header.Get("Date") != "" || res.Header.Get("Content-Type") != "text/odd" || tt.method != "HEAD" && res.Trailer.Get("X-Sum") != "42" {
			t.Errorf("request %d: the headers are %v, %v", i, res.Header, res.Trailer)
		}
		if n := r.meter.Conns(); n != 1 && tt.path != "/chunked" {
			t.Errorf("request %d: %d flows, the browser keeps one connection", i, n)
		}
		if _, heard := s.last(); heard != tt.body {
			t.Errorf("request %d: the site has got %d bytes, sent were %d", i, len(heard), len(tt.body))
		}
	}
	if !enginetest.Eventually(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return r.used() == s.counted
	}) {
		t.Errorf("counted %+v, the site saw %+v", r.used(), s.counted)
	}
}

// A site learns nothing of who asks but what the client itself says.
func TestForwardedHeaders(t *testing.T) {
	r := start(t, protocol.HTTP, `{}`)
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Proxy-Authenticate", "Basic realm=x") })
	conn := r.connect()
	_, err := fmt.Fprintf(conn, "GET %s/ HTTP/1.1\r\nHost: other.example.test\r\nProxy-Authorization: %s\r\nProxy-Connection: keep-alive\r\n"+
		"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-End: 2\r\n\r\n", s.URL, basic("alice", r.password()))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	if res.Header.Get("Proxy-Authenticate") != "" || res.Header.Get("Via") != "" {
		t.Errorf("the answer says %v", res.Header)
	}
	got, _ := s.last()
	if "http://"+got.Host != s.URL {
		t.Errorf("the site was asked for %s", got.Host)
	}
	for name := range got.Header {
		if name != "X-End" && name != "Te" {
			t.Errorf("the site was told %s: %s", name, got.Header.Get(name))
		}
	}
	if got.Header.Get("X-End") != "2" {
		t.Error("a header got lost")
	}
}

// A site cannot fill the memory with headers without an end.
func TestEndlessHeaders(t *testing.T) {
	r := start(t, protocol.HTTP, `{}`)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	sent := make(chan int, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		line, n := []byte("X-Long: "+strings.Repeat("x", 8000)+"\r\n"), 0
		for n < 64<<20 {
			k, err := conn.Write(line)
			n += k
			if err != nil {
				break
			}
		}
		sent <- n
	}()
	res, _ := r.say("GET http://" + ln.Addr().String() + "/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + basic("alice", r.password()) + "\r\n\r\n")
	if res.StatusCode != 502 {
		t.Errorf("answered %s", res.Status)
	}
	if n := <-sent; n >= 64<<20 {
		t.Errorf("%d bytes of headers were taken", n)
	}
	if used := r.used().Down; used > 1<<20 {
		t.Errorf("%d bytes of headers were read", used)
	}
}

func TestUpgrade(t *testing.T) {
	r := start(t, protocol.Mixed, `{}`)
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, in)
	})
	conn := r.connect()
	_, err := fmt.Fprintf(conn, "GET %s/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", s.URL, basic("alice", r.password()))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%v, %v", res, err)
	}
	if err := enginetest.Echoes(&readAhead{conn, in}); err != nil {
		t.Error(err)
	}
	r.spec.Grants[0].Blocked = true
	r.apply()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := in.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after a block: %v", err)
	}
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Error("the flow is still there")
	}
}

// say sends text on a new connection, and returns the status and the headers
// of the answer, and whether the connection is then closed.
func (r *running) say(text string) (*http.Response, bool) {
	r.Helper()
	conn := r.connect()
	if _, err := io.WriteString(conn, text); err != nil {
		r.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, &http.Request{Method: strings.Fields(text)[0]})
	if err != nil {
		r.Fatalf("%q: %v", text, err)
	}
	if !strings.HasPrefix(text, "CONNECT") || res.StatusCode != 200 {
		_, _ = io.Copy(io.Discard, res.Body)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err = in.ReadByte()
	_ = conn.Close()
	return res, errors.Is(err, io.EOF)
}

func TestRefusedRequests(t *testing.T) {
	r := start(t, protocol.HTTP, `{"deny_ports": ["25"], "deny_destinations": ["*.denied.test", "127.0.0.2"]}`)
	auth := "Proxy-Authorization: " + basic("alice", r.password()) + "\r\n\r\n"
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for text, want := range map[string]int{
		"CONNECT 127.0.0.1:25 HTTP/1.1\r\nHost: x\r\n" + auth:                                              403,
		"CONNECT a.denied.test:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                         403,
		"CONNECT A.Denied.Test.:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                        403,
		"CONNECT 127.0.0.2:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                             403,
		"CONNECT [::ffff:127.0.0.2]:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                    403,
		"CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                              403,
		"CONNECT " + closed.Addr().String() + " HTTP/1.1\r\nHost: x\r\n" + auth:                            502,
		"CONNECT name.invalid:443 HTTP/1.1\r\nHost: x\r\n" + auth:                                          502,
		"CONNECT name HTTP/1.1\r\nHost: x\r\n" + auth:                                                      400,
		"CONNECT name:0 HTTP/1.1\r\nHost: x\r\n" + auth:                                                    400,
		"GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n" + auth:                                              403,
		"GET http://127.0.0.1:25/ HTTP/1.1\r\nHost: x\r\n" + auth:                                          403,
		"GET http://" + closed.Addr().String() + "/ HTTP/1.1\r\nHost: x\r\n" + auth:                        502,
		"GET / HTTP/1.1\r\nHost: x\r\n" + auth:                                                             400,
		"GET https://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n" + auth:                                            400,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + auth:                                                         400,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\nA : b\r\n" + auth:                                            400,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + auth:                                          400,
		"POST http://a/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + auth:          400,
		"POST http://a/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n" + auth:             501,
		"POST http://a/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n" + auth:                     501,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n" + auth:           431,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\n\r\n":                                                        407,
		"CONNECT a:443 HTTP/1.1\r\nHost: x\r\n\r\n":                                                        407,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer x\r\n\r\n":                       407,
		"GET http://a/ HTTP/1.1\r\nHost: x\r\nAuthorization: " + basic("alice", r.password()) + "\r\n\r\n": 407,
	} {
		res, over := r.say(text)
		if res.StatusCode != want {
			t.Errorf("%.60q: %s, want %d", text, res.Status, want)
		}
		// Who has shown a password is no stranger: what carries nothing does not stay.
		carried := strings.HasPrefix(text, "GET http://1") // as far as to find out that it cannot be
		if !over && want != 407 && !carried {
			t.Errorf("%.60q: the connection stays", text)
		}
		if want == 407 && res.Header.Get("Proxy-Authenticate") != `Basic realm="proxy", charset="UTF-8"` {
			t.Errorf("%.60q: asks with %v", text, res.Header)
		}
	}
	if got := r.used(); got.Total() > 0 {
		t.Errorf("counted %+v", got)
	}
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Error("flows are left")
	}
}

// Of two lengths of one body one is a lie: what follows the body that the
// proxy sees must not become a request.
func TestSmuggling(t *testing.T) {
	r := start(t, protocol.HTTP, `{}`)
	s := newSite(t, func(http.ResponseWriter, *http.Request) {})
	conn := r.connect()
	_, err := fmt.Fprintf(conn, "POST %s/first HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"0\r\n\r\nGET %s/smuggled HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\n\r\n", s.URL, basic("alice", r.password()), s.URL, basic("alice", r.password()))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answers, err := io.ReadAll(conn)
	if err != nil || bytes.Count(answers, []byte("HTTP/1.1 ")) != 1 {
		t.Errorf("answers:\n%s\n%v", answers, err)
	}
	if got, _ := s.last(); len(s.requests) != 1 || got.URL.Path != "/first" || got.Header.Get("Content-Length") != "" {
		t.Errorf("the site was asked %d times, at last for %s", len(s.requests), got.URL)
	}
}

func TestSlowClients(t *testing.T) {
	for what, text := range map[string]string{
		"nothing": "", "half a line": "GET http", "half a header": "GET http://a/ HTTP/1.1\r\nHo",
		"half a greeting": "\x05", "half a password": "\x05\x01\x02\x01\x05al", "half a TLS record": "\x16\x03\x01",
	} {
		t.Run(what, func(t *testing.T) {
			r := startWith(t, proxy.NewImpatient, protocol.Mixed, `{"tls": true}`)
			conn := r.connect()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open")
			}
		})
	}
}

func TestOnlyTLSWhereThereIsTLS(t *testing.T) {
	r := start(t, protocol.HTTP, `{"tls": true}`)
	conn := r.connect()
	if _, err := io.WriteString(conn, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(conn)
	if bytes.Contains(got, []byte("407")) {
		t.Errorf("a password is asked for in the clear: %q", got)
	}
	c := tls.Client(r.connect(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err := c.Handshake(); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	c = tls.Client(r.connect(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err := c.Handshake(); err != nil || c.ConnectionState().NegotiatedProtocol != "http/1.1" {
		t.Errorf("%v, %q", err, c.ConnectionState().NegotiatedProtocol)
	}
}
