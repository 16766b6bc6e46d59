package app

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// The seconds of the last minutes are kept, in order, and no more of them.
func TestSpeedsAreOfTheLastMinutes(t *testing.T) {
	var s speeds
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i := range 1000 {
		s.note(second{users: []speed[vpn.UserID]{{of: "b", online: i}, {of: "a"}}}, start.Add(time.Duration(i)*time.Second))
	}
	all, since := s.after(time.Time{})
	if len(all) != keptSeconds || !since.Equal(start.Add(850*time.Second)) {
		t.Fatalf("%d seconds since %v", len(all), since)
	}
	for i, x := range all {
		if u, ok := x.user("b"); !ok || u.online != 850+i {
			t.Fatalf("second %d is %+v", i, x)
		}
	}
	if later, _ := s.after(start.Add(998 * time.Second)); len(later) != 1 || !later[0].at.Equal(start.Add(999*time.Second)) {
		t.Errorf("later: %+v", later)
	}
	if later, _ := s.after(start.Add(999 * time.Second)); len(later) != 0 {
		t.Errorf("nothing is later than the last: %+v", later)
	}
	// A clock that was set back begins anew.
	s.note(second{}, start)
	if all, _ := s.after(time.Time{}); len(all) != 1 {
		t.Errorf("%d seconds", len(all))
	}
}

// However many move something, the memory has a bound, and the fastest stay.
func TestSpeedsHaveABound(t *testing.T) {
	const users = 10_000
	var s speeds
	before := heap()
	for i := range 2 * keptSeconds {
		now := second{users: make([]speed[vpn.UserID], 0, users)}
		for u := range users {
			now.users = append(now.users, speed[vpn.UserID]{of: vpn.UserID(fmt.Sprintf("user%012d", u)), Rate: vpn.Rate{Down: uint64(u)}})
		}
		s.note(now, time.Unix(int64(i), 0))
	}
	all, _ := s.after(time.Time{})
	if _, ok := all[0].user("user000000000000"); ok || len(all[0].users) != mostMovers {
		t.Errorf("a second has %d users, the slowest among them: %v", len(all[0].users), ok)
	}
	if _, ok := all[0].user("user000000009999"); !ok {
		t.Error("the fastest is not kept")
	}
	taken := heap() - before
	t.Logf("%d users: %.1f MB", users, float64(taken)/1e6)
	if taken > 12e6 { // each of these names is a string of its own; in the ledger they are one
		t.Errorf("%d bytes are kept", taken)
	}
	runtime.KeepAlive(&s)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
