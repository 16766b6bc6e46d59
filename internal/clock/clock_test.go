package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// A jump of more than an hour is believed once it has stood for a minute.
func TestJump(t *testing.T) {
	for _, c := range []struct {
		jump  time.Duration
		after time.Duration // 0: at once
	}{
		{59 * time.Minute, 0},
		{-59 * time.Minute, 0},
		{61 * time.Minute, time.Minute},
		{-61 * time.Minute, time.Minute},
		{24 * time.Hour, time.Minute},
		{-24 * time.Hour, time.Minute},
		{10 * 365 * 24 * time.Hour, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var jump time.Duration
			clock := New(func() time.Time { return time.Now().Add(jump) })
			<-time.After(time.Second)
			jump = c.jump
			for start := time.Now(); time.Since(start) < 2*time.Minute; <-time.After(time.Second) {
				want, doubt := jump, time.Duration(0)
				if time.Since(start) < c.after {
					want, doubt = 0, jump
				}
				if got := clock.Now().Sub(time.Now().Round(0)); got != want || clock.Jump() != doubt {
					t.Fatalf("%v after a jump of %v it is believed for %v, doubt %v", time.Since(start), c.jump, got, clock.Jump())
				}
			}
		})
	}
}

// A jump that is taken back within the minute never was.
func TestJumpTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump time.Duration
		clock := New(func() time.Time { return time.Now().Add(jump) })
		for k := range 1000 {
			if jump = 0; k%50 > 5 {
				jump = 48 * time.Hour
			}
			<-time.After(time.Second)
			if got := clock.Now(); !got.Equal(time.Now().Round(0)) {
				t.Fatalf("it is %v, and the clock says %v", time.Now(), got)
			}
		}
	})
}

// A clock that does not agree with itself is never believed.
func TestJumpsToAndFro(t *testing.T) {
	for _, jumps := range [][]time.Duration{
		{0, 10 * time.Hour, 30 * time.Hour},
		{10 * time.Hour, 30 * time.Hour},
		{-10 * time.Hour, 10 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			var jump time.Duration
			c := New(func() time.Time { return time.Now().Add(jump) })
			start := time.Now()
			for i := range 100 {
				jump = jumps[i%len(jumps)]
				<-time.After(30 * time.Second)
				if got := c.Now().Sub(start); got != time.Since(start) {
					t.Fatalf("jumps %v: after %v the clock says %v", jumps, time.Since(start), got)
				}
			}
		})
	}
}
