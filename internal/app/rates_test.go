package app_test

import (
	"testing"
	"time"

	"vpn/internal/vpn"
)

// Each second's speed is known, of all, of a server and of a user, and who
// asks for later ones gets these alone.
func TestRatesOfTheLastSeconds(t *testing.T) {
	bubble(t, ratesOfTheLastSeconds)
}

func ratesOfTheLastSeconds(b *bench) {
	t := b.t
	t.Helper()
	main, _ := b.server("main"), b.server("second")
	alice, _ := b.user("alice", vpn.Limits{}), b.user("bob", vpn.Limits{})
	if _, err := b.app.Usage.Rates(b.ctx, vpn.RatesQuery{}); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("without a daemon: %v", err)
	}
	b.supervise()
	b.until("the worker is known", func() bool {
		s, err := b.app.System.Status(b.ctx)
		return err == nil && s.Synced
	})
	rates := func(q vpn.RatesQuery) vpn.Rates {
		t.Helper()
		r, err := b.app.Usage.Rates(b.ctx, q)
		b.do("rates", err)
		return r
	}
	b.until("a second", func() bool { return len(rates(vpn.RatesQuery{}).Points) > 0 })
	b.workers.worker(main).move(alice, 1_000_000)
	moved := func(q vpn.RatesQuery) (n uint64) {
		for _, p := range rates(q).Points {
			n += p.Up + p.Down
		}
		return n
	}
	b.until("alice's second", func() bool { return moved(vpn.RatesQuery{User: "alice"}) > 0 })
	n := moved(vpn.RatesQuery{User: "alice"})
	if n < 500_000 || n > 5_000_000 { // a second, as a machine under load has it
		t.Errorf("alice has moved %d", n)
	}
	for what, q := range map[string]vpn.RatesQuery{
		"all": {}, "main": {Server: "main"}, "by user": {By: vpn.ByUser}, "by server": {By: vpn.ByServer}, "by protocol": {By: vpn.ByProtocol},
	} {
		if got := moved(q); got != n {
			t.Errorf("%s: moved %d, alice alone %d", what, got, n)
		}
	}
	for what, q := range map[string]vpn.RatesQuery{"second": {Server: "second"}, "bob": {User: "bob"}} {
		if got := moved(q); got != 0 {
			t.Errorf("%s: moved %d", what, got)
		}
	}
	seen := rates(vpn.RatesQuery{})
	b.until("a later second", func() bool {
		r := rates(vpn.RatesQuery{Since: seen.Until})
		return len(r.Points) > 0 && r.Points[0].At.After(seen.Until) && r.Until.After(seen.Until)
	})

	// The history tells the same in steps of seconds.
	h, err := b.app.Usage.History(b.ctx, vpn.HistoryQuery{Since: time.Now().Add(-time.Minute), Step: 10 * time.Second, By: vpn.ByUser})
	b.do("history", err)
	if len(h.Points) != 1 || h.Points[0].Of != "alice" || h.Total.Total() != n || h.Step != 10 {
		t.Errorf("got %+v, want %d", h, n)
	}

	for what, q := range map[string]vpn.RatesQuery{
		"a user on a server": {User: "alice", Server: "main"}, "users of a server": {By: vpn.ByUser, Server: "main"}, "another grouping": {By: "colour"},
	} {
		if _, err := b.app.Usage.Rates(b.ctx, q); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.app.Usage.Rates(b.ctx, vpn.RatesQuery{User: "nobody"}); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("an unknown user: %v", err)
	}
}
