package app_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// counting is a store that counts how often all users are read.
type counting struct {
	app.Store
	reads *atomic.Int64
}

func (s counting) View(ctx context.Context, fn func(app.Tx) error) error {
	return s.Store.View(ctx, func(tx app.Tx) error {
		tx.Users = countingUsers{tx.Users, s.reads}
		return fn(tx)
	})
}

type countingUsers struct {
	app.UserStore
	reads *atomic.Int64
}

func (u countingUsers) Brief(f vpn.UserFilter) ([]vpn.User, error) {
	u.reads.Add(1)
	return u.UserStore.Brief(f)
}

// Who asks each second for how all are doing is told what is true at that
// time, though the users are read from the store only after something was
// changed or stored.
func TestWhoIsOnlineAndWhoseEndIsNear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		b := newBenchWith(t, time.Now, func(s app.Store) app.Store { return counting{s, &reads} })
		b.supervise()
		main := b.server("main")
		for name, in := range map[string]vpn.NewUser{
			"soon": {ExpiresAt: time.Now().Add(3 * 24 * time.Hour)}, "sooner": {ExpiresAt: time.Now().Add(24 * time.Hour)},
			"later": {ExpiresAt: time.Now().Add(30 * 24 * time.Hour)}, "free": {},
		} {
			in.Name = name
			b.create(in)
		}
		alice := b.user("alice", vpn.Limits{Quota: 100_000})
		b.until("the worker runs", func() bool {
			s, err := b.app.System.Status(b.ctx)
			return err == nil && s.Synced
		})
		status := func() vpn.Status {
			t.Helper()
			s, err := b.app.System.Status(b.ctx)
			b.do("status", err)
			return s
		}
		online := func() []vpn.UserInfo {
			t.Helper()
			list, err := b.app.Users.List(b.ctx, vpn.UserFilter{Online: true, Fields: []string{"id", "name", "used", "online", "status"}})
			b.do("list", err)
			return list
		}
		s := status()
		if s.UsersOnline != 0 || len(online()) != 0 || s.Expiring.Count != 2 || s.Expiring.First[0].Name != "sooner" || s.NearQuota.Count != 0 {
			t.Errorf("at first: %+v", s)
		}

		w := b.workers.worker(main)
		w.move(alice, 1000)
		w.see(func(w *fakeWorker) {
			for id, c := range w.counts {
				c.Conns = 2
				w.counts[id] = c
			}
		})
		b.until("alice is online", func() bool { return len(online()) == 1 })
		if got := online()[0]; got.Name != "alice" || got.Online != 2 || status().UsersOnline != 1 {
			t.Errorf("got %+v", got)
		}
		whole, err := b.app.Users.List(b.ctx, vpn.UserFilter{Online: true, Search: "ali"})
		b.do("list", err)
		if len(whole) != 1 || whole[0].CreatedAt.IsZero() {
			t.Errorf("got %+v", whole)
		}

		// Each byte is there once, while it waits for the store, is stored, and
		// was stored.
		begun := reads.Load()
		moved, last := uint64(1000), uint64(0)
		for range 300 { // half a minute, which is three times to the store
			moved += w.move(alice, 250)
			b.sleep(100 * time.Millisecond)
			used := online()[0].Used.Total()
			if used < last || used > moved || used+10*250 < moved-1000 {
				t.Fatalf("used %d, before %d, moved %d", used, last, moved)
			}
			last = used
		}
		if n := reads.Load() - begun; n > 5 {
			t.Errorf("all users were read %d times in half a minute", n)
		}
		w.move(alice, 92_000-moved)
		b.sleep(2 * time.Second)
		if s := status(); s.NearQuota.Count != 1 || s.NearQuota.First[0].Used.Total() != 92_000 || s.NearQuota.First[0].QuotaPercent() != 92 {
			t.Errorf("near the quota: %+v", s.NearQuota)
		}

		// A change is seen at once.
		disable := false
		for _, name := range []string{"alice", "sooner"} {
			_, err := b.app.Users.Update(b.ctx, name, vpn.UserPatch{Enabled: &disable})
			b.do("disable", err)
		}
		s = status()
		if s.NearQuota.Count != 0 || s.Expiring.Count != 1 || s.Expiring.First[0].Name != "soon" || s.Users[vpn.Disabled] != 2 {
			t.Errorf("after a change: %+v", s)
		}
	})
}

// Since when a server is down, attempts to start it change nothing about.
func TestSinceWhenAServerIsDown(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		id := b.server("main")
		look := func() vpn.ServerInfo {
			t.Helper()
			list, err := b.app.Servers.List(b.ctx)
			b.do("list", err)
			return list[0]
		}
		b.until("it runs", func() bool { return look().State == vpn.Running })
		up := look().Since
		b.sleep(time.Hour)
		if got := look().Since; up.IsZero() || !got.Equal(up) {
			t.Errorf("up since %v, then %v", up, got)
		}
		b.workers.mu.Lock()
		b.workers.fail = vpn.Errorf(vpn.Unavailable, "the port is taken")
		b.workers.mu.Unlock()
		died := time.Now()
		b.workers.worker(id).crash()
		b.sleep(10 * time.Minute)
		if s := look(); s.State != vpn.Failed || s.Since.Sub(died).Abs() > 5*time.Second {
			t.Errorf("it is %s since %v, it died at %v", s.State, s.Since, died)
		}
	})
}
