package meter

import (
	"sync"
	"time"
)

const (
	maxJump      = time.Hour       // what the wall clock may jump and be believed at once
	confirmAfter = 5 * time.Second // how long a greater jump must stand
)

// A clock tells the wall time, and does not believe a jump of more than
// maxJump against the monotonic clock until a later reading confirms it. Till
// then it goes on from the time before.
type clock struct {
	wall  func() time.Time
	start time.Time // zero of the monotonic clock

	mu       sync.Mutex
	last     reading // the last that was believed
	doubtful bool
	doubt    reading // the first of those that were not
}

type reading struct {
	wall time.Time
	at   time.Duration // monotonic
}

func newClock(wall func() time.Time) *clock {
	c := &clock{wall: wall, start: time.Now()}
	c.last = c.read()
	return c
}

func (c *clock) read() reading { return reading{c.wall().Round(0), time.Since(c.start)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.read()
	switch {
	case r.follows(c.last):
		c.last, c.doubtful = r, false
	case !c.doubtful || !r.follows(c.doubt):
		c.doubt, c.doubtful = r, true
	case r.at-c.doubt.at >= confirmAfter:
		c.last, c.doubtful = r, false
	}
	return c.last.wall.Add(r.at - c.last.at)
}

// follows reports whether both clocks have moved alike since e.
func (r reading) follows(e reading) bool {
	jump := r.wall.Sub(e.wall) - (r.at - e.at)
	return -maxJump <= jump && jump <= maxJump
}
