package app_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestAResetLetsAUserInAgain(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	id := b.user("alice", vpn.Limits{Quota: 1000})
	first, other := b.workers.worker(main), b.workers.worker(second)
	var moved uint64
	b.until("the quota is used up", func() bool {
		moved += first.move(id, 200) + other.move(id, 50)
		return moved == 1000
	})
	b.until("the product knows", func() bool {
		d, err := b.app.Users.Show(b.ctx, "alice")
		return err == nil && d.Status == vpn.Limited
	})

	c, err := b.app.Users.Reset(b.ctx, "alice")
	if err != nil || c.User.Used.Total() != 0 || c.User.Status != vpn.Active || !c.Synced {
		t.Fatalf("reset: %+v, %v", c, err)
	}
	// The answer says that it is in force: no need to wait.
	n := first.move(id, 10)
	if n != 10 {
		t.Error("the user is not let in again")
	}
	b.until("the whole quota is there again", func() bool {
		n += first.move(id, 5000) + other.move(id, 5000)
		return n >= 1000
	})
	if n != 1000 {
		t.Errorf("%d bytes of 1000 passed", n)
	}
	b.until("the count", func() bool { return b.used("alice") == 1000 })
	d, err := b.app.Users.Show(b.ctx, "alice")
	b.do("show", err)
	var ever uint64
	for _, s := range d.Servers {
		ever += s.Used.Total()
	}
	if ever != 2000 {
		t.Errorf("the servers' totals are %d", ever)
	}
}

// Counters are in flight while a user is reset, again and again: each byte
// counts once, before a reset or after it.
func TestResetsLoseNoByteAndCountNoneTwice(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	id := b.user("alice", vpn.Limits{Quota: 1 << 40})
	other := b.user("bob", vpn.Limits{})
	var (
		moved, others atomic.Uint64
		wg            sync.WaitGroup
		stop          = make(chan struct{})
	)
	for _, server := range []vpn.ServerID{main, second} {
		w := b.workers.worker(server)
		pace := time.NewTicker(100 * time.Microsecond) // many times in each transaction, and time left for those
		wg.Go(func() {
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pace.C:
					moved.Add(w.move(id, 3))
					others.Add(w.move(other, 1))
				}
			}
		})
	}
	const resets = 50
	for range resets {
		if _, err := b.app.Users.Reset(b.ctx, "alice"); err != nil {
			t.Error(err)
		}
		b.app.Reconciler.Sync(b.ctx, main, second)
	}
	close(stop)
	wg.Wait()
	b.until("all bytes are told", func() bool { return b.used("bob") == others.Load() })

	events, err := b.app.System.Events(b.ctx, resets)
	b.do("events", err)
	sum := b.used("alice")
	for _, e := range events {
		var up, down uint64
		if _, err := fmt.Sscanf(e.Detail, "used %d up, %d down", &up, &down); err != nil || e.Action != "users.reset" {
			t.Fatalf("event %+v: %v", e, err)
		}
		sum += up + down
	}
	if sum != moved.Load() {
		t.Errorf("counted %d bytes of %d", sum, moved.Load())
	}
	d, err := b.app.Users.Show(b.ctx, "alice")
	b.do("show", err)
	var ever uint64
	for _, s := range d.Servers {
		ever += s.Used.Total()
	}
	if ever != moved.Load() {
		t.Errorf("the servers' totals are %d of %d", ever, moved.Load())
	}
}

// Without a daemon, a worker that is found is asked before the reset.
func TestAResetWithoutADaemon(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main := b.server("main")
	id := b.user("alice", vpn.Limits{Quota: 100})
	w := b.workers.worker(main)
	b.end()
	if n := w.move(id, 500); n != 100 {
		t.Fatalf("%d bytes passed", n)
	}
	b.open()
	c, err := b.app.Users.Reset(b.ctx, "alice")
	if err != nil || c.User.Used.Total() != 0 || !c.Synced {
		t.Fatalf("reset: %+v, %v", c, err)
	}
	if n := w.move(id, 500); n != 100 {
		t.Errorf("%d bytes passed after the reset", n)
	}
	if used := b.used("alice"); used > 100 {
		t.Errorf("used %d", used)
	}
}
