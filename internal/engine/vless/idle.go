package vless

import (
	"sync"
	"time"
)

const (
	idleStream  = 5 * time.Minute
	idlePackets = 2 * time.Minute // what RFC 4787 asks of a NAT, at least
	// idleSpliced leaves the end of a silent connection to TCP keepalive: in
	// it are the push services of phones, silent for half an hour at a time.
	idleSpliced = 24 * time.Hour
	// linger is how long one direction may be silent after the other ended.
	linger = time.Second
)

// An idler ends what has not moved for a whole period. It looks once per
// period, so that it costs nothing while bytes move.
type idler struct {
	moved  func() uint64 // a count that changes when something moves
	expire func()        // called once

	mu     sync.Mutex
	period time.Duration
	since  time.Time // beginning of this period,
	last   uint64    // and moved then
	timer  *time.Timer
	over   bool
}

func newIdler(period time.Duration, moved func() uint64, expire func()) *idler {
	i := &idler{moved: moved, expire: expire, period: period, since: time.Now(), last: moved()}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timer = time.AfterFunc(period, i.look)
	return i
}

func (i *idler) look() {
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

func (i *idler) begin(moved uint64) {
	i.since, i.last = time.Now(), moved
	i.timer.Reset(i.period)
}

// within changes the period from now on. After linger there is no other.
func (i *idler) within(period time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || i.period == linger {
		return
	}
	i.period = period
	i.begin(i.moved())
}

// stop is the end of watching.
func (i *idler) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	i.timer.Stop()
}
