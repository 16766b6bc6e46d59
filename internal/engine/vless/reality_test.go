package vless_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xtls/reality"

	"vpn/internal/engine/enginetest"
	protocol "vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

// listenTarget starts a web site with a certificate that verifies for the
// whole process, as a target's does.
func listenTarget(t testing.TB) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{serverName}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, "the target", r.Proto)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// browser returns a client that connects to addr whatever it is told, and
// trusts the target's certificate only, if there is a target.
func browser(addr string, target *httptest.Server) *http.Client {
	config := &tls.Config{InsecureSkipVerify: target == nil}
	if target != nil {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(target.Certificate())
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
	}}
}

func get(t *testing.T, c *http.Client, path string) (status int, body string) {
	t.Helper()
	resp, err := c.Get("https://" + serverName + path)
	if err != nil {
		t.Fatalf("a stranger sees no web site: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestStrangersSeeTheTarget(t *testing.T) {
	target := listenTarget(t)
	client := startClient(t)
	r := start(t, newServer(t, target.Listener.Addr().String()))
	if _, body := get(t, browser(r.addr().String(), target), "/"); body != "the target HTTP/2.0\n" {
		t.Errorf("a stranger sees %q", body)
	}
	// Whoever knows the address but not the secrets is a stranger too.
	addr, from := listenEcho(t, "tcp")
	wrong := r.way()
	wrong.ShortID = "0123456789abcdef"
	if letIn(dial(t, client, wrong, "tcp", addr)) || len(from()) > 0 {
		t.Errorf("a client with a wrong short id is let in")
	}
	if err := enginetest.Echoes(dial(t, client, r.way(), "tcp", addr)); err != nil {
		t.Errorf("a client is not let in: %v", err)
	}
}

func TestStrangersSeeTheServersOwnSite(t *testing.T) {
	r := start(t, newServer(t, protocol.SelfTarget))
	c := browser(r.addr().String(), nil)
	if status, body := get(t, c, "/"); status != http.StatusOK || !strings.Contains(body, "<title>") {
		t.Errorf("a stranger sees %d %q", status, body)
	}
	if status, _ := get(t, c, "/nothing"); status != http.StatusNotFound {
		t.Errorf("/nothing: %d", status)
	}
}

func TestTargetDown(t *testing.T) {
	client := startClient(t)
	target := listenTarget(t)
	addr, _ := listenEcho(t, "tcp")
	r := start(t, newServer(t, target.Listener.Addr().String()))
	target.Close()
	if letIn(dial(t, client, r.way(), "tcp", addr)) {
		t.Error("let in without a target")
	}
	r.spec.Server = newServerLike(t, r.spec.Server, protocol.SelfTarget)
	r.apply(t)
	if err := enginetest.Echoes(dial(t, client, r.way(), "tcp", addr)); err != nil {
		t.Errorf("another target does not help: %v", err)
	}
}

// A target that takes connections and says nothing holds up nobody but its
// clients.
func TestCloseWithSilentTarget(t *testing.T) {
	client := startClient(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	r := start(t, newServer(t, ln.Addr().String()))
	addr, _ := listenEcho(t, "tcp")
	if letIn(dial(t, client, r.way(), "tcp", addr)) {
		t.Error("let in without a target")
	}
	closing := time.Now()
	if err := r.engine.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(closing); took > time.Second {
		t.Errorf("close took %v", took)
	}
}

// newServerLike is newServer at the address of another.
func newServerLike(t *testing.T, s vpn.ServerSpec, target string) vpn.ServerSpec {
	n := newServer(t, target)
	n.ID, n.Name, n.Listen, n.Port, n.Allow = s.ID, s.Name, s.Listen, s.Port, s.Allow
	return n
}

// Package reality lets sessions wait for five seconds, again and again, until
// it knows how the target behaves.
func TestFirstSessionDoesNotWait(t *testing.T) {
	target := listenTarget(t)
	client := startClient(t)
	addr, _ := listenEcho(t, "tcp")
	r := start(t, newServer(t, target.Listener.Addr().String()))
	began := time.Now()
	if err := enginetest.Echoes(dial(t, client, r.way(), "tcp", addr)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("first session after %v", took)
	if took > time.Second {
		t.Errorf("the first session took %v", took)
	}
}

func TestSessionsBeginAsTheTargetsDo(t *testing.T) {
	target := listenTarget(t).Listener.Addr().String()
	s := newServer(t, target)
	guess := []int{100, 200}
	s = change(t, s, func(set *protocol.Settings) {
		set.RecordLengths = map[string][]int{serverName + " 2": guess}
	})
	start(t, s)
	lengths := func(alpn int) []int {
		v, _ := reality.GlobalPostHandshakeRecordsLens.Load(fmt.Sprintf("%s %s %d", target, serverName, alpn))
		l, _ := v.([]int)
		return l
	}
	if got := lengths(2); !slices.Equal(got, guess) {
		t.Errorf("at first %v, the settings say %v", got, guess)
	}
	// Go's server sends its session ticket with its side of the handshake, and
	// with HTTP/2 its settings afterwards.
	want := []int{visit(t, target)}
	if !enginetest.Eventually(func() bool { return slices.Equal(lengths(2), want) }) {
		t.Errorf("%v; a visitor sees %v", lengths(2), want)
	}
	if l := lengths(1); len(l) > 0 {
		t.Errorf("%v without HTTP/2", l)
	}
}

// visit returns the length of the first record that a server with HTTP/2
// sends after its handshake: its settings.
func visit(t *testing.T, addr string) int {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: serverName, NextProtos: []string{"h2"}, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	n, err := conn.Read(make([]byte, 1<<14)) // one record at a time
	if err != nil {
		t.Fatal(err)
	}
	return 5 + n + 1 + 16
}
