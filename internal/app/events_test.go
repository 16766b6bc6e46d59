package app_test

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// follower reads a feed and remembers what it was told.
type follower struct {
	b    *bench
	next func() ([]vpn.Event, bool)
	seen []vpn.Event
}

func (b *bench) follow(last int) *follower {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	events, err := b.app.System.FollowEvents(ctx, last)
	if err != nil {
		b.t.Fatal(err)
	}
	next, stop := iter.Pull(events)
	end := b.end
	b.end = func() { // in this order: the feed ends with its reader
		cancel()
		stop()
		end()
	}
	return &follower{b: b, next: next}
}

// hears waits for an event, whatever comes before it.
func (f *follower) hears(action, subject string) vpn.Event {
	f.b.t.Helper()
	for {
		for i, e := range f.seen {
			if e.Action == action && e.Subject == subject {
				f.seen = slices.Delete(f.seen, 0, i+1)
				return e
			}
		}
		events, ok := f.next()
		if !ok {
			f.b.t.Fatalf("the feed ends before %s %s", action, subject)
		}
		f.seen = append(f.seen, events...)
	}
}

func TestWhatHappensIsTold(t *testing.T) {
	bubble(t, func(b *bench) {
		if _, err := b.app.System.FollowEvents(b.ctx, 0); vpn.KindOf(err) != vpn.Unavailable {
			t.Errorf("without a daemon: %v", err)
		}
		b.supervise()
		main := b.server("main")
		bob := b.user("bob", vpn.Limits{Quota: 1000})
		f := b.follow(2)
		// What was before, the oldest first.
		if e := f.hears("servers.create", "main"); e.Actor != "test" {
			t.Errorf("got %+v", e)
		}
		f.hears("users.create", "bob")

		b.user("alice", vpn.Limits{})
		f.hears("users.create", "alice")
		_, err := b.app.DryRun().Users.Delete(b.ctx, "alice")
		b.do("delete, dry", err)
		disable := false
		_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Enabled: &disable})
		b.do("update", err)
		f.hears("users.update", "alice")

		// By themselves: a worker that dies, a quota, an end.
		for _, cause := range []string{"", "it was in the way"} {
			w := b.workers.worker(main)
			w.cause = cause
			w.crash()
			why := cmp.Or(cause, "it ended by itself")
			if e := f.hears(vpn.ServerEnded, "main"); e.Detail != why || e.Actor != "system" {
				t.Errorf("of its end is told %+v", e)
			}
			if e := f.hears("servers.starting", "main"); e.Detail != why {
				t.Errorf("of the next is told %+v", e)
			}
			f.hears("servers.running", "main")
			s, err := b.app.Servers.Show(b.ctx, "main")
			b.do("show", err)
			if s.Worker == nil || s.Worker.Before == nil || s.Worker.Before.Why != why || s.Worker.Before.At.IsZero() {
				t.Errorf("the worker is shown as %+v", s.Worker)
			}
		}
		// One that is asked to end leaves nothing to be explained.
		_, err = b.app.Servers.Restart(b.ctx, "main")
		b.do("restart", err)
		f.hears("servers.running", "main")
		if s, err := b.app.Servers.Show(b.ctx, "main"); err != nil || s.Worker == nil || s.Worker.Before != nil {
			t.Errorf("after a restart the worker is shown as %+v, %v", s.Worker, err)
		}
		b.sleep(3 * time.Second) // the quota is looked at before it is used up
		b.workers.worker(main).move(bob, 1000)
		if e := f.hears(vpn.UserLimited, "bob"); e.Actor != "system" {
			t.Errorf("got %+v", e)
		}
		_, err = b.app.Users.Create(b.ctx, vpn.NewUser{Name: "carol", ExpiresAt: time.Now().Add(time.Minute)})
		b.do("create carol", err)
		e := f.hears(vpn.UserExpired, "carol")
		usr, err := b.app.Users.Show(b.ctx, "carol")
		b.do("show carol", err)
		if late := e.At.Sub(usr.ExpiresAt); late < 0 || late > 2*time.Second || usr.Status != vpn.Expired {
			t.Errorf("told %v after the end, the user is %s", late, usr.Status)
		}
		// Each is told once.
		_, err = b.app.Users.Kick(b.ctx, "alice")
		b.sleep(5 * time.Second)
		b.do("kick", err)
		f.hears("users.kick", "alice")
		for _, e := range f.seen {
			if e.Action == vpn.UserLimited || e.Action == vpn.UserExpired || strings.HasPrefix(e.Action, "users.delete") {
				t.Errorf("told without a reason: %+v", e)
			}
		}
	})
}

// A reader that does not read holds nobody up, and is told that it has missed
// something; what comes after that, it is told.
func TestSlowReadersMissEvents(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		b.user("alice", vpn.Limits{})
		f := b.follow(0)
		for range 1500 {
			_, err := b.app.Users.Kick(b.ctx, "alice")
			b.do("kick", err)
		}
		events, _ := f.next()
		if len(events) != 501 || events[0].Action != vpn.EventsLost || !strings.HasPrefix(events[0].Detail, "1000 events passed") {
			t.Fatalf("got %d events, the first %+v", len(events), events[0])
		}
		_, err := b.app.Users.Delete(b.ctx, "alice")
		b.do("delete", err)
		f.hears("users.delete", "alice")
	})
}
