package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

const epoch = "e1"

// newMeter returns a meter that knows the given grants and ends with t.
func newMeter(t testing.TB, grants ...vpn.Grant) *Meter {
	t.Helper()
	m := New(Options{Epoch: epoch})
	t.Cleanup(m.Close)
	m.Set(grants)
	return m
}

// grant admits credential c of user u.
func grant(c vpn.CredentialID, u vpn.UserID, change ...func(*vpn.Grant)) vpn.Grant {
	g := vpn.Grant{Credential: c, User: u}
	for _, f := range change {
		f(&g)
	}
	return g
}

func capped(g *vpn.Grant)  { g.Capped = true }
func blocked(g *vpn.Grant) { g.Blocked = true }

func rates(up, down uint64) func(*vpn.Grant) {
	return func(g *vpn.Grant) { g.RateUp, g.RateDown = up, down }
}

func devices(n int) func(*vpn.Grant)     { return func(g *vpn.Grant) { g.Devices = n } }
func connections(n int) func(*vpn.Grant) { return func(g *vpn.Grant) { g.Connections = n } }

// conn is a flow as an engine holds one, and what the meter said of its end.
type conn struct {
	*Flow
	ended chan error
}

func dial(t testing.TB, m *Meter, c vpn.CredentialID, source string) *conn {
	t.Helper()
	x, err := tryDial(t, m, c, source)
	if err != nil {
		t.Fatalf("open %s from %s: %v", c, source, err)
	}
	return x
}

func tryDial(t testing.TB, m *Meter, c vpn.CredentialID, source string) (*conn, error) {
	t.Helper()
	x := &conn{ended: make(chan error, 1)}
	f, err := m.Open(c, netip.AddrPortFrom(netip.MustParseAddr(source), 4711), "tcp", func(why error) {
		select {
		case x.ended <- why:
		default:
			t.Errorf("flow of %s was cut twice: %v", c, why)
		}
	})
	x.Flow = f
	return x, err
}

// cutFor returns why the flow was cut, or nil if it lives. It must be called
// in a synctest bubble, when nothing runs.
func (x *conn) cutFor() error {
	synctest.Wait()
	select {
	case err := <-x.ended:
		x.ended <- err
		return err
	default:
		return nil
	}
}

func (x *conn) mustLive(t testing.TB) {
	t.Helper()
	if err := x.cutFor(); err != nil {
		t.Errorf("flow of %s was cut: %v", x.credential.id, err)
	}
}

// mustEnd fails unless the flow was cut for that reason and refuses bytes.
func (x *conn) mustEnd(t testing.TB, why error) {
	t.Helper()
	if err := x.cutFor(); !errors.Is(err, why) {
		t.Errorf("flow of %s was cut for %v, want %v", x.credential.id, err, why)
	}
	if n, err := x.Wait(context.Background(), Up, 1); n != 0 || err == nil {
		t.Errorf("a flow that was cut still passes bytes: %d, %v", n, err)
	}
	if x.Take(Down, 1) {
		t.Error("a flow that was cut still passes datagrams")
	}
}

// move passes n bytes, all of which must pass.
func (x *conn) move(t testing.TB, d Direction, n int) {
	t.Helper()
	for n > 0 {
		got, err := x.Wait(t.Context(), d, n)
		if err != nil || got > n || got == 0 {
			t.Fatalf("Wait(%d) = %d, %v", n, got, err)
		}
		n -= got
	}
}

// count returns the counter of one credential as Usage tells it.
func count(m *Meter, c vpn.CredentialID) vpn.Traffic {
	for _, n := range m.Usage(0).Counters {
		if n.Credential == c {
			return n.Traffic
		}
	}
	return vpn.Traffic{}
}

func setCeiling(t testing.TB, m *Meter, u vpn.UserID, bytes uint64) []vpn.Counter {
	t.Helper()
	n, err := m.SetCeilings(epoch, []vpn.Ceiling{{User: u, Bytes: bytes}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// elapse lets time pass, in a synctest bubble, and what is due be done.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestOpenRefuses(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	past := time.Now().Add(-time.Hour)
	m := newMeter(t,
		grant("blocked", "a", blocked),
		grant("early", "b", func(g *vpn.Grant) { g.NotBefore = soon }),
		grant("late", "c", func(g *vpn.Grant) { g.NotAfter = past }),
		grant("unfunded", "d", capped),
		grant("spent", "e", capped),
		grant("fine", "f", capped, func(g *vpn.Grant) { g.NotBefore, g.NotAfter = past, soon }),
	)
	setCeiling(t, m, "f", 1)
	setCeiling(t, m, "e", 10)
	dial(t, m, "spent", "203.0.113.1").move(t, Down, 10)
	for c, want := range map[vpn.CredentialID]error{
		"nobody":   errUnknown,
		"blocked":  errBlocked,
		"early":    errEarly,
		"late":     errExpired,
		"unfunded": errCeiling,
		"spent":    errCeiling,
	} {
		if _, err := tryDial(t, m, c, "203.0.113.1"); !errors.Is(err, want) || vpn.KindOf(err) != vpn.Denied {
			t.Errorf("Open(%s) = %v, want %v", c, err, want)
		}
	}
	dial(t, m, "fine", "203.0.113.1")
}

// At debug, and only there, whoever is known and not let in is named, with the
// place and the reason.
func TestRefusalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	level := new(slog.LevelVar)
	m := New(Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))})
	t.Cleanup(m.Close)
	named := func(g *vpn.Grant) { g.Name = "alice" }
	m.Set([]vpn.Grant{grant("c1", "a", named, blocked), grant("c2", "b", func(g *vpn.Grant) { g.Name, g.Devices = "bob", 1 })})
	dial(t, m, "c2", "203.0.113.1")
	try := func() {
		for _, c := range []vpn.CredentialID{"c1", "c2", "nobody"} {
			if _, err := tryDial(t, m, c, "203.0.114.1"); err == nil {
				t.Errorf("%s is let in", c)
			}
		}
	}
	try()
	if log.Len() > 0 {
		t.Errorf("at info: %s", &log)
	}
	level.Set(slog.LevelDebug)
	try()
	for _, want := range []string{
		`msg="user refused" user=alice source=203.0.114.1:`, `err="` + errBlocked.Error() + `"`,
		`msg="user refused" user=bob source=203.0.114.1:`, `err="` + errDevices.Error() + `"`,
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("it does not say %s:\n%s", want, &log)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c1", "u", connections(2)), grant("c2", "u", connections(2)), grant("other", "v"))
		a, b, other := dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.2"), dial(t, m, "other", "203.0.113.3")
		if n := m.Kick("u"); n != 2 {
			t.Errorf("Kick ended %d flows, want 2", n)
		}
		// The engine has not closed the old ones yet: they must not be in the way.
		back := dial(t, m, "c1", "203.0.113.1")
		a.mustEnd(t, errKicked)
		b.mustEnd(t, errKicked)
		back.mustLive(t)
		other.mustLive(t)
		if n := m.Kick("nobody"); n != 0 {
			t.Errorf("Kick of nobody ended %d flows", n)
		}
	})
}

func TestCloseCutsAndKeepsCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"))
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Up, 5)
		m.Close()
		m.Close()
		x.mustEnd(t, errStopped)
		x.Flow.Close()
		if got := count(m, "c"); got != (vpn.Traffic{Up: 5}) {
			t.Errorf("count after Close = %v", got)
		}
		if _, err := tryDial(t, m, "c", "203.0.113.1"); vpn.KindOf(err) != vpn.Unavailable {
			t.Errorf("Open after Close: %v", err)
		}
	})
}

func TestExpiryCutsWithinOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(10 * time.Second)
		m := newMeter(t,
			grant("c", "u", func(g *vpn.Grant) { g.NotAfter = end }),
			grant("later", "u", func(g *vpn.Grant) { g.NotAfter = end.Add(5 * time.Second) }),
			grant("ever", "u"))
		x, later, ever := dial(t, m, "c", "203.0.113.1"), dial(t, m, "later", "203.0.113.1"), dial(t, m, "ever", "203.0.113.1")
		elapse(10*time.Second - time.Millisecond)
		x.mustLive(t)
		elapse(time.Second)
		x.mustEnd(t, errExpired)
		later.mustLive(t)
		elapse(5 * time.Second)
		later.mustEnd(t, errExpired)
		ever.mustLive(t)
	})
}

func TestValidityBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", func(g *vpn.Grant) { g.NotBefore = time.Now().Add(time.Minute) }))
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errEarly) {
			t.Errorf("Open before its time: %v", err)
		}
		elapse(time.Minute)
		dial(t, m, "c", "203.0.113.1")
	})
}

func TestClockJump(t *testing.T) {
	for _, tt := range []struct {
		name   string
		jump   time.Duration
		stay   time.Duration // how long the clock is wrong
		expire bool
	}{
		{"a great one that is taken back", 48 * time.Hour, 50 * time.Second, false},
		{"a great one that stands", 48 * time.Hour, 70 * time.Second, true},
		{"a small one", 50 * time.Minute, time.Second, true},
		{"backward", -48 * time.Hour, 70 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var jump atomic.Int64
				m := New(Options{Epoch: epoch, Now: func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }})
				defer m.Close()
				m.Set([]vpn.Grant{grant("c", "u", func(g *vpn.Grant) { g.NotAfter = time.Now().Add(30 * time.Minute) })})
				x := dial(t, m, "c", "203.0.113.1")
				elapse(time.Second)
				jump.Store(int64(tt.jump))
				elapse(tt.stay)
				jump.Store(0)
				elapse(time.Minute)
				if tt.expire {
					x.mustEnd(t, errExpired)
				} else {
					x.mustLive(t)
				}
			})
		})
	}
}

func ExampleMeter() {
	m := New(Options{Epoch: "one life of one worker"})
	defer m.Close()
	m.Set([]vpn.Grant{{Credential: "phone", User: "alice", Capped: true}})
	_, _ = m.SetCeilings("one life of one worker", []vpn.Ceiling{{User: "alice", Bytes: 1000}})

	flow, err := m.Open("phone", netip.MustParseAddrPort("203.0.113.9:4711"), "tcp", func(error) { /* close the connection */ })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer flow.Close()
	n, err := flow.Wait(context.Background(), Down, 1400)
	fmt.Println(n, err)
	n, err = flow.Wait(context.Background(), Down, 1400)
	fmt.Println(n, err)
	// Output:
	// 1000 <nil>
	// 0 the user has no traffic left on this server
}

// To take some datagrams is to take one after the other.
func TestTakeSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ceiling = 2420 + 2437 + 1000 // reached in the middle of the third call
		for name, change := range map[string][]func(*vpn.Grant){
			"free": nil, "capped": {capped}, "limited": {rates(30_000, 0)}, "capped and limited": {capped, rates(30_000, 30_000)}, "throttled": {capped, throttle(10_000)},
		} {
			m := newMeter(t, grant("one", "one", change...), grant("some", "some", change...))
			if _, err := m.SetCeilings(epoch, []vpn.Ceiling{{User: "one", Bytes: ceiling}, {User: "some", Bytes: ceiling}}); err != nil {
				t.Fatal(err)
			}
			one, some := dial(t, m, "one", "203.0.113.1"), dial(t, m, "some", "203.0.113.1")
			for k := range 30 {
				sizes := []int{1000, 0, 17 * k, 1420}
				want := 0
				for want < len(sizes) && one.Take(Up, sizes[want]) {
					want++
				}
				if got := some.TakeSome(Up, sizes); got != want {
					t.Errorf("%s: of %v %d pass together, and %d alone", name, sizes, got, want)
				}
				<-time.After(10 * time.Millisecond)
			}
			if a, b := one.cutFor(), some.cutFor(); !errors.Is(a, b) {
				t.Errorf("%s: cut for %v together, and for %v alone", name, b, a)
			}
			if c := m.Usage(0).Counters; len(c) != 2 || c[0].Traffic != c[1].Traffic {
				t.Errorf("%s: counted %+v", name, c)
			}
		}
	})
}
