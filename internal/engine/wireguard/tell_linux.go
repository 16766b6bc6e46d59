package wireguard

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// tellings is how often in a second a device is told that it may not reach
	// something, or that a connection is over.
	tellings = 100
	// again is how long nothing is told about the same direction of a
	// connection: what was on its way needs no answer each.
	again = 50 * time.Millisecond
	// maxTold bounds what is remembered of that.
	maxTold = 1024
)

// A teller says what a device may be told now. Were each of the hundreds of
// packets that were on their way answered, there would be nothing left to say
// when it matters.
type teller struct {
	limit *rate.Limiter

	mu   sync.Mutex
	told map[direction]time.Time
}

// A direction is one of a connection.
type direction struct{ src, dst netip.AddrPort }

func newTeller() *teller {
	return &teller{limit: rate.NewLimiter(tellings, tellings), told: map[direction]time.Time{}}
}

// may reports whether something may be told.
func (t *teller) may() bool { return t.limit.Allow() }

// mayEnd reports whether that a connection is over may be told, in the place
// of a segment of it, and whether it was told before in this direction.
func (t *teller) mayEnd(s segment) (may, before bool) {
	now, d := time.Now(), direction{s.src, s.dst}
	t.mu.Lock()
	defer t.mu.Unlock()
	last, before := t.told[d]
	if now.Sub(last) < again || !t.limit.AllowN(now, 1) {
		return false, before
	}
	if len(t.told) >= maxTold {
		clear(t.told)
	}
	t.told[d] = now
	return true, before
}
