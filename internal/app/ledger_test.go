package app

import (
	"testing"

	"vpn/internal/vpn"
)

// An answer that was overtaken by a later one counts nothing, and makes the
// next one count nothing twice.
func TestAnAnswerThatWasOvertakenCountsNothing(t *testing.T) {
	l := newLedger(nil, nil)
	e := &epochCount{
		counts: map[vpn.CredentialID]*count{}, dirty: map[vpn.CredentialID]*count{}, totals: map[vpn.UserID]uint64{},
	}
	for _, up := range []uint64{100, 150, 120, 200} {
		l.take(e, vpn.Counter{Credential: "c", User: "alice", Traffic: vpn.Traffic{Up: up}})
	}
	if e.totals["alice"] != 200 || l.users["alice"].Up != 200 {
		t.Errorf("the worker counted 200; the ledger says %d, and %d are to be stored", e.totals["alice"], l.users["alice"].Up)
	}
}
