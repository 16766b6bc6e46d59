package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/proxy"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

const patience = 10 * time.Second

type dialer = func(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error)

func dialPlainHTTP(ctx context.Context, c enginetest.Client, _, address string) (net.Conn, error) {
	return dialHTTP(ctx, c, nil, address)
}

func dialHTTPS(ctx context.Context, c enginetest.Client, _, address string) (net.Conn, error) {
	return dialHTTP(ctx, c, func(conn net.Conn) net.Conn { return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) }, address)
}

// dialMixed takes the way that a tunnel does not share with the others.
func dialMixed(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
	if network == "udp" {
		return dialSOCKS(ctx, c, network, address)
	}
	return dialHTTPS(ctx, c, network, address)
}

func TestEngine(t *testing.T) {
	for name, tt := range map[string]struct {
		protocol vpn.Protocol
		settings string
		dial     dialer
		streams  bool
	}{
		"http":   {protocol.HTTP, `{}`, dialPlainHTTP, true},
		"socks5": {protocol.SOCKS5, `{}`, dialSOCKS, false},
		"mixed":  {protocol.Mixed, `{"tls": true}`, dialMixed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.Run(t, enginetest.Harness{
				New:         proxy.New,
				Server:      func(t testing.TB) vpn.ServerSpec { return newServer(t, tt.protocol, tt.settings) },
				Secret:      newSecret,
				Dial:        tt.dial,
				StreamsOnly: tt.streams,
			})
		})
	}
}

func newSecret() vpn.Secret {
	s, err := protocol.New(protocol.Mixed).Mint(vpn.Server{})
	if err != nil {
		panic(err)
	}
	return s
}

func newServer(t testing.TB, name vpn.Protocol, settings string) vpn.ServerSpec {
	t.Helper()
	s, err := protocol.New(name).Prepare(vpn.Server{Protocol: name, PublicHost: "proxy.example.test", Settings: json.RawMessage(settings)})
	if err != nil {
		t.Fatal(err)
	}
	return vpn.ServerSpec{Protocol: name, Settings: s.Settings, Private: s.Private}
}

// running is an engine with one user who may reach loopback.
type running struct {
	testing.TB
	engine engine.Engine
	meter  *meter.Meter
	spec   vpn.Spec
}

func start(t testing.TB, name vpn.Protocol, settings string) *running {
	t.Helper()
	return startWith(t, proxy.New, name, settings)
}

func startWith(t testing.TB, newEngine engine.New, name vpn.Protocol, settings string) *running {
	t.Helper()
	s := newServer(t, name, settings)
	s.ID, s.Name, s.Listen, s.Port = "server", "test", netip.IPv6Unspecified(), enginetest.FreePort(t, 1)
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	r := &running{TB: t, spec: vpn.Spec{Server: s, Grants: []vpn.Grant{{Credential: "c", User: "u", Name: "alice", Secret: newSecret()}}}}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.meter = meter.New(meter.Options{Epoch: "epoch", Log: log})
	var err error
	if r.engine, err = newEngine(engine.Config{Meter: r.meter, Guard: egress.New(s.Allow), Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.engine.Close()
		r.meter.Close()
	})
	r.apply()
	return r
}

func (r *running) apply() {
	r.Helper()
	r.meter.Set(r.spec.Grants)
	if err := r.engine.Apply(context.Background(), r.spec); err != nil {
		r.Fatal(err)
	}
}

// set changes the server's settings while it runs.
func (r *running) set(settings string) {
	r.Helper()
	s, err := protocol.New(r.spec.Server.Protocol).Prepare(vpn.Server{PublicHost: "proxy.example.test", Settings: json.RawMessage(settings), Private: r.spec.Server.Private})
	if err != nil {
		r.Fatal(err)
	}
	r.spec.Server.Settings = s.Settings
	r.apply()
}

func (r *running) addr() string {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.spec.Server.Port).String()
}

func (r *running) password() string { return r.spec.Grants[0].Secret.Reveal() }

// connect returns a connection to the server, on which nothing was said.
func (r *running) connect() net.Conn {
	r.Helper()
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return conn
}

// socks asks the server for something by SOCKS5, as alice.
func (r *running) socks(command byte, address string) (net.Conn, netip.AddrPort, error) {
	r.Helper()
	conn := r.connect()
	bound, err := socks(conn, "alice", r.password(), command, address)
	return conn, bound, err
}

// used returns what was counted of alice.
func (r *running) used() vpn.Traffic {
	for _, c := range r.meter.Usage(0).Counters {
		if c.Credential == "c" {
			return c.Traffic
		}
	}
	return vpn.Traffic{}
}
