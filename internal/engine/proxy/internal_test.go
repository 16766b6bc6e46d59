package proxy

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

func nthSource(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(n >> 16), byte(n >> 8), byte(n), 0, 9})
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience()
		alice, bob := &account{credential: "a"}, &account{credential: "b"}
		here, there := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:0:1::1")
		neighbour := netip.MustParseAddr("2001:db8::2") // of the same /64
		took := func(from netip.Addr, a *account) time.Duration {
			begin := time.Now()
			if got := p.judge(from, a); got != a {
				t.Errorf("judged %v, not %v", got, a)
			}
			return time.Since(begin)
		}
		if d := took(here, alice); d != 0 {
			t.Errorf("the first right password takes %v", d)
		}
		for n, want := range []time.Duration{250, 500, 1000, 2000, 4000, 8000, 8000} {
			if d := took(here, nil); d != want*time.Millisecond {
				t.Errorf("wrong password %d takes %v", n, d)
			}
		}
		if d := took(neighbour, alice); d != 0 {
			t.Errorf("one who came before the guesser takes %v", d)
		}
		if d := took(neighbour, bob); d != longPause {
			t.Errorf("a right password takes %v among wrong ones", d)
		}
		if d := took(here, bob); d != 0 {
			t.Errorf("one who is known takes %v", d)
		}
		if d := took(there, bob); d != 0 {
			t.Errorf("from elsewhere it takes %v", d)
		}
		<-time.After(forgiven + time.Second)
		if d := took(here, bob); d != 0 {
			t.Errorf("long after it takes %v", d)
		}
		refused := make(chan bool, 100)
		for range 100 {
			go func() {
				begin := time.Now()
				refused <- p.judge(here, bob) == nil && time.Since(begin) == 0
			}()
		}
		synctest.Wait()
		if len(refused) > 0 && <-refused {
			t.Error("a right password is refused though nobody guesses")
		}
	})
}

// However many wrong passwords wait for their turn, whoever is there already
// goes on.
func TestGuessersLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience()
		alice, bob := &account{credential: "a"}, &account{credential: "b"}
		here := netip.MustParseAddr("192.0.2.1")
		if p.judge(here, alice) == nil {
			t.Fatal("alice is refused though nobody guesses")
		}
		for range 2 * maxWaiting {
			go p.judge(here, nil)
		}
		synctest.Wait()
		begin := time.Now()
		if p.judge(here, alice) == nil || time.Since(begin) != 0 {
			t.Errorf("alice is refused, or waits %v, because a neighbour guesses", time.Since(begin))
		}
		if p.judge(here, bob) != nil {
			t.Error("a right password is told from wrong ones where too many wait")
		}
		close(p.over)
	})
}

func TestPatienceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience()
		for n := range 3 * maxGuessers {
			go p.judge(nthSource(n), nil)
		}
		synctest.Wait()
		if n := len(p.guessers); n > maxGuessers {
			t.Errorf("%d sources are remembered", n)
		}
		for n := range 2 * maxRegulars {
			p.judge(nthSource(1<<21+n), &account{credential: "a"})
		}
		if n := len(p.regulars); n > maxRegulars {
			t.Errorf("%d right passwords are remembered", n)
		}
		source := nthSource(1 << 20)
		for range 100 {
			go p.judge(source, nil)
		}
		synctest.Wait()
		p.mu.Lock()
		if n := p.guessers[inbound.SourceNetwork(source)].waiting; n != maxWaiting {
			t.Errorf("%d attempts of one source wait", n)
		}
		p.mu.Unlock()
		close(p.over)
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.set(protocol.Rate{Requests: 10, Per: time.Second})
		here := netip.MustParseAddr("192.0.2.1")
		allowed := 0
		for range 300 { // three seconds
			if _, ok := p.allow("u", here); ok {
				allowed++
			}
			<-time.After(10 * time.Millisecond)
		}
		if allowed < 38 || allowed > 40 { // the first second's worth is there at once
			t.Errorf("%d requests in three seconds at ten per second", allowed)
		}
		p.allow("v", here)
		if wait, ok := p.allow("v", here); ok || wait <= 0 || wait > time.Second {
			t.Errorf("another user of that source: %v, %v", wait, ok)
		}
		if _, ok := p.allow("v", netip.MustParseAddr("192.0.2.2")); !ok {
			t.Error("another user from elsewhere is refused")
		}
		p.set(protocol.Rate{Requests: 1_000_000, Per: time.Second})
		for n := range 2 * maxPaced {
			p.allow(vpn.UserID(nthSource(n).String()), nthSource(n))
		}
		if n := len(p.fresh); n > maxPaced+2 {
			t.Errorf("%d users and sources are remembered", n)
		}
	})
}

// Another spelling of an address is the same destination.
func TestDeniedInAnySpelling(t *testing.T) {
	set := protocol.Settings{Rules: protocol.Rules{DenyDestinations: []string{"203.0.113.0/24", "2001:db8:1::/48"}}}
	only := protocol.Settings{Rules: protocol.Rules{AllowDestinations: []string{"198.51.100.0/24"}}}
	denies, allows := rules{}, rules{}
	var err error
	if denies.policy, err = set.Policy(); err != nil {
		t.Fatal(err)
	}
	if allows.policy, err = only.Policy(); err != nil {
		t.Fatal(err)
	}
	g := egress.New(nil)
	for host, ok := range map[string]bool{
		"203.0.113.5": false, "::ffff:203.0.113.5": false, "64:ff9b::203.0.113.5": false, "64:ff9b::cb00:7105": false, "2001:db8:1::5": false,
		"198.51.100.5": true, "64:ff9b::198.51.100.5": true, "2001:db8:2::5": true,
	} {
		if _, err := denies.resolve(t.Context(), g, host); (err == nil) != ok {
			t.Errorf("%s, where others are denied: %v", host, err)
		}
		ok = ok && host != "2001:db8:2::5"
		if _, err := allows.resolve(t.Context(), g, host); (err == nil) != ok {
			t.Errorf("%s, where only some are allowed: %v", host, err)
		}
	}
}

func TestReplies(t *testing.T) {
	for r, err := range map[reply]error{replyRefused: vpn.Errorf(vpn.Denied, "no"), replyFailure: vpn.Errorf(vpn.Internal, "odd"), replyDone: nil} {
		if got := replyTo(err); got != r {
			t.Errorf("%v is replied %d, want %d", err, got, r)
		}
	}
}

func TestStrangersAreFew(t *testing.T) {
	s := newStrangers()
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range maxStrangersPerSource {
		if !s.enter(here) {
			t.Fatalf("stranger %d of one source is refused", n)
		}
	}
	if s.enter(here) {
		t.Error("one source may have any number")
	}
	if !s.enter(there) {
		t.Error("another source is refused")
	}
	s.leave(here)
	if !s.enter(here) {
		t.Error("when one has left, the next is refused")
	}
	n := 0
	for n < 2*maxStrangers && s.enter(nthSource(n)) {
		n++
	}
	if s.total != maxStrangers || s.enter(netip.MustParseAddr("192.0.2.9")) {
		t.Errorf("%d strangers in all", s.total)
	}
	for range maxStrangersPerSource {
		s.leave(here)
	}
	s.leave(there)
	for k := range n {
		s.leave(nthSource(k))
	}
	if s.total != 0 || len(s.by) != 0 {
		t.Errorf("%d strangers, of %d sources, are left", s.total, len(s.by))
	}
}

// Whoever has shown a password is no stranger, and whoever has gone neither.
func TestWhoIsAStranger(t *testing.T) {
	m := meter.New(meter.Options{})
	t.Cleanup(m.Close)
	e := newEngine(engine.Config{Meter: m, Guard: egress.New(nil), Log: slog.New(slog.DiscardHandler)}, greetTime)
	t.Cleanup(func() { _ = e.Close() })
	s, err := protocol.New(protocol.Mixed).Prepare(vpn.Server{Protocol: protocol.Mixed})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "a-password-of-alice-01234567"
	grants := []vpn.Grant{{Credential: "c", User: "u", Name: "alice", Secret: vpn.NewSecret(secret)}}
	m.Set(grants)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	_ = ln.Close()
	err = e.Apply(t.Context(), vpn.Spec{Grants: grants, Server: vpn.ServerSpec{
		Protocol: protocol.Mixed, Listen: at.Addr(), Port: at.Port(), Settings: s.Settings, Private: s.Private,
	}})
	if err != nil {
		t.Fatal(err)
	}
	strangersAre := func(want int) {
		t.Helper()
		got := -1
		for deadline := time.Now().Add(5 * time.Second); got != want && time.Now().Before(deadline); <-time.After(time.Millisecond) {
			e.strange.mu.Lock()
			got = e.strange.total
			e.strange.mu.Unlock()
		}
		if got != want {
			t.Errorf("%d strangers, not %d", got, want)
		}
	}
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	strangersAre(3)
	if _, err := fmt.Fprintf(conns[0], "\x05\x01\x02\x01\x05alice%c%s", len(secret), secret); err != nil {
		t.Fatal(err)
	}
	strangersAre(2)
	request := "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic " +
		base64.StdEncoding.EncodeToString([]byte("alice:"+secret)) + "\r\n\r\n"
	if _, err := io.WriteString(conns[1], request+request); err != nil {
		t.Fatal(err)
	}
	strangersAre(1)
	for _, conn := range conns {
		_ = conn.Close()
	}
	strangersAre(0)
}

// Between the check of a password and the flow that follows it may change.
func TestAPasswordThatChangesMeanwhile(t *testing.T) {
	m := meter.New(meter.Options{})
	t.Cleanup(m.Close)
	e := newEngine(engine.Config{Meter: m, Guard: egress.New(nil), Log: slog.New(slog.DiscardHandler)}, greetTime)
	t.Cleanup(func() { _ = e.Close() })
	set := func(secret string) {
		t.Helper()
		grants := []vpn.Grant{{Credential: "c", User: "u", Name: "alice", Secret: vpn.NewSecret(secret)}}
		m.Set(grants)
		next, gone, err := e.accounts.Load().plan(grants)
		if err != nil {
			t.Fatal(err)
		}
		e.accounts.Store(next)
		e.live.End(gone)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{Conn: conn, raw: conn.(*net.TCPConn), source: netip.MustParseAddrPort("192.0.2.1:1")}

	const first, second = "first-password-of-alice-0123", "second-password-of-alice-012"
	set(first)
	a := e.accounts.Load().check("alice", first)
	if a == nil {
		t.Fatal("the password does not let in")
	}
	set(second)
	if f, err := e.open(a, c, "tcp"); vpn.KindOf(err) != vpn.Denied {
		f.close()
		t.Errorf("with the old password: %v", err)
	}
	f, err := e.open(e.accounts.Load().check("alice", second), c, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	f.close()
	if n := m.Conns(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
}
