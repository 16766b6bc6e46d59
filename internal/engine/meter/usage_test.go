package meter

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

func counter(c vpn.CredentialID, u vpn.UserID, up, down uint64, conns int) vpn.Counter {
	return vpn.Counter{Credential: c, User: u, Traffic: vpn.Traffic{Up: up, Down: down}, Conns: conns}
}

func sorted(cs []vpn.Counter) []vpn.Counter {
	slices.SortFunc(cs, func(a, b vpn.Counter) int { return cmp.Compare(a.Credential, b.Credential) })
	return cs
}

// mustUse fails unless Usage(after) tells exactly these counters, and returns
// its sequence number.
func mustUse(t *testing.T, m *Meter, after uint64, want ...vpn.Counter) uint64 {
	t.Helper()
	got := m.Usage(after)
	if diff := gocmp.Diff(want, sorted(got.Counters)); diff != "" {
		t.Errorf("Usage(%d) (-want +got):\n%s", after, diff)
	}
	if got.Epoch != epoch {
		t.Errorf("epoch %q, want %q", got.Epoch, epoch)
	}
	return got.Seq
}

func TestUsageTellsWhatChanged(t *testing.T) {
	m := newMeter(t, grant("c1", "u"), grant("c2", "u"), grant("c3", "v"))
	s0 := mustUse(t, m, 0)
	a, b := dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.1")
	a.move(t, Up, 10)
	a.move(t, Down, 3)
	s1 := mustUse(t, m, s0, counter("c1", "u", 10, 3, 1), counter("c2", "u", 0, 0, 1))
	if s2 := mustUse(t, m, s1); s2 != s1 {
		t.Errorf("nothing changed, and the number went from %d to %d", s1, s2)
	}
	b.Take(Up, 5)
	s3 := mustUse(t, m, s1, counter("c2", "u", 5, 0, 1))
	a.Close()
	mustUse(t, m, s3, counter("c1", "u", 10, 3, 0))
	// A second reader, who has seen less, is told the whole of it.
	mustUse(t, m, s1, counter("c1", "u", 10, 3, 0), counter("c2", "u", 5, 0, 1))
	mustUse(t, m, 0, counter("c1", "u", 10, 3, 0), counter("c2", "u", 5, 0, 1))
	// And so is one who comes with a number of another epoch.
	mustUse(t, m, 1<<40, counter("c1", "u", 10, 3, 0), counter("c2", "u", 5, 0, 1))
}

func TestUsageKeepsTheRemovedUntilAcknowledged(t *testing.T) {
	m := newMeter(t, grant("c", "u"), grant("never used", "u"))
	x := dial(t, m, "c", "203.0.113.1")
	x.move(t, Up, 10)
	s1 := mustUse(t, m, 0, counter("c", "u", 10, 0, 1))
	x.move(t, Up, 1)
	m.Set(nil)
	s2 := mustUse(t, m, s1, counter("c", "u", 11, 0, 0))
	mustUse(t, m, s1, counter("c", "u", 11, 0, 0))
	mustUse(t, m, s2) // acknowledged
	x.Close()
	mustUse(t, m, 0)

	// It comes back within the epoch, and counts on: never twice, never less.
	m.Set([]vpn.Grant{grant("c", "u")})
	mustUse(t, m, 0, counter("c", "u", 11, 0, 0))
	dial(t, m, "c", "203.0.113.1").move(t, Up, 4)
	mustUse(t, m, s2, counter("c", "u", 15, 0, 1))
}

func TestCountsAreCapped(t *testing.T) {
	m := newMeter(t, grant("c", "u"))
	x := dial(t, m, "c", "203.0.113.1")
	const most = 1<<63 - 1
	x.move(t, Up, most)
	x.move(t, Up, 1000)
	x.move(t, Down, most)
	mustUse(t, m, 0, counter("c", "u", vpn.MaxTraffic, vpn.MaxTraffic, 1))
}

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"), grant("d", "v"))
		var want []vpn.Session
		var flows []*conn
		for i, c := range []vpn.CredentialID{"d", "c", "d", "c"} {
			x := dial(t, m, c, "203.0.113.1")
			x.move(t, Up, i+1)
			flows = append(flows, x)
			want = append(want, vpn.Session{
				ID: uint64(i + 1), Credential: c, User: map[vpn.CredentialID]vpn.UserID{"c": "u", "d": "v"}[c],
				Source: netip.MustParseAddrPort("203.0.113.1:4711"), Network: "tcp", Since: time.Now().UTC(),
				Traffic: vpn.Traffic{Up: uint64(i + 1)},
			})
			elapse(time.Second)
		}
		flows[3].move(t, Down, 77)
		want[3].Down = 77
		flows[1].Close()
		want = slices.Delete(want, 1, 2)
		if diff := gocmp.Diff(want, m.Sessions(), gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		m.Kick("u")
		if n := len(m.Sessions()); n != 2 {
			t.Errorf("%d sessions after a kick, want 2", n)
		}
	})
}

func TestSetCeilingsOfAnotherEpoch(t *testing.T) {
	m := newMeter(t, grant("c", "u", capped))
	if _, err := m.SetCeilings("e0", []vpn.Ceiling{{User: "u", Bytes: 5}}); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("SetCeilings of another epoch: %v", err)
	}
	if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errCeiling) {
		t.Errorf("it was taken all the same: %v", err)
	}
}

func TestCeilingStopsAtTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c1", "u", capped), grant("c2", "u", capped), grant("d", "v"))
		setCeiling(t, m, "u", 100)
		a, b, other := dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.1"), dial(t, m, "d", "203.0.113.1")
		a.move(t, Up, 60)
		b.move(t, Down, 30)
		a.mustLive(t)
		if n, err := b.Wait(t.Context(), Down, 64<<10); n != 10 || err != nil {
			t.Errorf("Wait = %d, %v; want the last 10", n, err)
		}
		a.mustEnd(t, errCeiling)
		b.mustEnd(t, errCeiling)
		other.mustLive(t)

		// More is granted: the user may come back, and is stopped again.
		got := sorted(setCeiling(t, m, "u", 150))
		if diff := gocmp.Diff([]vpn.Counter{counter("c1", "u", 60, 0, 0), counter("c2", "u", 0, 40, 0)}, got); diff != "" {
			t.Errorf("SetCeilings (-want +got):\n%s", diff)
		}
		a = dial(t, m, "c1", "203.0.113.1")
		a.move(t, Up, 50)
		a.mustEnd(t, errCeiling)
	})
}

func TestCeilingDropsTheDatagramThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", capped))
		setCeiling(t, m, "u", 100)
		x := dial(t, m, "c", "203.0.113.1")
		if !x.Take(Up, 60) {
			t.Fatal("dropped below the ceiling")
		}
		if x.Take(Up, 41) {
			t.Error("passed beyond the ceiling")
		}
		x.mustEnd(t, errCeiling)
		if got := count(m, "c").Up; got != 60 {
			t.Errorf("counted %d, want 60", got)
		}
		// To the byte, and no more.
		x = dial(t, m, "c", "203.0.113.1")
		if !x.Take(Down, 40) {
			t.Error("the last datagram that fits was dropped")
		}
		x.mustEnd(t, errCeiling)
	})
}

func TestCeilingThatIsLowered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", capped), grant("gone", "u", capped))
		setCeiling(t, m, "u", 1000)
		gone := dial(t, m, "gone", "203.0.113.1")
		gone.move(t, Up, 100)
		gone.Close()
		m.Set([]vpn.Grant{grant("c", "u", capped)})
		m.Usage(m.Usage(0).Seq) // acknowledged, and still the user's
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Up, 500)
		x.mustLive(t)
		want := []vpn.Counter{counter("c", "u", 500, 0, 0), counter("gone", "u", 100, 0, 0)}
		if diff := gocmp.Diff(want, sorted(setCeiling(t, m, "u", 600))); diff != "" {
			t.Errorf("SetCeilings (-want +got):\n%s", diff)
		}
		x.mustEnd(t, errCeiling)
	})
}

// A ceiling that comes before its user is capped, or while not, is kept.
func TestCeilingHoldsOnlyWhileCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t)
		setCeiling(t, m, "u", 100)
		m.Set([]vpn.Grant{grant("c", "u", capped)})
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Up, 90)
		m.Set([]vpn.Grant{grant("c", "u")})
		x.move(t, Up, 90)
		x.mustLive(t)
		setCeiling(t, m, "u", 200)
		m.Set([]vpn.Grant{grant("c", "u", capped)})
		x.mustLive(t)
		if n, err := x.Wait(t.Context(), Up, 90); n != 20 || err != nil {
			t.Errorf("Wait = %d, %v; want 20", n, err)
		}
		x.mustEnd(t, errCeiling)
	})
}

// However many flows race for it, exactly the ceiling passes.
func TestCeilingIsExactUnderConcurrency(t *testing.T) {
	const ceiling = 10_000_019
	m := newMeter(t, grant("c1", "u", capped), grant("c2", "u", capped))
	setCeiling(t, m, "u", ceiling)
	var passed atomic.Uint64
	flows := make([]*conn, 16)
	for i := range flows {
		flows[i] = dial(t, m, []vpn.CredentialID{"c1", "c2"}[i%2], "203.0.113.1")
	}
	var wg sync.WaitGroup
	for i, x := range flows {
		wg.Go(func() {
			for {
				n, err := x.Wait(t.Context(), Direction(i/2%2), 1+rand.IntN(3000))
				if err != nil {
					return
				}
				passed.Add(uint64(n))
			}
		})
	}
	wg.Wait()
	if passed.Load() != ceiling {
		t.Errorf("%d bytes passed, want %d", passed.Load(), ceiling)
	}
	if got := count(m, "c1").Add(count(m, "c2")).Total(); got != ceiling {
		t.Errorf("%d bytes were counted, want %d", got, ceiling)
	}
}

// The answer to a lowered ceiling is a promise: what it says is all that the
// user will ever have used, unless the ceiling leaves more.
func TestLoweredCeilingIsAPromise(t *testing.T) {
	for range 40 {
		m := newMeter(t, grant("c1", "u", capped), grant("c2", "u", capped))
		setCeiling(t, m, "u", 1<<40)
		var wg sync.WaitGroup
		for i := range 4 {
			x := dial(t, m, []vpn.CredentialID{"c1", "c2"}[i%2], "203.0.113.1")
			wg.Go(func() {
				for {
					if _, err := x.Wait(t.Context(), Up, 100); err != nil {
						return
					}
				}
			})
		}
		for count(m, "c1").Up == 0 {
			runtime.Gosched()
		}
		var told uint64
		for _, n := range setCeiling(t, m, "u", 50) {
			told += n.Total()
		}
		wg.Wait()
		if got := count(m, "c1").Add(count(m, "c2")).Total(); got != told || told < 50 {
			t.Fatalf("told %d, used %d", told, got)
		}
		m.Close()
	}
}
