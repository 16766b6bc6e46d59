package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

func listen(t *testing.T) (*net.TCPListener, uint16) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func TestDialConnects(t *testing.T) {
	l, _ := listen(t)
	g := New(prefixes("127.0.0.0/8"))
	c, err := g.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("the connection is a %T, which cannot be spliced", c)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if got, err := io.ReadAll(far); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// Nothing reaches a socket of this host, whoever forgets to ask first.
func TestDialRefuses(t *testing.T) {
	l, port := listen(t)
	g := New(nil)
	g.lookup = everyNameIsLoopback
	for _, a := range []string{"127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"} {
		for _, network := range []string{"tcp", "udp"} {
			if _, err := g.Dial(t.Context(), network, addrs(a), port); vpn.KindOf(err) != vpn.Denied {
				t.Errorf("Dial(%s, %s) = %v", network, a, err)
			}
			if _, err := g.DialHere(t.Context(), network, addrs(a), port); vpn.KindOf(err) != vpn.Denied {
				t.Errorf("DialHere(%s, %s) = %v", network, a, err)
			}
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost", "rebound.example", "[::1]"} {
		if _, err := g.DialContext(t.Context(), "tcp", host+":80"); vpn.KindOf(err) != vpn.Denied {
			t.Errorf("DialContext(%s) = %v", host, err)
		}
	}
	if _, err := g.Dial(t.Context(), "unix", addrs("203.0.113.1"), 1); err == nil {
		t.Error("a unix socket was dialed")
	}
	// An engine that dials by itself, under our control.
	if _, err := (&net.Dialer{Control: g.Control}).DialContext(t.Context(), "tcp", l.Addr().String()); vpn.KindOf(err) != vpn.Denied {
		t.Errorf("net.Dialer under control: %v", err)
	}
	if err := g.Control("unix", "/run/vpn.sock", nil); vpn.KindOf(err) != vpn.Denied {
		t.Errorf("Control of a unix socket: %v", err)
	}
	// Whoever had connected would be waiting by now.
	if err := l.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Accept(); err == nil {
		t.Errorf("a connection came from %s", c.RemoteAddr())
	}
}

func TestDialFallsBack(t *testing.T) {
	l, port := listen(t) // on 127.0.0.1 alone
	g := New(prefixes("127.0.0.0/8"))
	// The first is refused by the guard, the second by the host.
	c, err := g.Dial(t.Context(), "tcp", addrs("10.0.0.1", "127.0.0.2", "127.0.0.1"), port)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = l.Close()
	_, err = g.Dial(t.Context(), "tcp", addrs("10.0.0.1", "127.0.0.2"), port)
	if vpn.KindOf(err) != vpn.Unavailable || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial = %v", err)
	}
	if _, err := g.Dial(t.Context(), "tcp", nil, port); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("Dial of no address = %v", err)
	}
}

func TestDialHere(t *testing.T) {
	l, port := listen(t) // on 127.0.0.1 alone
	g := New(prefixes("127.0.0.0/8"))
	for _, to := range [][]netip.Addr{addrs("::ffff:127.0.0.1"), addrs("127.0.0.2", "127.0.0.1")} {
		c, err := g.DialHere(t.Context(), "tcp", to, port)
		if err != nil {
			t.Fatalf("%v: %v", to, err)
		}
		_ = c.Close()
	}
	_ = l.Close()
	_, err := g.DialHere(t.Context(), "tcp", addrs("127.0.0.1"), port)
	if vpn.KindOf(err) != vpn.Unavailable || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("DialHere = %v", err)
	}
	if _, err := g.DialHere(t.Context(), "tcp", nil, port); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("DialHere of no address = %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.DialHere(gone, "tcp", addrs("127.0.0.1"), port); !errors.Is(err, context.Canceled) {
		t.Errorf("DialHere for nobody = %v", err)
	}
}

func TestDialContextRejectsNonsense(t *testing.T) {
	g := New(nil)
	for _, a := range []string{"", "203.0.113.1", "203.0.113.1:", "203.0.113.1:http", "203.0.113.1:65536", "203.0.113.1:-1", "::1:80"} {
		if _, err := g.DialContext(t.Context(), "tcp", a); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("DialContext(%q) = %v", a, err)
		}
	}
}

// wire is a network that answers as it is told, in a synctest bubble.
type wire struct {
	begin time.Time
	takes map[string]time.Duration // until it answers; negative: until it fails

	mu      sync.Mutex
	dialed  []string
	at      []time.Duration
	running int
	closed  int
}

type fakeConn struct {
	net.Conn
	w  *wire
	to string
}

func (c fakeConn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.closed++
	return nil
}

func (w *wire) connect(ctx context.Context, _, address string) (net.Conn, error) {
	host := strings.Trim(strings.TrimSuffix(address, ":443"), "[]")
	w.mu.Lock()
	w.dialed = append(w.dialed, host)
	w.at = append(w.at, time.Since(w.begin))
	w.running++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running--
	}()
	takes := w.takes[host]
	if takes < 0 {
		<-time.After(-takes)
		return nil, errors.New("it fails")
	}
	if takes == 0 { // the answer is on its way whatever happens
		<-time.After(time.Second)
		return fakeConn{w: w, to: host}, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
		return fakeConn{w: w, to: host}, nil
	}
}

func TestHappyEyeballs(t *testing.T) {
	const ms = time.Millisecond
	six, six2, four, four2 := "2001:db8::1", "2001:db8::2", "203.0.113.1", "203.0.113.2"
	for _, tt := range []struct {
		name   string
		addrs  []string
		takes  map[string]time.Duration
		won    string
		dialed []string
		at     []time.Duration
		closed int
	}{
		{
			"IPv6 comes first and is quick",
			[]string{four, six},
			map[string]time.Duration{six: 100 * ms, four: ms},
			six,
			[]string{six},
			[]time.Duration{0},
			0,
		},
		{
			"IPv6 is silent",
			[]string{six, four},
			map[string]time.Duration{six: time.Hour, four: 50 * ms},
			four,
			[]string{six, four},
			[]time.Duration{0, 250 * ms},
			0,
		},
		{
			"IPv6 fails",
			[]string{six, four},
			map[string]time.Duration{six: -10 * ms, four: 50 * ms},
			four,
			[]string{six, four},
			[]time.Duration{0, 10 * ms},
			0,
		},
		{
			"they take turns",
			[]string{four, four2, six, six2},
			map[string]time.Duration{six: time.Hour, four: time.Hour, six2: time.Hour, four2: ms},
			four2,
			[]string{six, four, six2, four2},
			[]time.Duration{0, 250 * ms, 500 * ms, 750 * ms},
			0,
		},
		{
			"the loser answers all the same",
			[]string{six, four},
			map[string]time.Duration{six: 0, four: ms},
			four,
			[]string{six, four},
			[]time.Duration{0, 250 * ms},
			1,
		},
		{
			"all fail",
			[]string{six, four},
			map[string]time.Duration{six: -time.Second, four: -ms},
			"",
			[]string{six, four},
			[]time.Duration{0, 250 * ms},
			0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{begin: time.Now(), takes: tt.takes}
				g := New(nil)
				g.connect = w.connect
				c, err := g.Dial(t.Context(), "tcp", addrs(tt.addrs...), 443)
				if won := c; tt.won == "" && vpn.KindOf(err) != vpn.Unavailable || tt.won != "" && (err != nil || won.(fakeConn).to != tt.won) {
					t.Errorf("Dial = %v, %v", c, err)
				}
				<-time.After(time.Minute)
				w.mu.Lock()
				defer w.mu.Unlock()
				if !slices.Equal(w.dialed, tt.dialed) || !slices.Equal(w.at, tt.at) {
					t.Errorf("dialed %v at %v, want %v at %v", w.dialed, w.at, tt.dialed, tt.at)
				}
				if w.running != 0 {
					t.Errorf("%d attempts go on", w.running)
				}
				if w.closed != tt.closed {
					t.Errorf("%d connections were closed, want %d", w.closed, tt.closed)
				}
			})
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{begin: time.Now(), takes: map[string]time.Duration{"203.0.113.1": time.Hour, "203.0.113.2": time.Hour}}
		g := New(nil)
		g.connect = w.connect
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := g.Dial(ctx, "tcp", addrs("203.0.113.1", "203.0.113.2"), 443)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(w.begin) != 100*time.Millisecond {
			t.Errorf("Dial ended after %v with %v", time.Since(w.begin), err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.dialed) != 1 {
			t.Errorf("dialed %v", w.dialed)
		}
	})
}

// BenchmarkDial tells what the guard adds to a dial, over loopback.
func BenchmarkDial(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	g := New(prefixes("127.0.0.0/8"))
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"guard": g.DialContext, "none": new(net.Dialer).DialContext,
		"here": func(ctx context.Context, network, address string) (net.Conn, error) {
			to := netip.MustParseAddrPort(address)
			return g.DialHere(ctx, network, []netip.Addr{to.Addr()}, to.Port())
		},
	} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			for b.Loop() {
				c, err := dial(ctx, "tcp", l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				_ = c.(*net.TCPConn).SetLinger(0) // or ports run out
				_ = c.Close()
			}
		})
	}
}
