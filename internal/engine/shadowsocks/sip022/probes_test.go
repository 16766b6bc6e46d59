package sip022

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
)

// probed is an engine that strangers look at, and whose patience with them is
// short.
func probed(t *testing.T, method string) (*running, string) {
	t.Helper()
	o := defaults()
	o.greet = 2 * time.Second
	return startWith(t, method, o), sink(t)
}

// A probe is what somebody sends who has no key, or all but a good request.
type probe struct {
	name string
	wire []byte
}

// mute sends all probes at once and checks that none gets a byte, that no
// connection ends before its time, and that all end at the same.
func (r *running) mute(probes []probe) {
	r.Helper()
	greet := r.engine.options.greet
	var all sync.WaitGroup
	var mu sync.Mutex
	first, last := time.Hour, time.Duration(0)
	for _, p := range append(probes, probe{"nothing", nil}) {
		all.Go(func() {
			start := time.Now()
			conn, err := net.Dial("tcp", r.client().Via.String())
			if err != nil {
				r.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(p.wire); err != nil {
				r.Errorf("%s: %v", p.name, err)
			}
			_ = conn.SetReadDeadline(start.Add(greet + patience))
			n, err := conn.Read(make([]byte, 1))
			took := time.Since(start)
			if n > 0 || !errors.Is(err, io.EOF) || took < greet-100*time.Millisecond {
				r.Errorf("%s: %d bytes came, and after %v: %v", p.name, n, took, err)
			}
			mu.Lock()
			defer mu.Unlock()
			first, last = min(first, took), max(last, took)
		})
	}
	all.Wait()
	if last-first > time.Second {
		r.Errorf("the first probe ended after %v, the last after %v", first, last)
	}
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		r.Error("flows are left")
	}
	if n := r.total() - r.base; n > 0 {
		r.Errorf("%d bytes were carried", n)
	}
}

// good is a request of alice's that is whole.
func (r *running) good(to string) greeting {
	return greeting{login: loginOf(r.client()), to: socksAddr(to), padding: 60}
}

func wire(g greeting) []byte {
	b, _ := g.bytes()
	return b
}

func TestRandomProbes(t *testing.T) {
	r, _ := probed(t, "2022-blake3-aes-256-gcm")
	var probes []probe
	for n := range 222 {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		probes = append(probes, probe{fmt.Sprintf("%d random bytes", n), b})
	}
	r.mute(probes)
}

func TestTruncatedRequests(t *testing.T) {
	for method := range sizes {
		t.Run(method, func(t *testing.T) {
			r, to := probed(t, method)
			var probes []probe
			for n := range 100 {
				probes = append(probes, probe{fmt.Sprintf("%d bytes of a request", n), wire(r.good(to))[:n]})
			}
			r.mute(probes)
		})
	}
}

func TestModifiedRequests(t *testing.T) {
	for method := range sizes {
		t.Run(method, func(t *testing.T) {
			r, to := probed(t, method)
			var probes []probe
			for n := range wire(r.good(to)) {
				b := wire(r.good(to))
				b[n] ^= 1 << (n % 8)
				probes = append(probes, probe{fmt.Sprintf("byte %d modified", n), b})
			}
			r.mute(probes)
		})
	}
}

func TestBadRequests(t *testing.T) {
	for method, size := range sizes {
		t.Run(method, func(t *testing.T) {
			r, to := probed(t, method)
			stranger, bob := make([]byte, size), loginOf(r.clientOf(1)).user
			_, _ = rand.Read(stranger)
			with := func(name string, change func(*greeting)) probe {
				g := r.good(to)
				change(&g)
				return probe{name, wire(g)}
			}
			r.mute([]probe{
				with("a minute ago", func(g *greeting) { g.sent = time.Now().Add(-time.Minute) }),
				with("31 s ago", func(g *greeting) { g.sent = time.Now().Add(-31 * time.Second) }),
				with("in 32 s", func(g *greeting) { g.sent = time.Now().Add(32 * time.Second) }),
				with("at the end of time", func(g *greeting) { g.sent = time.Unix(1<<62, 0) }),
				with("before time", func(g *greeting) { g.sent = time.Unix(-1, 0) }),
				with("a reply", func(g *greeting) { g.typ = 1 }),
				with("another type", func(g *greeting) { g.typ = 2 }),
				with("a user that nobody knows", func(g *greeting) { g.user = stranger }),
				with("another user's key", func(g *greeting) { g.identity = hash16(bob) }),
				with("another server's key", func(g *greeting) { g.server = stranger }),
				with("neither padding nor payload", func(g *greeting) { g.padding = 0 }),
				with("no address", func(g *greeting) { g.to = nil }),
				with("a bad kind of address", func(g *greeting) { g.to = []byte{9, 1, 2, 3, 4, 0, 80} }),
				with("padding that is not there", func(g *greeting) { g.to = append(g.to, 0xff, 0xff); g.padding = 0 }),
			})
			for name, change := range map[string]func(*greeting){
				"29 s ago":        func(g *greeting) { g.sent = time.Now().Add(-29 * time.Second) },
				"in 29 s":         func(g *greeting) { g.sent = time.Now().Add(29 * time.Second) },
				"payload only":    func(g *greeting) { g.padding, g.payload = 0, []byte("e") },
				"both":            func(g *greeting) { g.payload = []byte("e") },
				"a large request": func(g *greeting) { g.padding, g.payload = 900, bytes.Repeat([]byte("e"), 60_000) },
			} {
				g := r.good(to)
				change(&g)
				r.answered(name, g)
			}
		})
	}
}

// answered checks that a request is good.
func (r *running) answered(name string, g greeting) {
	r.Helper()
	b, c := g.bytes()
	conn, err := net.Dial("tcp", r.client().Via.String())
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	s := &stream{TCPConn: conn.(*net.TCPConn), greeting: g, up: c}
	if _, err := conn.Write(b); err != nil {
		r.Fatal(err)
	}
	if len(g.payload) == 0 {
		_, _ = s.Write([]byte("e"))
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		r.Errorf("%s: %v", name, err)
	}
}

// What was heard once is worth nothing, whoever says it again, to whichever
// side.
func TestRepeatedRequests(t *testing.T) {
	for method := range sizes {
		t.Run(method, func(t *testing.T) {
			r, to := probed(t, method)
			g := r.good(to)
			g.bytes() // settles the salt
			first := wire(g)
			conn, err := net.Dial("tcp", r.client().Via.String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_, _ = conn.Write(first)
			if !enginetest.Eventually(func() bool { return r.meter.Conns() == 1 }) {
				t.Fatal("the first was not taken")
			}
			_ = conn.Close()
			another := r.good(to)
			another.salt, another.padding = g.salt, 1

			// And a reply, of which there has to be one.
			s := r.open(to, 'e')
			reply := make([]byte, 200)
			n, err := s.TCPConn.Read(reply)
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			r.forgetUsage()
			r.mute([]probe{
				{"the same again", first},
				{"the same salt", wire(another)},
				{"the same salt again", wire(another)},
				{"the server's own reply", reply[:n]},
			})
		})
	}
}

// forgetUsage waits until nothing is carried, and begins to count anew.
func (r *running) forgetUsage() {
	r.Helper()
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		r.Fatal("flows are left")
	}
	r.base = r.total()
}

// A stream in which somebody changes a byte carries nothing from there on. Its
// end does not say where that was noticed.
func TestModifiedStream(t *testing.T) {
	r, to := probed(t, "2022-blake3-aes-128-gcm")
	for _, n := range []int{0, 1, 2, 17, 18, 500, 1018 + 15} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := r.open(to, 'e')
			defer func() { _ = s.Close() }()
			if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			chunk := append(s.up.seal([]byte{1000 >> 8, 1000 & 0xff}), s.up.seal(make([]byte, 1000))...)
			chunk[n] ^= 1
			start := time.Now()
			_, _ = s.TCPConn.Write(chunk)
			_ = s.SetReadDeadline(start.Add(500 * time.Millisecond))
			// The destination has heard the last, so it ends the reply in
			// order. It does not reset.
			k, err := s.TCPConn.Read(make([]byte, 1))
			if k > 0 || err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes came, and %v", k, err)
			}
			for range 3 {
				if _, err := s.TCPConn.Write(chunk); err != nil {
					t.Errorf("cannot send any more: %v", err)
				}
			}
		})
	}
}

func TestTooManyStrangers(t *testing.T) {
	s := newStrangers()
	var ended []int
	var leave []func()
	for i := range maxStrangers {
		leave = append(leave, s.enter(func() { ended = append(ended, i) }))
	}
	leave[0]()
	s.enter(func() {})
	if len(ended) > 0 {
		t.Errorf("%v had to go though there was room", ended)
	}
	s.enter(func() {})
	if len(ended) != 1 || ended[0] != 1 {
		t.Errorf("%v had to go, not the first", ended)
	}
	leave[1]() // too late, and no harm
	if s.ends.Len() != maxStrangers {
		t.Errorf("%d are there", s.ends.Len())
	}
}
