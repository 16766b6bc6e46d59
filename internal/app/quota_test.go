package app_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// quotaStage is three workers that share a quota, in time that is played.
type quotaStage struct {
	*bench
	ids   []vpn.ServerID
	user  vpn.UserID
	moved uint64 // in all, and known to the product
}

func newQuotaStage(t *testing.T, quota uint64) *quotaStage {
	t.Helper()
	b := newBenchWith(t, time.Now, nil)
	b.supervise()
	s := &quotaStage{bench: b}
	for _, w := range three(b) {
		s.ids = append(s.ids, w.server)
	}
	s.user = b.user("alice", vpn.Limits{Quota: quota})
	s.polls(2)
	return s
}

func (s *quotaStage) polls(n int) {
	<-time.After(time.Duration(n) * time.Second)
	synctest.Wait()
}

// move moves up to n bytes on a worker; if it cannot, the worker says that
// somebody wanted to.
func (s *quotaStage) move(k int, n uint64) uint64 {
	w := s.workers.worker(s.ids[k])
	if w == nil {
		return 0
	}
	got := w.move(s.user, n)
	w.wants(vpn.Demand{User: s.user, Dry: got < n})
	s.moved += got
	return got
}

func (s *quotaStage) close() {
	s.end()
	_ = s.store.Close()
}

// usesUp lets the user try on all workers until nothing passes any more.
func (s *quotaStage) usesUp(quota uint64) {
	s.t.Helper()
	for range 60 {
		for k := range s.ids {
			s.move(k, quota)
		}
		s.polls(1)
	}
	if s.moved != quota {
		s.t.Errorf("%d bytes of %d were moved", s.moved, quota)
	}
}

// A worker that is silent while another control plane comes holds what it
// held: nobody else gets that, and once it answers the quota is used up to
// the byte.
func TestASilentWorkerKeepsItsCeiling(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"the control plane stays": false, "another one comes": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newQuotaStage(t, 9000)
				s.move(0, 1000)
				s.polls(2)
				quiet := s.workers.worker(s.ids[0])
				quiet.see(func(w *fakeWorker) { w.silent = true })
				if again {
					s.reopen()
				}
				for range 5 {
					s.move(1, 9000)
					s.move(2, 9000)
					s.polls(1)
				}
				quiet.see(func(w *fakeWorker) { w.silent = false })
				if s.workers.started(s.ids[0]) != 1 {
					t.Fatal("the silent worker was replaced too soon for this test")
				}
				s.move(0, 9000)
				if s.moved > 9000 {
					t.Fatalf("%d bytes have passed under a quota of 9000", s.moved)
				}
				s.polls(2)
				s.usesUp(9000)
				s.close()
			})
		})
	}
}

// A worker that heard of a higher ceiling, whose answer was lost, may spend
// that: nobody else gets it.
func TestACeilingThatWasHeardIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newQuotaStage(t, 9000)
		w := s.workers.worker(s.ids[0])
		s.move(0, 2500)
		w.see(func(w *fakeWorker) { w.deaf = true })
		s.polls(1)
		w.see(func(w *fakeWorker) { w.deaf, w.lossy = false, true })
		for range 4 {
			s.move(1, 9000)
			s.move(2, 9000)
			s.polls(1)
		}
		s.move(0, 9000)
		if s.moved > 9000 {
			t.Fatalf("%d bytes have passed under a quota of 9000", s.moved)
		}
		w.see(func(w *fakeWorker) { w.lossy = false })
		s.polls(2)
		s.usesUp(9000)
		s.close()
	})
}

// The last byte is reached on one of three servers, whichever it is.
func TestTheLastByteIsReachedOnOneServer(t *testing.T) {
	t.Parallel()
	for k := range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := newQuotaStage(t, 10_000)
			for range 60 {
				s.move(k, 10_000)
				s.polls(2) // long enough for the last second to be silent
			}
			if s.moved != 10_000 {
				t.Errorf("on server %d %d bytes of 10000 pass", k, s.moved)
			}
			s.close()
		})
	}
}

// One who is created while a worker is silent since before this control plane
// came is let in by the others at once: that worker cannot hold anything of
// hers.
func TestANewUserBesideASilentWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newQuotaStage(t, 9000)
		s.workers.worker(s.ids[0]).see(func(w *fakeWorker) { w.silent = true })
		s.reopen()
		s.polls(2)
		u := s.bench.user("bob", vpn.Limits{Quota: 3000})
		if n := s.workers.worker(s.ids[1]).move(u, 100); n != 100 {
			t.Errorf("%d of bob's first 100 bytes pass", n)
		}
		s.close()
	})
}

// A worker that was adopted counts what a credential had used that is gone:
// its user is not cut because this control plane does not know of it.
func TestARotatedCredentialCountsAfterAdoption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newQuotaStage(t, 9000)
		s.move(1, 2000)
		s.polls(12) // committed
		w := s.workers.worker(s.ids[1])
		w.see(func(w *fakeWorker) {
			for id, c := range w.counts {
				c.Credential = "old"
				w.retired["old"] = c
				delete(w.counts, id)
			}
		})
		s.reopen()
		s.polls(2)
		s.move(0, 2900) // what is left is divided anew
		s.polls(2)
		least := w.lowest(s.user)
		if least <= 2000 {
			t.Errorf("its ceiling was %d when it had used 2000: the user was cut", least)
		}
		s.close()
	})
}

// Whatever happens, in whatever order, no more passes than the quota, but for
// what a worker that was killed had not told.
func TestQuotaHoldsThroughEverything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			quota := uint64(100_000)
			s := newQuotaStage(t, quota)
			allowed := quota  // the most that may have passed till now
			base := uint64(0) // moved at the last reset
			for range 80 {
				k := r.IntN(3)
				w := s.workers.worker(s.ids[k])
				switch r.IntN(12) {
				case 0:
					if w != nil {
						w.see(func(w *fakeWorker) { w.silent = !w.silent })
					}
				case 1:
					if w != nil {
						w.see(func(w *fakeWorker) { w.deaf = !w.deaf })
					}
				case 2:
					s.reopen()
				case 3:
					s.polls(2) // so that what it counted is known
					if w != nil {
						w.crash()
					}
					s.polls(1)
				case 4:
					quota = 50_000 + r.Uint64N(100_000)
					_, err := s.app.Users.Update(s.ctx, "alice", vpn.UserPatch{Quota: &quota})
					if err != nil {
						t.Fatal(err)
					}
					allowed = max(allowed, base+quota)
				case 5:
					if _, err := s.app.Users.Reset(s.ctx, "alice"); err != nil {
						t.Fatal(err)
					}
					base = s.moved
					allowed = max(allowed, base+quota)
				default:
					s.move(k, r.Uint64N(20_000))
				}
				if r.IntN(3) == 0 {
					<-time.After(time.Duration(r.IntN(1500)) * time.Millisecond)
				}
				if s.moved > allowed {
					t.Fatalf("seed %d: %d bytes have passed, %d are allowed", seed, s.moved, allowed)
				}
			}
			for _, id := range s.ids {
				if w := s.workers.worker(id); w != nil {
					w.see(func(w *fakeWorker) { w.silent, w.deaf = false, false })
				}
			}
			s.polls(40) // whoever was replaced is back
			for range 60 {
				for k := range s.ids {
					s.move(k, 200_000)
				}
				s.polls(1)
			}
			if s.moved > allowed {
				t.Errorf("seed %d: in the end %d bytes have passed, %d are allowed", seed, s.moved, allowed)
			}
			if d, err := s.app.Users.Show(s.ctx, "alice"); err != nil || d.Status != vpn.Limited {
				t.Errorf("seed %d: in the end alice is %s with %d of %d, %v", seed, d.Status, d.Used.Total(), quota, err)
			}
			s.close()
		})
	}
}
