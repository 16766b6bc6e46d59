package app

import (
	"testing"
	"time"
)

// Each second is looked at once, and belongs to its step; the store is told
// when a step is over or when somebody asks, and not more than a day waits.
func TestAttendanceIsToldByTheStep(t *testing.T) {
	e := newEpochCount("epoch", "main")
	acc := &account{user: "alice"}
	e.tallies["alice"] = &tally{epoch: e, of: acc, conns: 3}
	e.tallies["bob"] = &tally{epoch: e, of: &account{user: "bob"}}
	e.conns = 3
	epochs := map[string]*epochCount{"epoch": e}
	start := time.Date(2026, 11, 1, 12, 4, 50, 0, time.UTC)
	var a attendance
	for i := range 10 {
		a.look(epochs, start.Add(time.Duration(i)*time.Second))
	}
	if a.due() {
		t.Error("a step that goes on is told")
	}
	alice := Connected{User: "alice", Server: "main"}
	if s := a.steps[0]; s.Seconds != 10 || s.Connected[alice] != 30 || len(s.Connected) != 1 {
		t.Errorf("the step is %+v", s)
	}
	a.asked = true
	if !a.due() {
		t.Error("somebody asks, and is not told")
	}
	a.asked = false
	e.conns, e.tallies["alice"].conns = 0, 0
	a.look(epochs, start.Add(10*time.Second))
	if s := a.steps[1]; !a.due() || !s.At.Equal(start.Add(10*time.Second)) || s.Seconds != 1 || len(s.Connected) != 0 {
		t.Errorf("the next step is %+v", s)
	}
	for i := range 2 * mostSteps {
		a.look(epochs, start.Add(time.Duration(i)*coarseStep))
	}
	if len(a.steps) != mostSteps {
		t.Errorf("%d steps wait", len(a.steps))
	}
	a.settle()
	if a.due() || len(a.steps) != 0 {
		t.Error("what was told is told again")
	}
}
