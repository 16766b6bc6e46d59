package enginetest

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// throttled is about a user whose quota is used up in the middle of a
// download, and who is slowed down and not cut.
func throttled(t *testing.T, h Harness) {
	const (
		speed = 2 * mib
		burst = speed / 20 // what the meter lets pass at once
		most  = 2*mib + 12345
		size  = 4 * mib
	)
	plain, secure := listenTCP(t, h.host4()), listenTLS(t, h.host4())
	for name, d := range map[string]*destination{"plain": plain, "inner TLS": secure} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, h, 2)
			conn, other := b.dial(0, "tcp", d.addr), b.dial(1, "tcp", d.addr)
			if d == secure {
				conn, other = secured(t, conn), secured(t, other)
			}
			for _, c := range []net.Conn{conn, other} {
				if err := ping(c); err != nil {
					t.Fatal(err)
				}
			}
			b.spec.Grants[0].Throttle = speed
			b.limit(0, most)
			start := time.Now()
			if err := download(conn, size); err != nil {
				t.Fatalf("a connection is not what it was when the quota is used up: %v", err)
			}
			want := float64(size-most-burst) / speed
			if took := time.Since(start).Seconds(); took < want*0.9 || took > want*1.15+0.3 {
				t.Errorf("it took %.2f s, of which the throttle makes %.2f", took, want)
			}
			if err := download(other, size); err != nil {
				t.Errorf("another user: %v", err)
			}
			// Up too, and by a new connection.
			again := b.dial(0, "tcp", d.addr)
			if d == secure {
				again = secured(t, again)
			}
			took, err := upload(again, mib)
			if err != nil {
				t.Fatal(err)
			}
			if s := took.Seconds(); s < 0.35 || s > 0.8 {
				t.Errorf("up it took %.2f s", s)
			}
			// More is granted: at full speed again, at once.
			b.limit(0, 100*mib)
			start = time.Now()
			if err := download(conn, size); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > promptly {
				t.Errorf("with more granted it took %v", took)
			}
		})
	}
}

func throttledDatagrams(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	e := listenUDP(t, h.host4())
	conn := b.dial(0, "udp", e.at(h.host4()))
	if err := exchange(conn, 1000, patience); err != nil {
		t.Fatal(err)
	}
	const speed = 256 * kib
	b.spec.Grants[0].Throttle = speed
	b.limit(0, 5000)
	start, passed := time.Now(), 0
	for time.Since(start) < time.Second {
		if exchange(conn, 1000, 100*time.Millisecond) == nil {
			passed += 2000
		}
	}
	if n := b.meter.Conns(); n != 1 {
		t.Errorf("%d flows live", n)
	}
	most := speed*time.Since(start).Seconds()*1.1 + 2*64*kib
	if got := float64(passed); got > most || got < most/4 {
		t.Errorf("%.0f bytes passed, at most %.0f should", got, most)
	}
}

// roaming is about a phone that comes from another network while its old
// connections still hang about.
func roaming(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	b.spec.Grants[0].Devices = 1
	grantOf := b.devices(2) // in a tunnel, one credential that comes from elsewhere is the same device
	b.apply()
	d := listenTCP(t, h.host4())
	at := func(host string) Client {
		c := b.client(grantOf(map[string]int{"127.0.0.3": 1}[host]))
		c.From = netip.MustParseAddr(host)
		return c
	}
	from := func(host string) net.Conn { return b.dialAs(at(host), "tcp", d.addr) }
	old := from("127.0.0.2")
	if err := ping(old); err != nil {
		t.Fatal(err)
	}
	b.refusesAs(at("127.0.0.3"), d.addr)
	var phone net.Conn
	// Whoever is refused tries again, as applications do.
	if !eventually(patience, func() bool {
		phone = from("127.0.0.3")
		_ = phone.SetDeadline(time.Now().Add(promptly))
		return ping(phone) == nil
	}) {
		t.Fatal("the phone is never let in from its new network")
	}
	if !b.ends(old, promptly) {
		t.Error("the old connection is still open")
	}
	b.refusesAs(at("127.0.0.2"), d.addr)
}

// onHold is about a user whose time begins with the first use.
func onHold(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	now := time.Now().UTC().Truncate(time.Microsecond)
	b.spec.Grants[0].Hold.ValidFor, b.spec.Grants[0].Hold.HeldSince = 1, now
	b.apply()
	d := listenTCP(t, h.host4())
	other := b.dial(1, "tcp", d.addr)
	if err := ping(other); err != nil {
		t.Fatal(err)
	}
	if got := b.meter.Usage(0).FirstUses; len(got) > 0 {
		t.Errorf("used already: %+v", got)
	}
	before := time.Now()
	conn := b.dial(0, "tcp", d.addr)
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	got := b.meter.Usage(0).FirstUses
	if len(got) != 1 || got[0].User != b.spec.Grants[0].User || got[0].At.Before(before.Add(-time.Millisecond)) || got[0].At.After(time.Now()) {
		t.Fatalf("first uses %+v", got)
	}
	if !b.ends(conn, time.Second+promptly) {
		t.Error("the time is over, and the connection still open")
	}
	if early := got[0].At.Add(time.Second); time.Now().Before(early) {
		t.Errorf("cut %v too early", time.Until(early))
	}
	b.refuses(0, d.addr)
	if err := ping(other); err != nil {
		t.Errorf("another's connection broke: %v", err)
	}
}
