package app

import (
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// Ceilings look again at whom there is something new about, and at nobody
// else: that is what 10,000 users who do nothing cost.
func TestOnlyTheStirredAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(nil, time.Now)
		l.epochs["e"] = newEpochCount("e", "s")
		quotas := func(left uint64) { l.follow(plan{quotas: []Quota{{User: "u", Quota: left}, {User: "v", Quota: 5}}}) }
		moved := uint64(0)
		answer := func(n uint64, demands ...vpn.Demand) {
			t.Helper()
			<-time.After(time.Second)
			moved += n
			cs := vpn.Counters{Epoch: "e", Counters: []vpn.Counter{{Credential: "c", User: "u", Traffic: vpn.Traffic{Up: moved}}}, Demands: demands}
			if err := l.observe(t.Context(), "s", cs); err != nil {
				t.Fatal(err)
			}
		}
		// look is what ceilings do when all have what they should have.
		look := func(when string, want ...vpn.UserID) {
			t.Helper()
			bs := l.accounts.budgets([]string{"e"}, false)
			for _, b := range bs {
				if len(want) != 1 || b.user != want[0] {
					t.Errorf("%s: they look at %s, want %s", when, b.user, want)
				}
			}
			if len(bs) != len(want) {
				t.Errorf("%s: they look at %d users", when, len(bs))
			}
			var calm []budget
			for _, b := range bs {
				if b.quiet() {
					calm = append(calm, b)
				}
			}
			l.accounts.calm(calm)
		}
		quotas(1000)
		l.accounts.calm(l.accounts.budgets(nil, true))
		look("nobody has moved anything")
		answer(100)
		look("the first answer tells no rate", "u")
		answer(100)
		look("a user moves", "u")
		answer(0)
		look("a user has stopped: the rate is another", "u")
		answer(0)
		look("and does nothing")
		answer(0, vpn.Demand{User: "u", Dry: true})
		look("a ceiling was in the way", "u")
		answer(0)
		look("it is not any more", "u")
		look("and that is all")
		quotas(1000)
		look("quotas were read and are the same")
		quotas(900)
		look("a quota is another", "u")
		look("which was seen")
		// What is stirred while it is looked at is not calm.
		answer(1)
		bs := l.accounts.budgets([]string{"e"}, false)
		answer(0)
		answer(1)
		l.accounts.calm(bs)
		look("bytes have moved meanwhile", "u")
		l.follow(plan{})
		look("nobody has a quota")
		if gone := l.accounts.takeLapsed(); len(gone) != 2 {
			t.Errorf("%v have lost their quotas", gone)
		}
		quotas(900)
		bs = l.accounts.budgets([]string{"e"}, false)
		if len(bs) != 2 {
			t.Errorf("two have a quota again, and %d are looked at", len(bs))
		}
	})
}
