package app

import (
	"runtime"
	"testing"

	"vpn/internal/vpn"
)

func TestEffort(t *testing.T) {
	cores := int64(runtime.NumCPU())
	var e effort
	say := func(epoch string, at, cpu int64) { e.note(vpn.Counters{Epoch: epoch, At: at, CPU: cpu}) }
	is := func(epoch string, want float64) {
		t.Helper()
		if got := e.percentIn(epoch); got == nil && want >= 0 || got != nil && *got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	is("a", -1)
	say("a", 1000, 500)
	is("a", -1) // since when?
	say("a", 2000, 500+250*cores)
	is("a", 25)
	say("a", 2100, 500+350*cores) // so soon that it says nothing yet
	is("a", 25)
	say("a", 3000, 500+350*cores)
	is("a", 10)
	is("b", -1)
	say("b", 5000, 10) // another worker begins anew
	is("b", -1)
	is("a", -1)
	say("b", 6000, 10)
	is("b", 0)
	say("old", 1000, 0)
	say("old", 2000, 0) // a version that does not say
	is("old", -1)
}
