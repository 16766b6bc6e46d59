package app_test

import (
	"testing"
	"time"

	"vpn/internal/vpn"
)

// What was moved until now is in the history, once, through the death of the
// control plane too, and by whatever it is told apart.
func TestHistoryIsWhatWasUsed(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	alice, bob := b.user("alice", vpn.Limits{}), b.user("bob", vpn.Limits{})
	since := time.Now().Add(-time.Hour)
	history := func(q vpn.HistoryQuery) vpn.History {
		t.Helper()
		q.Since = since
		h, err := b.app.Usage.History(b.ctx, q)
		b.do("history", err)
		return h
	}
	sums := func(by vpn.HistoryBy) map[string]uint64 {
		t.Helper()
		out := map[string]uint64{}
		for _, p := range history(vpn.HistoryQuery{Step: time.Hour, By: by}).Points {
			out[p.Of] += p.Total()
		}
		return out
	}
	w, other := b.workers.worker(main), b.workers.worker(second)
	b.until("workers are known", func() bool {
		s, err := b.app.System.Status(b.ctx)
		return err == nil && s.Synced
	})
	w.move(alice, 100)
	w.move(bob, 20)
	b.until("what was moved just now", func() bool { return history(vpn.HistoryQuery{}).Total.Total() == 120 })
	b.reopen()
	other.move(alice, 3)
	b.until("what was moved after", func() bool { return history(vpn.HistoryQuery{}).Total.Total() == 123 })

	for by, want := range map[vpn.HistoryBy]map[string]uint64{
		vpn.ByUser:     {"alice": 103, "bob": 20},
		vpn.ByServer:   {"main": 120, "second": 3},
		vpn.ByProtocol: {"vless": 123},
		vpn.ByNothing:  {"": 123},
	} {
		got := sums(by)
		if len(got) != len(want) {
			t.Errorf("by %q: got %v, want %v", by, got, want)
		}
		for of, n := range want {
			if got[of] != n {
				t.Errorf("by %q: got %v, want %v", by, got, want)
			}
		}
	}
	for name, want := range map[string]uint64{"alice": 103, "bob": 20} {
		if got := history(vpn.HistoryQuery{User: name}).Total.Total(); got != want || b.used(name) != want {
			t.Errorf("%s: the history says %d, the user %d, want %d", name, got, b.used(name), want)
		}
	}
	if got := history(vpn.HistoryQuery{User: "alice", Server: "second"}); got.Total.Total() != 3 || len(got.Points) != 1 {
		t.Errorf("a user on a server: %+v", got)
	}

	// Who is deleted is still told apart.
	_, err := b.app.Users.Delete(b.ctx, "bob")
	b.do("delete", err)
	if got := sums(vpn.ByUser); got["bob (deleted)"] != 20 || got["alice"] != 103 {
		t.Errorf("after a deletion: %v", got)
	}
}

func TestHistoryRefusesNonsense(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	for what, q := range map[string]vpn.HistoryQuery{
		"an end before the beginning": {Since: now.Add(-time.Hour), Until: now.Add(-2 * time.Hour)},
		"a beginning in the future":   {Since: now.Add(time.Hour)},
		"a step of a minute":          {Since: now.Add(-time.Hour), Step: time.Minute},
		"a step of ten years":         {Since: now.Add(-time.Hour), Step: 10 * 366 * 24 * time.Hour},
		"another grouping":            {Since: now.Add(-time.Hour), By: "colour"},
	} {
		if _, err := b.app.Usage.History(b.ctx, q); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for what, q := range map[string]vpn.HistoryQuery{
		"an unknown user":   {Since: now.Add(-time.Hour), User: "nobody"},
		"an unknown server": {Since: now.Add(-time.Hour), Server: "nothing"},
	} {
		if _, err := b.app.Usage.History(b.ctx, q); vpn.KindOf(err) != vpn.NotFound {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for _, f := range []vpn.SessionFilter{{User: "nobody"}, {Server: "nothing"}} {
		if _, err := b.app.Usage.Sessions(b.ctx, f); vpn.KindOf(err) != vpn.NotFound {
			t.Errorf("sessions of %+v: got %v", f, err)
		}
	}
}
