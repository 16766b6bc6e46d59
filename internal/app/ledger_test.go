package app

import (
	"testing"

	"vpn/internal/vpn"
)

// An answer that was overtaken by a later one counts nothing, and makes the
// next one count nothing twice.
func TestAnAnswerThatWasOvertakenCountsNothing(t *testing.T) {
	l := newLedger(nil, nil)
	e := newEpochCount("e", "s")
	for _, up := range []uint64{100, 150, 120, 200} {
		l.take(e, &vpn.Counter{Credential: "c", User: "alice", Traffic: vpn.Traffic{Up: up}})
	}
	a := l.accounts.of["alice"]
	if n := a.tallies[0].total; n != 200 || a.pending.Up != 200 {
		t.Errorf("the worker counted 200; the ledger says %d, and %d are to be stored", n, a.pending.Up)
	}
}
