package inbound

import (
	"sync"
	"time"
)

const (
	// IdleTunnel leaves the end of a silent tunnel to TCP keepalive: in it
	// are the push services of phones, silent for half an hour at a time.
	IdleTunnel = 24 * time.Hour
	// ThinkTime is how long a destination may be silent after a client has
	// sent its last: it may have much to think about.
	ThinkTime = 30 * time.Second
	// Linger is how long one direction may be silent after the other ended.
	Linger = time.Second
)

// An Idler ends what has not moved for a whole period. It looks once per
// period, so that it costs nothing while bytes move.
type Idler struct {
	moved  func() uint64 // a count that changes when something moves
	expire func()        // called once

	mu     sync.Mutex
	period time.Duration
	since  time.Time // beginning of this period,
	last   uint64    // and moved then
	timer  *time.Timer
	over   bool
}

// NewIdler watches moved, a count that changes when something moves, and calls
// expire once when it has not for a whole period. The caller must Stop it.
func NewIdler(period time.Duration, moved func() uint64, expire func()) *Idler {
	i := &Idler{moved: moved, expire: expire, period: period, since: time.Now(), last: moved()}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timer = time.AfterFunc(period, i.look)
	return i
}

func (i *Idler) look() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return
	}
	if left := i.period - time.Since(i.since); left > 0 {
		i.timer.Reset(left) // the period changed while the timer fired
		return
	}
	moved := i.moved()
	if moved == i.last {
		i.over = true
		i.expire()
		return
	}
	i.begin(moved)
}

func (i *Idler) begin(moved uint64) {
	i.since, i.last = time.Now(), moved
	i.timer.Reset(i.period)
}

// Within changes the period from now on. After [Linger] there is no other.
func (i *Idler) Within(period time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || i.period == Linger {
		return
	}
	i.period = period
	i.begin(i.moved())
}

// Stop is the end of watching.
func (i *Idler) Stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	i.timer.Stop()
}
