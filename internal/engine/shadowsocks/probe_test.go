package shadowsocks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	sdk "github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/shadowsocks"
	settings "vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// These are the cases of Outline's probe suite: what the Great Firewall sends,
// and more.

const (
	patience  = 10 * time.Second
	handshake = 600 * time.Millisecond // instead of 59 s
	spread    = 3 * time.Second        // what a busy machine may add to that

	probeRounds = 5 // with other bytes each
)

// running is an engine with some users who may reach loopback.
type running struct {
	testing.TB
	engine engine.Engine
	meter  *meter.Meter
	spec   vpn.Spec
	method settings.Method

	elsewhere netip.Addr // where the last probe came from
}

func start(t testing.TB, m settings.Method, set string, users int) *running {
	t.Helper()
	return startWith(t, shadowsocks.NewImpatient(handshake), m, set, users)
}

func startWith(t testing.TB, newEngine engine.New, m settings.Method, set string, users int) *running {
	t.Helper()
	s := newServer(t, `{"method": "`+string(m)+`"`+set+`}`)
	s.ID, s.Name, s.Listen, s.Port = "server", "test", netip.IPv6Unspecified(), enginetest.FreePort(t, 8)
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	r := &running{TB: t, spec: vpn.Spec{Server: s}, method: m, elsewhere: netip.MustParseAddr("127.8.0.0")}
	for i := range users {
		r.spec.Grants = append(r.spec.Grants, vpn.Grant{
			Credential: vpn.CredentialID(fmt.Sprint("c", i)), User: vpn.UserID(fmt.Sprint("u", i)), Secret: newSecret(), Slot: uint32(i),
		})
	}
	log := slog.New(slog.DiscardHandler)
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

func (r *running) addr() string { return net.JoinHostPort("127.0.0.1", portText(r.spec.Server.Port)) }

func (r *running) client(i int) enginetest.Client {
	return enginetest.Client{
		Server: r.spec.Server, Grant: r.spec.Grants[i], Via: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.spec.Server.Port),
	}
}

func (r *running) dial(i int, network, address string) net.Conn {
	r.Helper()
	conn, err := dial(context.Background(), r.client(i), network, address)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// hello returns what a client sends first that wants to go to an address.
func (r *running) hello(to string, payload string) []byte {
	r.Helper()
	key, err := sdk.NewEncryptionKey(string(r.method), r.spec.Grants[0].Secret.Reveal())
	if err != nil {
		r.Fatal(err)
	}
	var out bytes.Buffer
	a := netip.MustParseAddrPort(to)
	plain := append([]byte{1}, a.Addr().AsSlice()...)
	plain = append(plain, byte(a.Port()>>8), byte(a.Port()))
	if _, err := sdk.NewWriter(&out, key).Write(append(plain, payload...)); err != nil {
		r.Fatal(err)
	}
	return out.Bytes()
}

// A probe is something that is sent, and then perhaps the end.
type probe struct {
	what string
	data []byte
}

// silent checks that nothing comes back for any of the probes, and that all
// connections end when the time of a handshake is over, neither before nor
// much later. Each comes from an address of its own: of those that come from
// one, the first are tried with every key, and the others are not.
func (r *running) silent(probes []probe) {
	r.Helper()
	var all sync.WaitGroup
	tokens := make(chan struct{}, 256)
	for _, p := range probes {
		tokens <- struct{}{}
		r.elsewhere = r.elsewhere.Next()
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.elsewhere, 0))}
		all.Go(func() {
			defer func() { <-tokens }()
			begin := time.Now() // before the server can begin to count
			conn, err := d.Dial("tcp", r.addr())
			if err != nil {
				r.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(p.data); err != nil {
				r.Errorf("%s: %v", p.what, err)
			}
			_ = conn.SetReadDeadline(begin.Add(patience))
			got, err := io.ReadAll(conn)
			took := time.Since(begin)
			if len(got) > 0 {
				r.Errorf("%s: %d bytes come back", p.what, len(got))
			}
			if err != nil || took < handshake || took > handshake+spread {
				r.Errorf("%s: ended after %v, %v", p.what, took, err)
			}
		})
	}
	all.Wait()
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.IntN(256))
	}
	return b
}

func methods() []settings.Method {
	return []settings.Method{settings.ChaCha20, settings.AES256, settings.AES128}
}

func TestProbesOfRandomBytes(t *testing.T) {
	for _, m := range methods() {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			r := start(t, m, "", 3)
			var probes []probe
			for n := range probeRounds * 222 {
				n %= 222
				probes = append(probes, probe{fmt.Sprintf("%d random bytes", n), random(n)})
			}
			r.silent(probes)
		})
	}
}

func TestProbesOfCutAndChangedHandshakes(t *testing.T) {
	for _, m := range methods() {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			r := start(t, m, "", 3)
			echo := enginetest.ListenEcho(t, "127.0.0.1")
			var probes []probe
			for range probeRounds {
				for n := range r.hello(echo, "hello") {
					probes = append(probes, probe{fmt.Sprintf("the first %d bytes", n), r.hello(echo, "hello")[:n]})
					changed := r.hello(echo, "hello")
					changed[n] ^= 1 << rand.IntN(8)
					probes = append(probes, probe{fmt.Sprintf("byte %d changed", n), changed})
				}
			}
			r.silent(probes)
			if n := r.meter.Conns(); n != 0 {
				t.Errorf("%d flows are left", n)
			}
			for _, c := range r.meter.Usage(0).Counters {
				if c.Traffic.Total() > 0 {
					t.Errorf("%s has moved %+v", c.Credential, c.Traffic)
				}
			}
		})
	}
}

// 50 bytes are what the library looks for a key with.
func TestProbesAtTheLimit(t *testing.T) {
	r := start(t, settings.ChaCha20, "", 3)
	var probes []probe
	for range 20 {
		for _, n := range []int{49, 50, 51} {
			probes = append(probes, probe{fmt.Sprintf("%d random bytes", n), random(n)}, probe{fmt.Sprintf("%d of a handshake", n), r.hello(enginetest.ListenEcho(t, "127.0.0.1"), "hello")[:n]})
		}
	}
	r.silent(probes)
}

// A handshake is good once. What the server has said is no handshake either,
// and not with a byte changed.
func TestReplays(t *testing.T) {
	const sessions = 100
	for _, m := range methods() {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			r := start(t, m, "", 3)
			echo := enginetest.ListenEcho(t, "127.0.0.1")
			var probes []probe
			for k := range sessions {
				hello := r.hello(echo, "hello, and a text that is long enough for a handshake of the server's own")
				answer := r.answered(hello)
				probes = append(probes, probe{"a client's handshake", hello}, probe{"a client's handshake, cut", hello[:60]})
				if m == settings.AES128 { // whose salt is too short for a mark
					continue
				}
				changed := bytes.Clone(answer)
				changed[k] ^= 1
				probes = append(probes, probe{"the server's answer", answer}, probe{"the server's answer, changed", changed})
			}
			before := r.meter.Usage(0)
			r.silent(probes)
			for i, c := range r.meter.Usage(0).Counters {
				if c.Traffic != before.Counters[i].Traffic {
					t.Errorf("%s has moved something by a replay", c.Credential)
				}
			}
		})
	}
}

// answered sends a handshake, and returns how the answer begins.
func (r *running) answered(hello []byte) []byte {
	r.Helper()
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(hello); err != nil {
		r.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer := make([]byte, 100)
	if _, err := io.ReadFull(conn, answer); err != nil {
		r.Fatalf("the handshake itself: %v", err)
	}
	return answer
}

// Whoever has shown no key too often is not tried every key any more; whoever
// has used a key from there before does not notice, and others wait.
func TestManyWithoutAKey(t *testing.T) {
	r := startWith(t, shadowsocks.NewImpatient(5*time.Second), settings.ChaCha20, "", 3)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	if err := enginetest.Echoes(r.dial(0, "tcp", echo)); err != nil {
		t.Fatal(err)
	}
	for range 75 {
		conn, err := net.Dial("tcp", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(random(100)); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	for range 10 {
		if err := enginetest.Echoes(r.dial(0, "tcp", echo)); err != nil {
			t.Fatalf("a key that was used from there: %v", err)
		}
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("connections with a key that was used from there took %v", took)
	}
	if err := enginetest.Echoes(r.dial(1, "tcp", echo)); err != nil {
		t.Errorf("a key that was not used from there: %v", err)
	}
	c := r.client(2)
	c.From = netip.MustParseAddr("127.0.0.9")
	begin = time.Now()
	conn, err := dial(t.Context(), c, "tcp", echo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := enginetest.Echoes(conn); err != nil || time.Since(begin) > time.Second {
		t.Errorf("from elsewhere: %v, after %v", err, time.Since(begin))
	}
}

// A stream that somebody has changed on its way goes no further, and does not
// end for that.
func TestAStreamThatWasChanged(t *testing.T) {
	r := start(t, settings.ChaCha20, "", 1)
	hello := r.hello(enginetest.ListenEcho(t, "127.0.0.1"), "hello")
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	const sealed = 32 + 2 + 16 + len("hello") + 16
	if _, err := io.ReadFull(conn, make([]byte, sealed)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := conn.Write(random(100)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(begin.Add(patience))
	if _, err := io.ReadAll(conn); err != nil || time.Since(begin) < handshake {
		t.Errorf("ended after %v, %v", time.Since(begin), err)
	}
}

// Users beyond the cap are at the ports that follow, and at no other.
func TestUsersAreSpreadOverPorts(t *testing.T) {
	r := start(t, settings.ChaCha20, `, "keys_per_port": "2"`, 5)
	echo, packets := enginetest.ListenEcho(t, "127.0.0.1"), enginetest.ListenPackets(t, "127.0.0.1")
	for i := range 5 {
		if err := enginetest.Echoes(r.dial(i, "tcp", echo)); err != nil {
			t.Errorf("user %d: %v", i, err)
		}
		if err := enginetest.Echoes(r.dial(i, "udp", packets)); err != nil {
			t.Errorf("user %d, datagrams: %v", i, err)
		}
	}
	c := r.client(4)
	c.Grant.Slot = 0
	conn, err := dial(t.Context(), c, "tcp", echo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if err := enginetest.Echoes(conn); err == nil {
		t.Error("a user is let in at another's port")
	}
	// A port that nobody needs any more is closed, and the others' connections
	// live.
	live := r.dial(0, "tcp", echo)
	if err := enginetest.Echoes(live); err != nil {
		t.Fatal(err)
	}
	r.spec.Grants = r.spec.Grants[:2]
	r.apply()
	if err := enginetest.Echoes(live); err != nil {
		t.Errorf("a connection broke: %v", err)
	}
	for port := r.spec.Server.Port; port <= r.spec.Server.Port+2; port++ {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", portText(port)))
		if open := err == nil; open != (port == r.spec.Server.Port) {
			t.Errorf("port %d of %d is open: %v", port, r.spec.Server.Port, open)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	// And one that somebody else has changes nothing.
	taken, err := net.Listen("tcp", ":"+portText(r.spec.Server.Port+1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	r.spec.Grants = append(r.spec.Grants, vpn.Grant{Credential: "new", User: "new", Secret: newSecret(), Slot: 2})
	r.meter.Set(r.spec.Grants)
	if err := r.engine.Apply(t.Context(), r.spec); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a taken port: %v", err)
	}
	if err := enginetest.Echoes(live); err != nil {
		t.Errorf("a connection broke: %v", err)
	}
}

// Streams outlive a change of the method, which is for those that follow.
func TestAnotherMethod(t *testing.T) {
	r := start(t, settings.ChaCha20, "", 1)
	echo, packets := enginetest.ListenEcho(t, "127.0.0.1"), enginetest.ListenPackets(t, "127.0.0.1")
	live := r.dial(0, "tcp", echo)
	if err := enginetest.Echoes(live); err != nil {
		t.Fatal(err)
	}
	r.spec.Server.Settings = newServer(t, `{"method": "aes-256-gcm"}`).Settings
	r.apply()
	if err := enginetest.Echoes(live); err != nil {
		t.Errorf("a connection broke: %v", err)
	}
	if err := enginetest.Echoes(r.dial(0, "tcp", echo)); err != nil {
		t.Errorf("by the new method: %v", err)
	}
	if err := enginetest.Echoes(r.dial(0, "udp", packets)); err != nil {
		t.Errorf("datagrams by the new method: %v", err)
	}
}

// Between the methods of 2022 and the others nothing is kept, and there is a way
// back.
func TestAMethodOfTheOtherKind(t *testing.T) {
	r := startWith(t, shadowsocks.New, settings.ChaCha20, "", 1)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	for range 2 {
		live := r.dial(0, "tcp", echo)
		if err := enginetest.Echoes(live); err != nil {
			t.Fatal(err)
		}
		was := r.spec.Server
		now := newServer(t, `{"method": "2022-blake3-aes-256-gcm"}`)
		r.spec.Server.Settings, r.spec.Server.Private = now.Settings, now.Private
		r.apply()
		_ = live.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := live.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection by the old method: %v", err)
		}
		r.spec.Server = was
		r.apply()
	}
}

// Of two clients that come from one address and port one after the other, each
// is who it is.
func TestAnotherClientAtTheSameAddress(t *testing.T) {
	r := start(t, settings.ChaCha20, "", 2)
	packets := enginetest.ListenPackets(t, "127.0.0.1")
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(enginetest.FreePort(t, 1))}
	for i := range 2 {
		key, err := sdk.NewEncryptionKey(string(r.method), r.spec.Grants[i].Secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(r.addr())))
		if err != nil {
			t.Fatal(err)
		}
		a := netip.MustParseAddrPort(packets)
		plain := append(append([]byte{1}, a.Addr().AsSlice()...), byte(a.Port()>>8), byte(a.Port()))
		sealed, err := sdk.Pack(make([]byte, 1000), append(plain, "hello"...), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sealed); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 1000)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		if text, err := sdk.Unpack(nil, b[:n], key); err != nil || !bytes.HasSuffix(text, []byte("hello")) {
			t.Errorf("client %d gets %q, %v", i, text, err)
		}
		_ = conn.Close()
	}
	for _, c := range r.meter.Usage(0).Counters {
		if c.Traffic != (vpn.Traffic{Up: 5, Down: 5}) {
			t.Errorf("%s: %+v", c.Credential, c.Traffic)
		}
	}
}
