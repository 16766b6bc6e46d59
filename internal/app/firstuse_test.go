package app_test

import (
	"testing"
	"time"

	"vpn/internal/vpn"
)

const month = 30 * 24 * 3600

func (b *bench) events(action string) (n int) {
	b.t.Helper()
	all, err := b.app.System.Events(b.ctx, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range all {
		if e.Action == action {
			n++
		}
	}
	return n
}

// The first use, on whichever server, ends a hold for all: it is known within
// a second, in force on the others, and recorded once, though two workers see
// it in the same second.
func TestTheFirstUseEndsAHold(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		main, second := b.workers.worker(b.server("main")), b.workers.worker(b.server("second"))
		u := b.create(vpn.NewUser{Name: "alice", ValidFor: month})
		if u.Status != vpn.OnHold || !u.ExpiresAt.IsZero() {
			t.Fatalf("created: %+v", u)
		}
		b.away(48 * time.Hour)
		first := time.Now().UTC().Truncate(time.Microsecond)
		second.move(u.ID, 1)
		b.sleep(100 * time.Millisecond)
		main.move(u.ID, 1)
		b.sleep(1100 * time.Millisecond)
		d := b.show("alice")
		if d.Status != vpn.Active || !d.FirstUsedAt.Equal(first) || !d.ExpiresAt.Equal(first.Add(month*time.Second)) {
			t.Errorf("after the first use: %+v", d.UserInfo)
		}
		b.until("all workers know", func() bool {
			n := 0
			for _, w := range []*fakeWorker{main, second} {
				w.see(func(w *fakeWorker) {
					for _, g := range w.grants {
						if g.NotAfter.Equal(d.ExpiresAt) && g.Hold.FirstUsedAt.Equal(first) {
							n++
						}
					}
				})
			}
			return n == 2
		})
		b.sleep(time.Minute)
		if n := b.events("users.first_use"); n != 1 {
			t.Errorf("it was recorded %d times", n)
		}
		if again := b.show("alice"); !again.ExpiresAt.Equal(d.ExpiresAt) {
			t.Errorf("the end has moved to %v", again.ExpiresAt)
		}
	})
}

// A use that the control plane did not see, for it was away or was killed just
// then, is known when it is back; that of a worker which did not answer is, if
// it was earlier.
func TestAFirstUseWithoutAControlPlane(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		main, second := b.workers.worker(b.server("main")), b.workers.worker(b.server("second"))
		u := b.create(vpn.NewUser{Name: "alice", ValidFor: month})
		b.end()
		second.see(func(w *fakeWorker) { w.silent = true })
		earliest := time.Now().UTC().Truncate(time.Microsecond)
		second.move(u.ID, 1)
		b.sleep(time.Second)
		later := time.Now().UTC().Truncate(time.Microsecond)
		main.move(u.ID, 1)
		b.sleep(3 * time.Hour)
		b.reopen()
		b.until("the use on main is known", func() bool { return b.show("alice").FirstUsedAt.Equal(later) })
		second.see(func(w *fakeWorker) { w.silent = false })
		b.until("and the one before it", func() bool { return b.show("alice").FirstUsedAt.Equal(earliest) })
		if d := b.show("alice"); !d.ExpiresAt.Equal(earliest.Add(month * time.Second)) {
			t.Errorf("it ends at %v", d.ExpiresAt)
		}
		b.sleep(2 * time.Second)
		if n := b.events("users.first_use"); n != 1 {
			t.Errorf("it was recorded %d times", n)
		}
		b.reopen()
		b.sleep(10 * time.Second)
		if d := b.show("alice"); !d.FirstUsedAt.Equal(earliest) || b.events("users.first_use") != 1 {
			t.Errorf("after another restart: %+v", d.Hold)
		}
	})
}

// A user is put on hold again, and taken off it.
func TestAHoldIsChanged(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		w := b.workers.worker(b.server("main"))
		u := b.create(vpn.NewUser{Name: "alice", ValidFor: 60})
		w.move(u.ID, 1)
		b.until("it begins", func() bool { return b.show("alice").Status == vpn.Active })
		b.sleep(2 * time.Minute)
		if w.move(u.ID, 1) != 0 || b.show("alice").Status != vpn.Expired {
			t.Error("it does not end")
		}
		c, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{ValidFor: new(vpn.Seconds(60))})
		if err != nil || c.User.Status != vpn.OnHold || !c.User.FirstUsedAt.IsZero() {
			t.Errorf("on hold again: %+v, %v", c.User, err)
		}
		b.sleep(time.Hour)
		if w.move(u.ID, 1) != 1 {
			t.Error("it does not begin again")
		}
		b.until("it begins again", func() bool { return b.show("alice").Status == vpn.Active })
		c, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{ExpiresAt: new(time.Time{})})
		if err != nil || c.User.Hold != (vpn.Hold{}) || !c.User.ExpiresAt.IsZero() {
			t.Errorf("without an end: %+v, %v", c.User, err)
		}
		b.sleep(time.Hour)
		if d := b.show("alice"); w.move(u.ID, 1) != 1 || d.Status != vpn.Active || !d.ExpiresAt.IsZero() {
			t.Errorf("an hour later: %+v", d.UserInfo)
		}
	})
}

// Without a daemon a use is shown all the same.
func TestAFirstUseIsShownWithoutADaemon(t *testing.T) {
	b := newBench(t)
	b.supervise()
	w := b.workers.worker(b.server("main"))
	u := b.create(vpn.NewUser{Name: "alice", ValidFor: month})
	b.end()
	w.move(u.ID, 1)
	b.reset()
	if d := b.show("alice"); d.Status != vpn.Active || d.ExpiresAt.IsZero() {
		t.Errorf("%+v", d.UserInfo)
	}
}
