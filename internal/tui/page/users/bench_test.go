package users_test

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
)

// full is the UI with ten thousand users, in a terminal of 120 by 40.
func full(b *testing.B) *tui.App {
	b.Helper()
	o, _ := tuitest.Options(b)
	a := made(o, newPlane(10_000), users.Options{After: tuitest.Never})
	tuitest.Drive(b, a, 120, 40).Press("2")
	return a
}

// A move and the frame after it: a millisecond at most.
func BenchmarkMove(b *testing.B) {
	a := full(b)
	down := tea.KeyPressMsg{Code: 'j', Text: "j"}
	for b.Loop() {
		a.Update(down)
		_ = a.View()
	}
}

// A letter in the filter, and whom it selects: two milliseconds at most.
func BenchmarkWriteAFilter(b *testing.B) {
	a := full(b)
	a.Update(tea.KeyPressMsg{Code: '/', Text: "/"})
	keys := []tea.KeyPressMsg{{Code: 'i', Text: "i"}, {Code: tea.KeyBackspace}}
	for i := 0; b.Loop(); i++ {
		a.Update(keys[i%2])
	}
}

// The same in a list that is sorted by what is used.
func BenchmarkWriteAFilterOfASortedList(b *testing.B) {
	a := full(b)
	for range 4 {
		a.Update(tea.KeyPressMsg{Code: 's', Text: "s"})
	}
	a.Update(tea.KeyPressMsg{Code: '/', Text: "/"})
	keys := []tea.KeyPressMsg{{Code: 'i', Text: "i"}, {Code: tea.KeyBackspace}}
	for i := 0; b.Loop(); i++ {
		a.Update(keys[i%2])
	}
}

// All users anew, as they come each ten seconds.
func BenchmarkLearn(b *testing.B) {
	o, clock := tuitest.Options(b)
	d := tuitest.Drive(b, made(o, newPlane(10_000), users.Options{After: tuitest.Never}), 120, 40).Press("2", "s", "s", "s", "s")
	for b.Loop() {
		d.Later(clock, time.Minute)
	}
}
