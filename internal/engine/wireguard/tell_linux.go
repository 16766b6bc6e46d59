package wireguard

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// tellings is how often in a second a device is told that it may not reach
	// something, or that a connection is over, after it was told so once of as
	// many as are known.
	tellings = 100
	// repeat is how long nothing is told about the same direction of a
	// connection: what was on its way needs no answer each.
	repeat = 50 * time.Millisecond
	// maxTold bounds what is remembered of that.
	maxTold = 1024
)

// A teller says what a device may be told now. Were each of the hundreds of
// packets that were on their way answered, there would be nothing left to say
// when it matters.
type teller struct {
	limit *rate.Limiter

	mu   sync.Mutex
	told map[direction]telling
}

// A direction is one of a connection.
type direction struct{ src, dst netip.AddrPort }

// A telling is what was told in the place of a segment.
type telling struct {
	first uint32 // the sequence number of the first such
	at    time.Time
}

func newTeller() *teller {
	return &teller{limit: rate.NewLimiter(tellings, maxOpen), told: map[direction]telling{}}
}

// may reports whether something may be told.
func (t *teller) may() bool { return t.limit.Allow() }

// mayEnd reports whether that a connection is over may be told, in the place
// of a segment of it, and whether that is sent again: then it is what its
// receiver waits for.
func (t *teller) mayEnd(s segment) (may, again bool) {
	now, d := time.Now(), direction{s.src, s.dst}
	t.mu.Lock()
	defer t.mu.Unlock()
	last, told := t.told[d]
	again = told && int32(s.seq-last.first) <= 0 //nolint:gosec // sequence numbers go round (RFC 9293, section 3.4)
	if now.Sub(last.at) < repeat || !t.limit.AllowN(now, 1) {
		return false, again
	}
	if len(t.told) >= maxTold {
		clear(t.told)
	}
	if !told {
		last.first = s.seq
	}
	last.at = now
	t.told[d] = last
	return true, again
}
