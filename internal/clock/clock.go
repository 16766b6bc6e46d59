// Package clock tells the date in a way that survives a machine's clock being
// set: nobody expires by a mistake of a minute. It measures no durations: the
// time package does so by the monotonic clock, which nobody sets.
package clock

import (
	"sync"
	"time"
)

const (
	maxJump      = time.Hour   // what the wall clock may jump and be believed at once
	confirmAfter = time.Minute // how long a greater jump must stand
)

// A Clock tells the wall time, and does not believe a jump of more than an
// hour against the monotonic clock until a reading a minute later confirms
// it. Till then it goes on from the time before. It has to be read now and
// then to notice. Its methods may be called concurrently.
type Clock struct {
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

// New returns a clock that reads wall, and believes the first reading.
func New(wall func() time.Time) *Clock {
	c := &Clock{wall: wall, start: time.Now()}
	c.last = c.read()
	return c
}

func (c *Clock) read() reading { return reading{c.wall().Round(0), time.Since(c.start)} }

// Now returns the time, without a monotonic reading.
func (c *Clock) Now() time.Time {
	now, _ := c.look()
	return now
}

// Jump returns how far the wall clock has jumped from what Now returns; 0
// while it is believed.
func (c *Clock) Jump() time.Duration {
	_, jump := c.look()
	return jump
}

func (c *Clock) look() (now time.Time, jump time.Duration) {
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
	now = c.last.wall.Add(r.at - c.last.at)
	return now, r.wall.Sub(now)
}

// follows reports whether both clocks have moved alike since e.
func (r reading) follows(e reading) bool {
	jump := r.wall.Sub(e.wall) - (r.at - e.at)
	return -maxJump <= jump && jump <= maxJump
}
