package app_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/app"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// newBenchWith is newBench with another clock, or another store around its
// own. It may be called in a bubble of synctest.
func newBenchWith(t *testing.T, now func() time.Time, around func(app.Store) app.Store) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "vpn.db"), workers: newFakeWorkers(), network: quietNetwork{}, now: now}
	b.open()
	t.Cleanup(func() { b.end(); _ = b.store.Close() })
	st := app.Store(b.store)
	if around != nil {
		st = around(st)
	}
	b.app = app.New(app.Config{
		Store: st, Workers: b.workers, Protocols: all.Protocols(), Network: quietNetwork{},
		Log: slog.New(slog.DiscardHandler), Now: now,
	})
	return b
}

// A clock that is set wrong expires nobody before that has stood for a minute,
// and rates are measured by another clock.
func TestClockJump(t *testing.T) {
	for _, jump := range []time.Duration{-10 * 365 * 24 * time.Hour, -24 * time.Hour, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var by atomic.Int64
			b := newBenchWith(t, func() time.Time { return time.Now().Add(time.Duration(by.Load())).Round(0) }, nil)
			b.supervise()
			id := b.server("main")
			if _, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", ExpiresAt: time.Now().Add(12 * time.Hour)}); err != nil {
				t.Fatal(err)
			}
			look := func() (u vpn.UserInfo, warnings int) {
				t.Helper()
				users, err := b.app.Users.List(b.ctx, vpn.UserFilter{})
				if err != nil {
					t.Fatal(err)
				}
				s, err := b.app.System.Status(b.ctx)
				if err != nil {
					t.Fatal(err)
				}
				return users[0], len(s.Warnings)
			}
			alice, calm := look()
			w := b.workers.worker(id)
			second := func() {
				<-time.After(time.Second)
				w.move(alice.ID, 1000)
				synctest.Wait()
				u, _ := look()
				if u.Rate.Up > 2000 || u.Rate.Down != 0 {
					t.Fatalf("after a jump of %v the rate is %+v", jump, u.Rate)
				}
			}
			for range 3 {
				second()
			}
			by.Store(int64(jump))
			for k := range 55 {
				second()
				if u, warnings := look(); u.Status != vpn.Active || warnings != calm+1 {
					t.Fatalf("%d s after a jump of %v alice is %s, %d warnings", k, jump, u.Status, warnings)
				}
			}
			for range 10 {
				second()
			}
			want := vpn.Active
			if jump > 12*time.Hour {
				want = vpn.Expired
			}
			if u, warnings := look(); u.Status != want || warnings != calm {
				t.Errorf("when a jump of %v is believed alice is %s, %d warnings", jump, u.Status, warnings)
			}
			if got := b.workers.started(id); got != 1 || w != b.workers.worker(id) {
				t.Errorf("a jump of %v replaces workers: %d were started", jump, got)
			}
			b.end()
			_ = b.store.Close()
		})
	}
}

// fullStore is a store whose disk is full at times.
type fullStore struct {
	app.Store
	full atomic.Bool
}

func (s *fullStore) Update(ctx context.Context, fn func(app.Tx) error) error {
	if s.full.Load() {
		return vpn.Errorf(vpn.Unavailable, "the disk is full")
	}
	return s.Store.Update(ctx, fn)
}

// A worker that dies while nothing can be stored is started again, however it
// died; what all of them have counted is stored when that can be, once.
func TestWorkersEndWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	full := &fullStore{}
	b := newBenchWith(t, time.Now, func(s app.Store) app.Store { full.Store = s; return full })
	b.supervise()
	id := b.server("main")
	u := b.user("alice", vpn.Limits{Quota: 1000})
	full.full.Store(true)
	total := uint64(0)
	for k, end := range []func(*fakeWorker){(*fakeWorker).crash, (*fakeWorker).leave, (*fakeWorker).crash} {
		var w *fakeWorker
		b.until("a worker that is told everything", func() bool {
			if w = b.workers.worker(id); w == nil || b.workers.started(id) != k+1 {
				return false
			}
			ready := false
			w.see(func(w *fakeWorker) { ready = w.ceilings[u] > 0 && len(w.grants) == 1 })
			return ready
		})
		total += w.move(u, 100)
		b.until("a sample", func() bool { return b.used("alice") == total })
		end(w)
	}
	b.until("one more worker", func() bool { return b.workers.started(id) == 4 })
	if s, err := b.app.System.Status(b.ctx); err != nil || len(s.Warnings) == 0 {
		t.Errorf("status does not warn: %+v, %v", s, err)
	}
	if got := b.used("alice"); got != 300 {
		t.Fatalf("%d bytes are counted, want 300", got)
	}
	full.full.Store(false)
	b.until("a commit", func() bool {
		s, err := b.app.System.Status(b.ctx)
		return err == nil && len(s.Warnings) == 0
	})
	b.end()
	b.reopen()
	if got := b.used("alice"); got != 300 {
		t.Fatalf("%d bytes are stored, want 300", got)
	}
}

// A store that fails is told of to whoever asks, until a change succeeds; what
// the use cases refuse is no failure of its.
func TestAStoreThatFailsIsTold(t *testing.T) {
	b := newBench(t)
	full := &fullStore{Store: b.store}
	a := app.New(app.Config{
		Store: full, Workers: b.workers, Protocols: all.Protocols(), Network: quietNetwork{},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	told := func() string {
		s, err := a.System.Status(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(s.Warnings, "\n")
	}
	create := func(name string) error {
		_, err := a.Users.Create(b.ctx, vpn.NewUser{Name: name})
		return err
	}
	if err := create("alice"); err != nil || told() != "" {
		t.Fatalf("at first: %v, %q", err, told())
	}
	if err := create("alice"); vpn.KindOf(err) != vpn.Conflict || told() != "" {
		t.Errorf("a name that is taken: %v, %q", err, told())
	}
	full.full.Store(true)
	if err := create("bob"); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(told(), "the last change could not be stored: ") {
		t.Errorf("a full store: %v, %q", err, told())
	}
	if _, err := a.Users.Kick(b.ctx, "alice"); err != nil {
		t.Errorf("a kick, of which nothing has to be stored: %v", err)
	}
	full.full.Store(false)
	if err := create("bob"); err != nil || told() != "" {
		t.Errorf("with room again: %v, %q", err, told())
	}
}
