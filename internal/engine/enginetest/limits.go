package enginetest

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func ceiling(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	d := listenTCP(t, h.host4())
	t.Run("exact", func(t *testing.T) {
		const most = 3*mib + 12345
		conns := []net.Conn{b.dial(0, "tcp", d.addr), b.dial(0, "tcp", d.addr)}
		for _, conn := range conns {
			if err := ping(conn); err != nil {
				t.Fatal(err)
			}
		}
		before := b.used(0).Total()
		b.limit(0, most)
		for _, conn := range conns {
			if err := ask(conn, opDownload, 1<<40, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, conn := range conns {
			if !b.ends(conn, patience) {
				t.Error("connection still open though the ceiling must have been reached")
			}
		}
		b.severed()
		if got := b.used(0).Total() - before; !h.reached(got, most) {
			t.Errorf("%d bytes passed, the ceiling was %d", got, most)
		}
		if !h.Packets { // what is left may be too little for one packet, and enough for another
			b.refuses(0, d.addr)
		}
	})
	t.Run("raised", func(t *testing.T) {
		b.limit(0, mib)
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Errorf("the user is not let in again: %v", err)
		}
	})
	t.Run("none yet", func(t *testing.T) {
		b.spec.Grants[1].Capped = true
		b.apply()
		b.refuses(1, d.addr)
	})
}

// reached reports whether a ceiling of most was reached by got, and not
// passed. A packet passes as a whole or not at all.
func (h Harness) reached(got, most uint64) bool {
	const (
		packet = 1500
		ack    = 80 // that was on its way when the ceiling was set
	)
	return got == most || h.Packets && got < most+ack && got+packet > most
}

func ceilingTLS(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTLS(t, h.host4())
	conn := secured(t, b.dial(0, "tcp", d.addr))
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	const (
		most  = 4 * mib
		speed = 20 * mib
	)
	before := b.used(0).Total()
	b.limit(0, most)
	if err := ask(conn, opDownload, 1<<40, speed); err != nil {
		t.Fatal(err)
	}
	if !b.ends(conn, patience) {
		t.Fatal("connection still open though the ceiling must have been reached")
	}
	b.severed()
	got := b.used(0).Total() - before
	if !h.reached(got, most) {
		t.Errorf("%d bytes passed, the ceiling was %d", got, most)
	}
}

func rate(t *testing.T, h Harness) {
	const (
		speed = topSpeed
		burst = speed / 20 // what the meter lets pass at once
		bytes = 4 * mib
	)
	b := newBench(t, h, 3)
	for i := range b.spec.Grants {
		b.spec.Grants[i].RateUp, b.spec.Grants[i].RateDown = speed, speed
	}
	b.apply()
	check := func(t *testing.T, direction string, took time.Duration) {
		t.Helper()
		least := 0.9
		if h.Packets { // headers count, and TCP backs off before it is at the limit
			least = 0.85
		}
		if got := (bytes - burst) / took.Seconds(); got < least*speed || got > 1.1*speed {
			t.Errorf("%s: %.2f MiB/s, the limit is %.2f", direction, got/mib, speed/float64(mib))
		}
	}
	// Each connection has an equal part of the bytes.
	test := func(t *testing.T, conns ...net.Conn) {
		t.Helper()
		for _, conn := range conns {
			if err := ping(conn); err != nil {
				t.Fatal(err)
			}
		}
		part := uint64(bytes / len(conns))
		check(t, "down", longest(t, conns, func(conn net.Conn) (time.Duration, error) {
			start := time.Now()
			err := download(conn, part)
			return time.Since(start), err
		}))
		check(t, "up", longest(t, conns, func(conn net.Conn) (time.Duration, error) { return upload(conn, part) }))
	}
	d := listenTCP(t, h.host4())
	plain := b.dial(0, "tcp", d.addr)
	secure := secured(t, b.dial(1, "tcp", listenTLS(t, h.host4()).addr))
	t.Run("both", func(t *testing.T) {
		t.Run("plain", func(t *testing.T) {
			t.Parallel() // each user has a rate of its own
			test(t, plain)
		})
		t.Run("inner TLS", func(t *testing.T) {
			t.Parallel()
			test(t, secure)
		})
	})
	if !h.Packets { // streams take turns in the meter, whose own tests see to that
		return
	}
	t.Run("four connections", func(t *testing.T) {
		several := make([]net.Conn, 4)
		for i := range several {
			several[i] = b.dial(2, "tcp", d.addr)
		}
		test(t, several...)
	})
}

// longest does something with each connection at once, and returns the longest
// time that one took.
func longest(t *testing.T, conns []net.Conn, do func(net.Conn) (time.Duration, error)) (most time.Duration) {
	t.Helper()
	type result struct {
		took time.Duration
		err  error
	}
	results := make(chan result, len(conns))
	for _, conn := range conns {
		go func() {
			took, err := do(conn)
			results <- result{took, err}
		}()
	}
	for range conns {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		most = max(most, r.took)
	}
	return most
}

// rateGained is about a user who had no limit when a download began.
func rateGained(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTLS(t, h.host4())
	conn := secured(t, b.dial(0, "tcp", d.addr))
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	if err := ask(conn, opDownload, 1<<40, 100*mib); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = drain(conn, patience) }() // or buffers on the way might hold it up
	if !eventually(patience, func() bool { return b.used(0).Down > 4*mib }) {
		t.Fatal("no download")
	}
	b.spec.Grants[0].RateDown = mib
	b.apply()
	before, start := b.used(0).Down, time.Now()
	time.Sleep(promptly)
	if got := float64(b.used(0).Down-before) / time.Since(start).Seconds(); got > 1.5*mib || got < 0.5*mib {
		t.Errorf("%.2f MiB/s under a limit of 1", got/mib)
	}
}

func devices(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	b.spec.Grants[0].Devices = 2
	grantOf := b.devices(3)
	b.apply()
	d := listenTCP(t, h.host4())
	at := func(n int) Client {
		c := b.client(grantOf(n - 2))
		c.From = netip.MustParseAddr(fmt.Sprintf("127.0.0.%d", n))
		return c
	}
	from := func(n int) net.Conn { return b.dialAs(at(n), "tcp", d.addr) }
	first, second := from(2), from(3)
	for _, conn := range []net.Conn{first, second, from(2)} {
		if err := ping(conn); err != nil {
			t.Fatal(err)
		}
	}
	b.refusesAs(at(4), d.addr)
	_ = second.Close()
	left := 2 // connections of the first
	if h.Tunnel {
		left = 1
	}
	if !eventually(patience, func() bool { return ping(first) == nil && b.meter.Conns() == left }) {
		t.Fatal("closed connection still there")
	}
	if err := ping(from(4)); err != nil {
		t.Errorf("refused though another device has left: %v", err)
	}
}

func connections(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	b.spec.Grants[0].Connections = 2
	grantOf := b.devices(3)
	b.apply()
	d := listenTCP(t, h.host4())
	var both [2]net.Conn
	for i := range both {
		both[i] = b.dial(grantOf(i), "tcp", d.addr)
		if err := ping(both[i]); err != nil { // or the second might come first
			t.Fatal(err)
		}
	}
	first, second := both[0], both[1]
	b.refuses(grantOf(2), d.addr)
	for i := range b.spec.Grants {
		b.spec.Grants[i].Connections = 1
	}
	b.apply()
	if !b.ends(second, promptly) {
		t.Error("the newest connection is one too many, and still open")
	}
	if err := ping(first); err != nil {
		t.Errorf("the oldest connection broke: %v", err)
	}
	if got := b.used(0); got == (vpn.Traffic{}) {
		t.Error("nothing counted")
	}
}
