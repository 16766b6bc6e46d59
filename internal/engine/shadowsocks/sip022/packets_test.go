package sip022

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	"vpn/internal/vpn"
)

// associate begins a UDP session of alice's with an echo.
func (r *running) associate(echo string) *association {
	r.Helper()
	return r.associateFrom(netip.Addr{}, echo)
}

func (r *running) associateFrom(from netip.Addr, echo string) *association {
	r.Helper()
	c := r.client()
	c.From = from
	a, err := dialUDP(context.Background(), c, echo)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = a.Close() })
	return a
}

// sendRaw sends datagrams in this order, and returns how many came back.
func (a *association) sendRaw(t testing.TB, wire ...[]byte) (answers int) {
	t.Helper()
	for _, b := range wire {
		if _, err := a.UDPConn.Write(b); err != nil && len(b) > 0 {
			t.Fatal(err)
		}
	}
	// The last word is answered, and whatever was answered before has come by
	// then: each waits for its turn in the same sockets.
	last := a.next([]byte("last"))
	last.number = a.sent + 1<<20
	a.mu.Lock()
	a.sent = last.number + 1
	a.mu.Unlock()
	if _, err := a.UDPConn.Write(last.bytes()); err != nil {
		t.Fatal(err)
	}
	for {
		_ = a.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 1<<10)
		n, err := a.Read(buf)
		if err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		if string(buf[:n]) == "last" {
			return answers
		}
		answers++
	}
}

func TestPackets(t *testing.T) {
	for method, size := range sizes {
		t.Run(method, func(t *testing.T) {
			r := start(t, method)
			echo := enginetest.ListenPackets(t, "127.0.0.1")
			stranger, bob := make([]byte, size), loginOf(r.clientOf(1)).user
			_, _ = rand.Read(stranger)
			for name, tt := range map[string]struct {
				change func(*datagram)
				want   int
			}{
				"as it should be":            {func(*datagram) {}, 1},
				"padding":                    {func(d *datagram) { d.padding = 900 }, 1},
				"29 s ago":                   {func(d *datagram) { d.sent = time.Now().Add(-29 * time.Second) }, 1},
				"in 29 s":                    {func(d *datagram) { d.sent = time.Now().Add(29 * time.Second) }, 1},
				"31 s ago":                   {func(d *datagram) { d.sent = time.Now().Add(-31 * time.Second) }, 0},
				"in 32 s":                    {func(d *datagram) { d.sent = time.Now().Add(32 * time.Second) }, 0},
				"an answer":                  {func(d *datagram) { d.typ = 1 }, 0},
				"a user that nobody knows":   {func(d *datagram) { d.user = stranger }, 0},
				"another user's key":         {func(d *datagram) { d.identity = hash16(bob) }, 0},
				"another server's key":       {func(d *datagram) { d.server = stranger }, 0},
				"no address":                 {func(d *datagram) { d.to, d.payload = nil, nil }, 0},
				"padding that is not there":  {func(d *datagram) { d.lie = 0xffff }, 0},
				"port 0":                     {func(d *datagram) { d.to = socksAddr("127.0.0.1:0") }, 0},
				"an address as a name":       {func(d *datagram) { d.to = append([]byte{3, 9}, socksName("127.0.0.1", echo)...) }, 1},
				"nothing to the destination": {func(d *datagram) { d.payload = nil }, 1},
			} {
				t.Run(name, func(t *testing.T) {
					a := r.associate(echo)
					d := a.next([]byte("x"))
					tt.change(&d)
					if got := a.sendRaw(t, d.bytes()); got != tt.want {
						t.Errorf("%d answers", got)
					}
				})
			}
			t.Run("cut short", func(t *testing.T) {
				a := r.associate(echo)
				wire := a.next([]byte("x")).bytes()
				var all [][]byte
				for n := range wire {
					all = append(all, wire[:n])
				}
				if got := a.sendRaw(t, all...); got != 0 {
					t.Errorf("%d answers", got)
				}
			})
			t.Run("modified", func(t *testing.T) {
				a := r.associate(echo)
				wire := a.next([]byte("x")).bytes()
				var all [][]byte
				for n := range wire {
					b := slices.Clone(wire)
					b[n] ^= 1 << (n % 8)
					all = append(all, b)
				}
				if got := a.sendRaw(t, all...); got != 0 {
					t.Errorf("%d answers", got)
				}
			})
			t.Run("another session's", func(t *testing.T) {
				a, other := r.associate(echo), r.associate(echo)
				if got := other.sendRaw(t); got != 0 {
					t.Fatal("no session")
				}
				// Sealed for one session, and said to be of another.
				d := a.next([]byte("x"))
				wire := d.bytes()
				named := d
				named.session = other.session
				copy(wire, named.bytes()[:32])
				if got := a.sendRaw(t, wire); got != 0 {
					t.Errorf("%d answers", got)
				}
			})
			t.Run("the session of another user", func(t *testing.T) {
				a := r.associate(echo)
				if got := a.sendRaw(t); got != 0 {
					t.Fatal("no session")
				}
				c := r.clientOf(1)
				b, err := dialUDP(t.Context(), c, echo)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = b.Close() }()
				b.session = a.session
				if got := b.sendRaw(t, b.next([]byte("x")).bytes()); got != 1 {
					t.Errorf("%d answers to who has chosen the same ID", got)
				}
				if got := a.sendRaw(t, a.next([]byte("x")).bytes()); got != 1 {
					t.Errorf("%d answers to who had it first", got)
				}
			})
		})
	}
}

func socksName(name, like string) []byte {
	a := netip.MustParseAddrPort(like)
	return binary.BigEndian.AppendUint16([]byte(name), a.Port())
}

func TestRepeatedPackets(t *testing.T) {
	r := start(t, "2022-blake3-aes-256-gcm")
	a := r.associate(enginetest.ListenPackets(t, "127.0.0.1"))
	numbered := func(n uint64) []byte {
		d := a.next([]byte("x"))
		d.number = n
		return d.bytes()
	}
	five := numbered(5)
	if got := a.sendRaw(t, five, numbered(3), numbered(4), numbered(0), five, numbered(3), numbered(5)); got != 4 {
		t.Errorf("%d answers to four packets in disorder, and three that came again", got)
	}
	last := a.sent - 1 // of the last word
	if got := a.sendRaw(t, numbered(last-windowSize+1), numbered(last-windowSize)); got != 1 {
		t.Errorf("%d answers to one that is just in time, and one that is too late", got)
	}
	// What is not the user's must not push what is out of the window.
	d := a.next([]byte("x"))
	d.number = 1 << 50
	forged := d.bytes()
	forged[len(forged)-1] ^= 1
	d.sent = time.Now().Add(-time.Hour)
	if got := a.sendRaw(t, forged, d.bytes(), numbered(a.sent)); got != 1 {
		t.Errorf("%d answers after two bad packets with a high number", got)
	}
}

// A client keeps its session when its network changes, and the destination
// sees it come from the same place.
func TestClientMoves(t *testing.T) {
	r := start(t, "2022-blake3-aes-128-gcm")
	r.spec.Grants[0].Devices = 1
	r.apply()
	dst, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dst.Close() }()
	to := dst.LocalAddr().String()
	receive := func() netip.AddrPort {
		t.Helper()
		_ = dst.SetReadDeadline(time.Now().Add(patience))
		_, from, err := dst.ReadFromUDPAddrPort(make([]byte, 100))
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	old := r.associate(to)
	_, _ = old.Write([]byte("x"))
	home := receive()
	for _, from := range []string{"127.0.0.1", "127.0.0.7"} {
		moved := r.associateFrom(netip.MustParseAddr(from), to)
		moved.session, moved.sent = old.session, old.sent
		// A packet that is not good does not lead answers away.
		d := moved.next([]byte("x"))
		forged := d.bytes()
		forged[len(forged)-1] ^= 1
		_, _ = moved.UDPConn.Write(forged)
		_, _ = moved.UDPConn.Write(old.next([]byte("")).bytes()[:40])
		_, _ = old.Write([]byte("y"))
		receive()
		_, _ = dst.WriteToUDPAddrPort([]byte("to the old place"), home)
		r.receives(old, "to the old place")

		moved.sent = old.sent
		_, _ = moved.Write([]byte("z"))
		if now := receive(); now != home {
			t.Errorf("the destination saw %v, and sees %v", home, now)
		}
		_, _ = dst.WriteToUDPAddrPort([]byte("to the new place"), home)
		r.receives(moved, "to the new place")
		s := r.meter.Sessions()
		if len(s) != 1 || s[0].Source.Addr() != netip.MustParseAddr(from) {
			t.Errorf("sessions: %+v", s)
		}
		old = moved
	}
}

func (r *running) receives(a *association, want string) {
	r.Helper()
	_ = a.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	n, err := a.Read(b)
	if err != nil || string(b[:n]) != want {
		r.Errorf("%q came, and %v", b[:n], err)
	}
}

// Two networks that take turns in one session are two devices.
func TestClientMovesTooFar(t *testing.T) {
	r := start(t, "2022-blake3-aes-128-gcm")
	echo := enginetest.ListenPackets(t, "127.0.0.1")
	r.spec.Grants[0].Devices = 1
	r.apply()
	other := r.associate(echo) // holds the one network
	if got := other.sendRaw(t); got != 0 {
		t.Fatal("no session")
	}
	a := r.associate(echo)
	if got := a.sendRaw(t); got != 0 {
		t.Fatal("no session")
	}
	moved := r.associateFrom(netip.MustParseAddr("127.0.0.9"), echo)
	moved.session, moved.sent = a.session, a.sent
	_, _ = moved.Write([]byte("x"))
	_ = moved.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := moved.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came, and %v", n, err)
	}
	if got := other.sendRaw(t, other.next([]byte("x")).bytes()); got != 1 {
		t.Errorf("%d answers on the other session", got)
	}
}

// A session is remembered for longer than its packets are good for, with a
// socket or without.
func TestSessionsEnd(t *testing.T) {
	var ahead atomic.Int64
	o := defaults()
	o.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	o.sweep, o.idle = 5*time.Millisecond, 10*time.Second
	r := startWith(t, "2022-blake3-aes-256-gcm", o)
	a := r.associate(enginetest.ListenPackets(t, "127.0.0.1"))
	packet := a.next([]byte("x"))
	packet.sent = time.Now().Add(25 * time.Second)
	wire := packet.bytes()
	if got := a.sendRaw(t, wire); got != 1 {
		t.Fatalf("%d answers", got)
	}
	ahead.Store(int64(11 * time.Second))
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Fatal("a silent session keeps its socket")
	}
	ahead.Store(int64(50 * time.Second)) // the packet is good for 5 s more
	<-time.After(20 * o.sweep)           // it is looked at whether it can be forgotten
	_, _ = a.UDPConn.Write(wire)
	known := func() int {
		r.engine.sessions.mu.Lock()
		defer r.engine.sessions.mu.Unlock()
		return len(r.engine.sessions.all)
	}
	if n := known(); n != 1 {
		t.Fatalf("%d sessions are known", n)
	}
	fresh := a.next([]byte("y"))
	fresh.sent = o.now()
	_, _ = a.UDPConn.Write(fresh.bytes())
	_ = a.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<10)
	// The clock of this client is behind the server's by now.
	n, err := a.UDPConn.Read(buf)
	if err != nil {
		t.Fatalf("the session does not go on: %v", err)
	}
	separate := ecb(a.user, buf[:16], false)
	body, err := clientAEAD(a.user, separate[:8]).Open(nil, separate[4:], buf[16:n], nil)
	if err != nil || body[len(body)-1] != 'y' {
		t.Errorf("another answer came first: %q, %v", body, err)
	}
	ahead.Store(int64(3 * time.Minute))
	if !enginetest.Eventually(func() bool { return known() == 0 }) {
		t.Errorf("%d sessions are known for ever", known())
	}
	if n := len(r.engine.sessions.by); n > 0 {
		t.Errorf("%d users have sessions", n)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	all := newSessions()
	users := []*user{}
	for range maxSessions/maxSessionsPerUser + 1 {
		users = append(users, &user{key: make([]byte, 16), credential: vpn.CredentialID(rune('a' + len(users)))})
	}
	add := func(u *user, n int) bool {
		var id sessionID
		binary.BigEndian.PutUint64(id[:], uint64(n))
		_, ok := all.add(newSession(u, id))
		return ok
	}
	for n := range maxSessionsPerUser {
		if !add(users[0], n) {
			t.Fatalf("session %d was refused", n)
		}
	}
	if add(users[0], -1) {
		t.Error("a user has more sessions than there are for one")
	}
	if !add(users[0], 0) {
		t.Error("a session that is known is refused")
	}
	for _, u := range users[1 : len(users)-1] {
		for n := range maxSessionsPerUser {
			add(u, n)
		}
	}
	if add(users[len(users)-1], 0) {
		t.Error("all users have more sessions than there are")
	}
	all.forget(map[vpn.CredentialID]bool{users[0].credential: true})
	if !add(users[len(users)-1], 0) {
		t.Error("a session is refused though there is room")
	}
}

func TestSessionComesBackAfterAKick(t *testing.T) {
	r := start(t, "2022-blake3-aes-256-gcm")
	a := r.associate(enginetest.ListenPackets(t, "127.0.0.1"))
	wire := a.next([]byte("x")).bytes()
	if got := a.sendRaw(t, wire); got != 1 {
		t.Fatalf("%d answers", got)
	}
	if n := r.meter.Kick("u-alice"); n != 1 {
		t.Errorf("%d flows kicked", n)
	}
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Fatal("a flow is left")
	}
	if got := a.sendRaw(t, wire, a.next([]byte("y")).bytes()); got != 1 {
		t.Errorf("%d answers to one that came again and one that did not", got)
	}
}

// The length of an answer of the DNS would tell what was asked.
func TestAnswersOfTheDNS(t *testing.T) {
	u := &user{key: make([]byte, 32)}
	s := newSession(u, sessionID{1})
	s.begin()
	a := &association{login: login{user: u.key}, session: [8]byte{1}, known: map[[8]byte]uint64{}}
	lengths := map[int]bool{}
	for _, from := range []string{"192.0.2.1:53", "[2001:db8::1]:53"} {
		for range 50 {
			b := make([]byte, largeSize)
			_, _ = rand.Read(b)
			copy(b[answerRoom:], "answer")
			wire := s.answer(b, 6, netip.MustParseAddrPort(from), time.Now())
			lengths[len(wire)] = true
			addr, payload, err := a.open(wire)
			if err != nil || string(payload) != "answer" || string(addr) != string(socksAddr(from)) {
				t.Fatalf("%q, % x, %v", payload, addr, err)
			}
		}
	}
	if len(lengths) < 30 {
		t.Errorf("%d lengths only", len(lengths))
	}
	b := make([]byte, largeSize)
	if n := len(s.answer(b, maxDatagram-200, netip.MustParseAddrPort("[2001:db8::1]:53"), time.Now())); n > maxDatagram {
		t.Errorf("an answer of %d bytes", n)
	}
}
