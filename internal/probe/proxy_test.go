package probe_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vpn/internal/probe"
	"vpn/internal/vpn"
)

// tunnels is an HTTP proxy for one user: CONNECT, and plain requests to
// whatever site there is. With a status it answers with that alone.
func tunnels(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
		switch {
		case !ok || user != "alice" || password != "secret":
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		case status != 0:
			w.WriteHeader(status)
			return
		case r.Method != http.MethodConnect:
			_, _ = io.WriteString(w, "plain")
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _, _ = io.Copy(to, conn); _ = to.Close() }()
		go func() { _, _ = io.Copy(conn, to); _ = conn.Close() }()
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestProxy(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(site.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}))
	link := func(user, address string) string { return "http://" + user + "@" + address + "#main-alice" }
	open := tunnels(t, 0)
	const closed = "127.0.0.1:1" // nobody's, as every port below 1024 that is not asked for
	plain := "http://" + closed
	for what, c := range map[string]struct {
		link   string
		o      probe.ProxyOptions
		status int
		kind   vpn.Kind
		says   string
	}{
		"a tunnel":                  {link("alice:secret", open), probe.ProxyOptions{URL: site.URL, Trust: ca}, 204, "", ""},
		"a plain request":           {link("alice:secret", open), probe.ProxyOptions{URL: plain}, 200, "", ""},
		"another way to it":         {link("alice:secret", "192.0.2.1:1"), probe.ProxyOptions{URL: plain, Address: open}, 200, "", ""},
		"a wrong password":          {link("alice:other", open), probe.ProxyOptions{URL: site.URL, Trust: ca}, 0, vpn.Denied, "does not take the user's password"},
		"a wrong password, plain":   {link("alice:other", open), probe.ProxyOptions{URL: plain}, 407, vpn.Denied, "does not take the user's password"},
		"a forbidden site":          {link("alice:secret", tunnels(t, 403)), probe.ProxyOptions{URL: site.URL}, 0, vpn.Denied, "does not let the user reach that site"},
		"too many requests":         {link("alice:secret", tunnels(t, 429)), probe.ProxyOptions{URL: site.URL}, 0, vpn.Denied, "too many requests"},
		"a site that is not there":  {link("alice:secret", open), probe.ProxyOptions{URL: "https://" + closed}, 0, vpn.Unavailable, closed + " cannot be reached through the proxy: Bad Gateway"},
		"a certificate of nobody's": {link("alice:secret", open), probe.ProxyOptions{URL: site.URL}, 0, vpn.Denied, "the certificate is not trusted"},
		"nobody there":              {link("alice:secret", closed), probe.ProxyOptions{URL: site.URL}, 0, vpn.Unavailable, "the proxy at " + closed + " cannot be reached: connection refused"},
		"no proxy":                  {"http://%", probe.ProxyOptions{URL: site.URL}, 0, vpn.Invalid, "the link is no URL"},
		"no site":                   {link("a:b", open), probe.ProxyOptions{URL: "ftp://example.org"}, 0, vpn.Invalid, "is no address of a site"},
		"a bad certificate":         {link("a:b", open), probe.ProxyOptions{URL: site.URL, Trust: "x"}, 0, vpn.Invalid, "cannot be read"},
	} {
		got, err := probe.Proxy(t.Context(), c.link, c.o)
		if got.Status != c.status {
			t.Errorf("%s: got %+v, %v", what, got, err)
		}
		if c.kind == "" {
			if err != nil || got.Connected <= 0 || got.Answered < got.Connected {
				t.Errorf("%s: got %+v, %v", what, got, err)
			}
			continue
		}
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != c.kind || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "secret") {
			t.Errorf("%s: got %v", what, err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	if _, err := probe.Proxy(ctx, link("a:b", mute.Addr().String()), probe.ProxyOptions{URL: site.URL}); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("one that says nothing: got %v", err)
	}
}
