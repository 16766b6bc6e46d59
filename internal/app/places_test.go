package app_test

import (
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// start starts a worker as somebody else does.
func (b *bench) start(id vpn.ServerID, runtime string) *fakeWorker {
	b.t.Helper()
	w, err := b.workers.Start(b.ctx, vpn.Server{ID: id, Runtime: runtime})
	if err != nil {
		b.t.Fatal(err)
	}
	return w.(*fakeWorker)
}

// credential returns the one that a user has.
func (b *bench) credential(u vpn.UserID) (c vpn.Credential) {
	b.t.Helper()
	err := b.store.View(b.ctx, func(tx app.Tx) error {
		all, err := tx.Credentials.ForUser(u)
		if err == nil {
			c = all[0]
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// Where workers are started again without the control plane, several lives may
// have ended before one is found.
func TestWhatEarlierLivesCountedIsFoldedInOnAdoption(t *testing.T) {
	b := newBench(t)
	id := b.server("main")
	u := b.user("alice", vpn.Limits{})
	for range 2 {
		w := b.start(id, vpn.RuntimeProcess)
		w.admit(b.credential(u))
		w.move(u, 100)
		w.leave()
	}
	living := b.start(id, vpn.RuntimeProcess)
	b.supervise()
	b.until("the counts of those that ended", func() bool { return b.used("alice") == 200 })
	b.until("nothing to be left of them", func() bool {
		left, err := b.workers.Remains(b.ctx, app.Place{Server: id, Runtime: vpn.RuntimeProcess})
		return err == nil && len(left) == 0
	})
	if living.ended() || b.workers.started(id) != 3 {
		t.Error("the living worker was not adopted")
	}
}

// After a restore of an older backup a server may run where it is not meant
// to.
func TestAWorkerElsewhereIsEndedFirst(t *testing.T) {
	b := newBench(t)
	id := b.server("main")
	u := b.user("alice", vpn.Limits{})
	stray := b.start(id, vpn.RuntimeDocker)
	stray.admit(b.credential(u))
	stray.move(u, 100)
	b.supervise() // a second worker beside the first would panic
	select {
	case <-stray.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the worker lives on where it should not")
	}
	b.until("one in its place", func() bool { return b.workers.worker(id) != nil })
	b.until("what it counted", func() bool { return b.used("alice") == 100 })
}
