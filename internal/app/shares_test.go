package app_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// wants makes a user demand something on a worker, from now on.
func (w *fakeWorker) wants(d vpn.Demand) {
	w.see(func(w *fakeWorker) {
		if d.Conns == 0 && !d.Dry {
			delete(w.demands, d.User)
			return
		}
		w.demands[d.User] = d
	})
}

// part returns what a worker was told of a user, and whether it was.
func (w *fakeWorker) part(u vpn.UserID) (p vpn.Share, ok bool) {
	w.see(func(w *fakeWorker) { p, ok = w.parts[u] })
	return p, ok
}

// down returns which part of a user's rate down the worker uses.
func (w *fakeWorker) down(u vpn.UserID) int {
	n := 0
	w.see(func(w *fakeWorker) {
		n = vpn.Whole / max(w.shares.Workers, 1)
		if p, ok := w.parts[u]; ok {
			n = p.Down
		}
	})
	return n
}

// three makes a bench with three servers, and returns their workers.
func three(b *bench) []*fakeWorker {
	b.t.Helper()
	var ws []*fakeWorker
	for k := range 3 {
		ws = append(ws, b.workers.worker(b.server(fmt.Sprint("s", k))))
	}
	b.until("the workers to know how many they are", func() bool {
		for _, w := range ws {
			n := 0
			w.see(func(w *fakeWorker) { n = w.shares.Workers })
			if n != 3 {
				return false
			}
		}
		return true
	})
	return ws
}

func network(s string) vpn.Presence {
	return vpn.Presence{Network: netip.MustParsePrefix(s), Since: 5000}
}

// Connections beyond the limit, over all servers, go, and so they do when
// another control plane has come; a worker that cannot be asked keeps what it
// has.
func TestConnectionsAreDivided(t *testing.T) {
	for name, again := range map[string]bool{"one control plane": false, "another one": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.supervise()
			ws := three(b)
			u := b.user("alice", vpn.Limits{Connections: 4})
			for _, w := range ws {
				w.wants(vpn.Demand{User: u, Connections: 4, Conns: 1})
			}
			told := func(want ...int) func() bool {
				return func() bool {
					var got []int
					for _, w := range ws {
						p, _ := w.part(u)
						got = append(got, p.Connections)
					}
					return slices.Equal(got, want)
				}
			}
			b.until("each to know of the two elsewhere", told(2, 2, 2))
			if again {
				b.reopen()
			}
			ws[0].wants(vpn.Demand{User: u, Connections: 4, Conns: 4})
			ws[1].wants(vpn.Demand{User: u, Connections: 4, Conns: 4})
			b.until("the newest to have to go", func() bool {
				sum := 0
				for _, w := range ws {
					p, _ := w.part(u)
					sum += 4 - p.Connections
				}
				p, _ := ws[2].part(u)
				return sum == 4 && p.Connections == 3
			})
		})
	}
}

// A stage is three workers and a user whose flows could move so much on each,
// in bytes per second, in time that is played.
type stage struct {
	*bench
	ws     []*fakeWorker
	user   vpn.UserID
	rate   uint64
	demand []uint64
}

func newStage(t *testing.T) *stage {
	t.Helper()
	b := newBenchWith(t, time.Now, nil)
	b.supervise()
	s := &stage{bench: b, rate: 10_000_000, demand: make([]uint64, 3)}
	s.ws = three(b)
	s.user = b.user("alice", vpn.Limits{RateDown: s.rate})
	return s
}

// second lets a second go by and the flows move what they may, and checks at
// every tenth of it that nobody could have had more than the rate.
func (s *stage) second() {
	s.t.Helper()
	for range 10 {
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if all := s.parts(); sumOf(all) > vpn.Whole {
			s.t.Fatalf("together they have %d of %d: %v", sumOf(all), vpn.Whole, all)
		}
		for k, w := range s.ws {
			s.pass(k, w)
		}
	}
}

// pass moves what a tenth of a second may.
func (s *stage) pass(k int, w *fakeWorker) {
	allowed := s.rate / 10 * uint64(w.down(s.user)) / vpn.Whole
	w.see(func(w *fakeWorker) {
		if s.demand[k] == 0 {
			delete(w.demands, s.user)
			return
		}
		d := w.moved
		d.User, d.RateDown, d.Conns = s.user, s.rate, 1
		d.Down += min(s.demand[k]/10, allowed)
		if s.demand[k]/10 > allowed {
			d.WaitDown += 100
		}
		w.moved, w.demands[s.user] = d, d
	})
}

func (s *stage) parts() []int {
	var all []int
	for _, w := range s.ws {
		all = append(all, w.down(s.user))
	}
	return all
}

func sumOf(ns []int) (n int) {
	for _, k := range ns {
		n += k
	}
	return n
}

func (s *stage) close() {
	s.end()
	_ = s.store.Close()
}

const lots = 1 << 40

// Rates follow demand within two polls and are never granted twice, through
// the death of the control plane, of a worker, and through its silence.
func TestRatesAreDivided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		want := func(when string, least ...int) {
			t.Helper()
			for k, n := range s.parts() {
				if n < least[k]*vpn.Whole/100 {
					t.Errorf("%s: the parts are %v, of percent wanted are %v", when, s.parts(), least)
					return
				}
			}
		}
		want("nobody is there", 33, 33, 33)
		s.demand = []uint64{lots, 0, 0}
		s.second()
		s.second()
		want("alone", 96, 1, 1)
		s.demand = []uint64{lots, lots, lots}
		s.second()
		s.second()
		want("all three", 32, 32, 32)
		s.demand = []uint64{2_000_000, lots, 0}
		s.second()
		s.second()
		s.second()
		want("one wants a fifth, one all", 20, 70, 1)

		told := func() (n int) {
			for _, w := range s.ws {
				w.see(func(w *fakeWorker) { n += w.told })
			}
			return n
		}
		before, calls := s.parts(), told()
		for range 5 {
			s.second()
		}
		if calls != told() {
			t.Errorf("nothing changes, and %d calls were made", told()-calls)
		}
		s.end() // the control plane is away
		s.demand = []uint64{lots, lots, lots}
		for range 5 {
			s.second()
		}
		if !slices.Equal(s.parts(), before) {
			t.Errorf("while the control plane is away %v became %v", before, s.parts())
		}
		s.reopen()
		for range 3 {
			s.second()
		}
		want("another control plane has come", 32, 32, 32)

		s.ws[0].see(func(w *fakeWorker) { w.silent = true })
		s.demand = []uint64{lots, lots, 0}
		for range 4 {
			s.second()
		}
		want("one is silent and keeps what it has", 32, 60, 1)
		s.ws[0].see(func(w *fakeWorker) { w.silent = false })
		s.demand = []uint64{0, 0, lots}
		for range 3 {
			s.second()
		}
		want("it is back", 1, 1, 96)
		s.ws[2].see(func(w *fakeWorker) { w.silent = true })
		s.reopen()
		s.demand = []uint64{lots, lots, 0}
		for range 4 {
			s.second() // it may have nearly all: nobody knows
		}
		s.ws[2].see(func(w *fakeWorker) { w.silent = false })
		for range 3 {
			s.second()
		}
		want("what it has is known", 47, 47, 1)
		s.ws[2].crash()
		s.demand = []uint64{lots, lots, 0}
		s.until("another worker", func() bool {
			w := s.workers.worker(s.ws[2].server)
			if w == nil {
				return false
			}
			s.ws[2] = w
			return true
		})
		for range 3 {
			s.second()
		}
		want("one was started again", 47, 47, 1)
		s.demand = make([]uint64, 3)
		for range 14 {
			s.second()
		}
		for k, w := range s.ws {
			if p, told := w.part(s.user); told {
				t.Errorf("worker %d still has %+v of a user who left", k, p)
			}
		}
		want("nobody is there any more", 33, 33, 33)
		s.close()
	})
}

// A worker that hears and whose answer is lost has what it was told, or not:
// nobody gets more until that is known.
func TestAShareThatWasHeardIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		for k := range 40 {
			s.ws[k%3].see(func(w *fakeWorker) { w.deaf, w.lossy = k%4 == 0, k%4 == 2 })
			s.demand = []uint64{lots * uint64(k%2), lots * uint64(k/2%2), lots * uint64(k/5%2)}
			s.second()
		}
		for _, w := range s.ws {
			w.see(func(w *fakeWorker) { w.deaf, w.lossy = false, false })
		}
		s.demand = []uint64{lots, lots, lots}
		for range 3 {
			s.second()
		}
		if p := s.parts(); slices.Min(p) < vpn.Whole*32/100 {
			t.Errorf("when all answer again they have %v", p)
		}
		s.close()
	})
}

// A server that is created begins with a part that the others have given
// back, and one that is removed leaves its own.
func TestServersComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.demand = []uint64{lots, lots, lots}
		for range 3 {
			s.second()
		}
		if _, err := s.app.Servers.Delete(s.ctx, "s2"); err != nil {
			t.Fatal(err)
		}
		s.ws, s.demand = s.ws[:2], s.demand[:2]
		for range 3 {
			s.second()
		}
		if p := s.parts(); slices.Min(p) < vpn.Whole*49/100 {
			t.Errorf("two of three are left and have %v", p)
		}
		next := s.workers.worker(s.server("s3"))
		if n := next.down(s.user); n > vpn.Whole/3 {
			t.Errorf("a new worker begins with %d", n)
		}
		<-time.After(1100 * time.Millisecond)
		synctest.Wait()
		s.ws, s.demand = append(s.ws, next), append(s.demand, lots)
		for range 3 {
			s.second()
		}
		if p := s.parts(); slices.Min(p) < vpn.Whole*32/100 {
			t.Errorf("three again have %v", p)
		}
		s.close()
	})
}

// Who is alone has all, and nothing is said or asked.
func TestOneServerSharesWithNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, time.Now, nil)
		b.supervise()
		w := b.workers.worker(b.server("main"))
		b.user("alice", vpn.Limits{RateDown: 1000, Devices: 1, Connections: 1})
		<-time.After(5 * time.Second)
		synctest.Wait()
		w.see(func(w *fakeWorker) {
			if w.told != 0 {
				t.Errorf("it was told of shares %d times", w.told)
			}
		})
		b.end()
		_ = b.store.Close()
	})
}

// Devices are known on every server within a poll, and the newest of too many
// is in nobody's list.
func TestDevicesAreDivided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		u := s.user
		at := func(w int, networks ...vpn.Presence) {
			s.ws[w].wants(vpn.Demand{User: u, Devices: 2, Conns: len(networks), Networks: networks})
		}
		want := func(when string, lists ...[]string) {
			t.Helper()
			<-time.After(2100 * time.Millisecond)
			synctest.Wait()
			for k, w := range s.ws {
				p, _ := w.part(u)
				var got []string
				for _, n := range p.Networks {
					got = append(got, n.Addr().String())
				}
				if !slices.Equal(got, lists[k]) {
					t.Errorf("%s: worker %d knows of %v, want %v", when, k, got, lists[k])
				}
			}
		}
		a, old, c := network("203.0.113.1/32"), network("203.0.113.2/32"), network("203.0.113.3/32")
		old.Since, c.Since = 1000, 9000
		at(0, a)
		at(1, old)
		want("two devices", []string{"203.0.113.2"}, []string{"203.0.113.1"}, []string{"203.0.113.1", "203.0.113.2"})
		at(2, c)
		want("a third", []string{"203.0.113.2"}, []string{"203.0.113.1"}, []string{"203.0.113.1", "203.0.113.2"})
		at(2, old)
		at(1)
		want("one has gone over", []string{"203.0.113.2"}, []string{"203.0.113.1", "203.0.113.2"}, []string{"203.0.113.1"})
		s.reopen()
		want("another control plane", []string{"203.0.113.2"}, []string{"203.0.113.1", "203.0.113.2"}, []string{"203.0.113.1"})
		// Another device comes while one goes over to another server, where it
		// is new.
		at(1, c)
		again := old
		again.Since = 10_000
		at(0, a, again)
		at(2)
		want("a newer one", nil, []string{"203.0.113.1", "203.0.113.2"}, []string{"203.0.113.1", "203.0.113.2"})
		at(0)
		at(1)
		want("all have left", nil, nil, nil)
		s.close()
	})
}
