package wireguard

import (
	"math"
	"time"
)

const (
	// target is how long packets wait for a rate all the time, if they must:
	// what keeps a TCP at the rate, and nobody waiting.
	target = 20 * time.Millisecond
	// interval is how long they may wait for longer, which a TCP needs to hear
	// of a loss.
	interval = 100 * time.Millisecond
	// fewBytes may always wait: of fewer packets in flight a TCP learns of a
	// loss by nothing but time.
	fewBytes = 6 * usualPacket
)

// A codel says which packets of a queue to drop, so that it stays short: one
// after packets have waited for longer than target during an interval, and
// more, at less and less distance, until they no longer do. That is CoDel, RFC
// 8289, with its terms.
type codel struct {
	above    time.Time // when an interval above target is over; zero: it has not begun
	dropping bool
	next     time.Time // of a drop, while dropping
	count    int       // drops since dropping began
	last     int       // count when dropping began
}

// drops says whether to drop a packet that was taken out of the queue after it
// has waited so long, with so many bytes left behind it.
func (c *codel) drops(now time.Time, waited time.Duration, behind int) bool {
	high := c.high(now, waited, behind)
	switch {
	case c.dropping && !high:
		c.dropping = false
	case c.dropping && !now.Before(c.next):
		c.count++
		c.next = c.after(c.next)
		return true
	case !c.dropping && high:
		c.dropping = true
		// If it was dropping a moment ago, it goes on about where it was.
		since := c.count - c.last
		c.count = 1
		if since > 1 && now.Sub(c.next) < 16*interval {
			c.count = since
		}
		c.last = c.count
		c.next = c.after(now)
		return true
	}
	return false
}

// high reports whether packets have waited for too long during an interval.
func (c *codel) high(now time.Time, waited time.Duration, behind int) bool {
	if waited < target || behind <= fewBytes {
		c.above = time.Time{}
		return false
	}
	if c.above.IsZero() {
		c.above = now.Add(interval)
		return false
	}
	return !now.Before(c.above)
}

// after is when the next drop after one at t is due.
func (c *codel) after(t time.Time) time.Time {
	return t.Add(time.Duration(float64(interval) / math.Sqrt(float64(c.count))))
}
