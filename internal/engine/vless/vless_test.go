package vless_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/vless"
	protocol "vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

const (
	serverName = "www.example.test"
	patience   = 10 * time.Second
)

func TestEngine(t *testing.T) {
	client := startClient(t)
	enginetest.Run(t, enginetest.Harness{
		New:    vless.New,
		Server: func(t testing.TB) vpn.ServerSpec { return newServer(t, protocol.SelfTarget) },
		Secret: newSecret,
		Dial: func(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
			return client.dial(ctx, wayOf(c), network, address)
		},
	})
}

func newSecret() vpn.Secret { return vpn.NewSecret(uuid.NewString()) }

// newServer returns the spec of a server with that target.
func newServer(t testing.TB, target string) vpn.ServerSpec {
	t.Helper()
	settings, err := json.Marshal(protocol.Settings{Target: target, ServerNames: []string{serverName}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := protocol.Protocol{}.Prepare(vpn.Server{Protocol: protocol.Name, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return vpn.ServerSpec{Protocol: s.Protocol, Settings: s.Settings, Private: s.Private}
}

// change returns s with other settings.
func change(t testing.TB, s vpn.ServerSpec, f func(*protocol.Settings)) vpn.ServerSpec {
	t.Helper()
	set, err := protocol.ParseSettings(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	f(&set)
	if s.Settings, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	return s
}

// wayOf returns what a client application reads from a share link.
func wayOf(c enginetest.Client) way {
	set, err := protocol.ParseSettings(c.Server.Settings)
	if err != nil {
		panic(err)
	}
	return way{
		Server:     c.Via,
		From:       c.From,
		UUID:       c.Grant.Secret.Reveal(),
		Flow:       "xtls-rprx-vision",
		ServerName: set.ServerNames[0],
		PublicKey:  set.PublicKey,
		ShortID:    set.ShortIDs[0],
	}
}

// A running engine, with one user who may reach loopback.
type running struct {
	engine engine.Engine
	meter  *meter.Meter
	spec   vpn.Spec
	log    *lockedBuffer
}

func start(t testing.TB, s vpn.ServerSpec) *running {
	t.Helper()
	s.ID, s.Name, s.Listen, s.Port = "server", "test", netip.IPv6Unspecified(), enginetest.FreePort(t, 1)
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	r := &running{log: &lockedBuffer{}, spec: vpn.Spec{Server: s, Grants: []vpn.Grant{{
		Credential: vpn.CredentialID(vpn.NewID()), User: "user", Secret: newSecret(),
	}}}}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), r.log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.meter = meter.New(meter.Options{Epoch: "epoch", Log: log})
	var err error
	if r.engine, err = vless.New(engine.Config{Meter: r.meter, Guard: egress.New(s.Allow), Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.engine.Close()
		r.meter.Close()
	})
	r.apply(t)
	return r
}

func (r *running) apply(t testing.TB) {
	t.Helper()
	r.meter.Set(r.spec.Grants)
	if err := r.engine.Apply(t.Context(), r.spec); err != nil {
		t.Fatal(err)
	}
}

func (r *running) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.spec.Server.Port)
}

func (r *running) way() way {
	return wayOf(enginetest.Client{Server: r.spec.Server, Grant: r.spec.Grants[0], Via: r.addr()})
}

// dial connects through the client.
func dial(t testing.TB, p *clientProcess, w way, network, address string) net.Conn {
	t.Helper()
	conn, err := p.dial(t.Context(), w, network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// listenEcho starts a service that sends back what comes, and returns its
// address and what tells the ports that it was reached from.
func listenEcho(t testing.TB, network string) (addr string, from func() []int) {
	t.Helper()
	var mu sync.Mutex
	var ports []int
	met := func(port int) {
		mu.Lock()
		defer mu.Unlock()
		ports = append(ports, port)
	}
	from = func() []int {
		mu.Lock()
		defer mu.Unlock()
		return ports
	}
	if network == "udp" {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			b := make([]byte, 64<<10)
			for {
				n, a, err := conn.ReadFromUDP(b)
				if err != nil {
					return
				}
				met(a.Port)
				_, _ = conn.WriteTo(b[:n], a)
			}
		}()
		return conn.LocalAddr().String(), from
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			met(conn.RemoteAddr().(*net.TCPAddr).Port)
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String(), from
}

// letIn reports whether an echo answers soon. Clients try for longer when a
// server does not let them in.
func letIn(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	return enginetest.Echoes(conn) == nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestOneEngineAtATime(t *testing.T) {
	c := engine.Config{Meter: meter.New(meter.Options{}), Guard: egress.New(nil), Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(c.Meter.Close)
	for range 3 {
		first, err := vless.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vless.New(c); vpn.KindOf(err) != vpn.Conflict {
			t.Errorf("a second engine: %v", err)
		}
		for range 2 {
			if err := first.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestChangedSettings(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, _ := listenEcho(t, "tcp")
	old := r.way()
	conn := dial(t, client, old, "tcp", addr)
	if err := enginetest.Echoes(conn); err != nil {
		t.Fatal(err)
	}
	r.spec.Server = change(t, r.spec.Server, func(s *protocol.Settings) {
		s.ShortIDs = []string{"abcd"}
		s.ServerNames = []string{"other.example.test"}
	})
	r.apply(t)
	if err := enginetest.Echoes(conn); err != nil {
		t.Errorf("a live connection broke: %v", err)
	}
	if err := enginetest.Echoes(dial(t, client, r.way(), "tcp", addr)); err != nil {
		t.Errorf("the new settings do not work: %v", err)
	}
	if letIn(dial(t, client, old, "tcp", addr)) {
		t.Error("the old settings still work")
	}
}

// Clients may come with any of the server's names and short ids, the empty one
// if it is listed, and with nothing else.
func TestEveryNameAndShortIDIsLetIn(t *testing.T) {
	client := startClient(t)
	r := start(t, change(t, newServer(t, protocol.SelfTarget), func(s *protocol.Settings) {
		s.ServerNames = []string{serverName, "other.example.test"}
		s.ShortIDs = []string{"0123456789abcdef", "ab", ""}
	}))
	addr, _ := listenEcho(t, "tcp")
	w := r.way()
	for _, w.ServerName = range []string{serverName, "other.example.test"} {
		for _, w.ShortID = range []string{"0123456789abcdef", "ab", ""} {
			if err := enginetest.Echoes(dial(t, client, w, "tcp", addr)); err != nil {
				t.Errorf("%s with %q is not let in: %v", w.ServerName, w.ShortID, err)
			}
		}
	}
	for _, wrong := range []way{{ServerName: "third.example.test", ShortID: "ab"}, {ServerName: serverName, ShortID: "cd"}} {
		w.ServerName, w.ShortID = wrong.ServerName, wrong.ShortID
		if letIn(dial(t, client, w, "tcp", addr)) {
			t.Errorf("%s with %q is let in", w.ServerName, w.ShortID)
		}
	}
}

func TestTenThousandUsers(t *testing.T) {
	r := start(t, newServer(t, protocol.SelfTarget))
	_ = r.engine.Close()
	for range 10_000 {
		r.spec.Grants = append(r.spec.Grants, vpn.Grant{Credential: vpn.CredentialID(vpn.NewID()), User: vpn.UserID(vpn.NewID()), Secret: newSecret()})
	}
	r.meter.Set(r.spec.Grants)
	e, err := vless.New(engine.Config{Meter: r.meter, Guard: egress.New(r.spec.Server.Allow), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.engine = e
	apply := func(what string, within time.Duration) {
		t.Helper()
		start := time.Now()
		if err := e.Apply(t.Context(), r.spec); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("%s: %v", what, took)
		if took > within {
			t.Errorf("%s took %v", what, took)
		}
	}
	// The limits have room for the race detector and a busy machine.
	apply("start", time.Second)
	r.spec.Grants = append(r.spec.Grants, vpn.Grant{Credential: "x", User: "x", Secret: newSecret()})
	apply("one more", 300*time.Millisecond)
	r.spec.Grants = r.spec.Grants[1:]
	apply("one less", 300*time.Millisecond)
	apply("the same", 300*time.Millisecond)
}

// A client that is gone is no longer counted among the live, whatever it left
// unread.
func TestClientKilled(t *testing.T) {
	addr := newDownload(t)
	for name, reading := range map[string]bool{"reading": true, "full": false} {
		t.Run(name, func(t *testing.T) {
			client := startClient(t)
			r := start(t, newServer(t, protocol.SelfTarget))
			conn := tls.Client(dial(t, client, r.way(), "tcp", addr), &tls.Config{InsecureSkipVerify: true})
			if err := enginetest.Echoes(conn); err != nil {
				t.Fatal(err)
			}
			if reading {
				go func() { _, _ = io.Copy(io.Discard, conn) }()
			}
			if !enginetest.Eventually(func() bool { return r.meter.Usage(0).Counters[0].Down > 1<<20 }) {
				t.Fatal("no download")
			}
			if err := client.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
				t.Error("still counted as live")
			} else if took := time.Since(killed); took > time.Second {
				t.Errorf("counted as live for %v", took)
			}
			_ = r.engine.Close()
		})
	}
}

// newDownload starts a service that says a word in TLS, and then sends without
// end.
func newDownload(t testing.TB) (addr string) {
	t.Helper()
	s := listenTarget(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", s.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if echoed, err := io.CopyN(conn, conn, 5); echoed < 5 || err != nil {
					return
				}
				b := make([]byte, 64<<10)
				for {
					if _, err := conn.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// Once Vision has seen TLS 1.3 inside, the kernel moves what comes, and the
// meter still counts it to the byte.
func TestTheKernelMovesBothWays(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	s := listenTarget(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", s.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.Copy(conn, conn)
	}()
	conn := tls.Client(dial(t, client, r.way(), "tcp", ln.Addr().String()), &tls.Config{InsecureSkipVerify: true})
	for range 5 { // word by word: Vision has to see where a record ends
		if err := enginetest.Echoes(conn); err != nil {
			t.Fatal(err)
		}
	}
	const size = 8 << 20
	sent := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(sent)
	go func() { _, _ = conn.Write(sent) }()
	got := make([]byte, size)
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("other bytes came back (%v)", err)
	}
	for _, direction := range []string{"up=true", "up=false"} {
		if !strings.Contains(r.log.String(), `msg="the kernel moves the rest" `+direction) {
			t.Errorf("the kernel has not moved %s", direction)
		}
	}
	used := r.meter.Usage(0).Counters[0]
	for _, n := range []uint64{used.Up, used.Down} {
		if n < size || n > size+size/50 { // 16 KiB make a record, with a few bytes around
			t.Errorf("%d bytes were counted, sent were %d and what TLS adds", n, size)
		}
	}
}

func TestLogTellsNoSecrets(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, _ := listenEcho(t, "tcp")
	withoutFlow, unknown := r.way(), r.way()
	withoutFlow.Flow = ""
	unknown.UUID = uuid.NewString()
	for _, w := range []way{withoutFlow, unknown} {
		if err := enginetest.Echoes(dial(t, client, w, "tcp", addr)); err == nil {
			t.Errorf("%+v is let in", w)
		}
		if !enginetest.Eventually(func() bool { return strings.Count(r.log.String(), "connection ended") > 0 }) {
			t.Error("the log says nothing")
		}
	}
	for _, secret := range []string{r.spec.Grants[0].Secret.Reveal(), unknown.UUID} {
		if strings.Contains(r.log.String(), secret) {
			t.Error("the log tells a secret")
		}
	}
}
