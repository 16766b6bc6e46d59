package meter

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// minBurst is what passes at once at low rates: the largest datagram.
	minBurst = 64 << 10
	// burstTime is what passes at once at higher ones.
	burstTime = 50 * time.Millisecond
)

// A bucket holds one direction of a user to a rate. The nil bucket is no
// limit.
//
// Streams take turns, a part of the burst at a time, so that each gets its
// share and no more than one part is ever reserved ahead. So a datagram,
// which cannot wait, never stands behind more than that: it passes if the
// bucket is overdrawn by less than half a burst, and the streams wait longer.
type bucket struct {
	limiter *rate.Limiter
	turn    chan struct{} // holds one value while a stream waits for tokens
	timer   *time.Timer   // of the stream whose turn it is

	mu      sync.Mutex
	changed chan struct{} // closed when the rate changes
	waited  time.Duration // for tokens, in all
	since   time.Time     // a stream waits since then; zero: none does
}

// set changes the rate of b in bytes per second, for those who wait too, and
// returns the bucket to use from now on.
func (b *bucket) set(bytes uint64) *bucket {
	if b == nil {
		if bytes == 0 {
			return nil
		}
		t := time.NewTimer(0)
		t.Stop()
		return &bucket{
			limiter: rate.NewLimiter(rate.Limit(bytes), burst(bytes)),
			turn:    make(chan struct{}, 1),
			timer:   t,
			changed: make(chan struct{}),
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes == 0 {
		b.limiter.SetLimit(rate.Inf)
	} else {
		b.limiter.SetLimit(rate.Limit(bytes))
		b.limiter.SetBurst(burst(bytes))
	}
	close(b.changed)
	b.changed = make(chan struct{})
	if bytes == 0 {
		return nil
	}
	return b
}

func burst(bytes uint64) int {
	const perSecond = uint64(time.Second / burstTime)
	return int(max(minBurst, min(bytes/perSecond, 1<<30)))
}

// wait returns how many of n bytes may pass now: a part of a burst at most. It
// returns an error when ctx has ended, and anything when end is closed.
func (b *bucket) wait(ctx context.Context, end <-chan struct{}, n int) (int, error) {
	for {
		select {
		case b.turn <- struct{}{}:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-end:
			return n, nil
		}
		got, err := b.waitPart(ctx, end, n)
		<-b.turn
		if got > 0 || err != nil {
			return got, err
		}
	}
}

// waitPart waits for a part of n, and returns how large it is: nothing when
// the rate has changed meanwhile. It is the caller's turn.
func (b *bucket) waitPart(ctx context.Context, end <-chan struct{}, n int) (int, error) {
	b.mu.Lock()
	changed := b.changed
	b.mu.Unlock()
	n = min(n, b.limiter.Burst()/4)
	now := time.Now()
	r := b.limiter.ReserveN(now, n)
	delay := r.DelayFrom(now)
	if delay == 0 {
		return n, nil
	}
	b.pause(now)
	defer b.pause(time.Time{})
	b.timer.Reset(delay)
	defer b.timer.Stop()
	select {
	case <-b.timer.C:
		return n, nil
	case <-changed:
		r.Cancel()
		return 0, nil
	case <-ctx.Done():
		r.Cancel()
		return 0, ctx.Err()
	case <-end:
		r.Cancel()
		return n, nil
	}
}

// take reports whether a datagram of n bytes may pass now.
func (b *bucket) take(n int) bool {
	if b == nil {
		return true
	}
	now := time.Now()
	r := b.limiter.ReserveN(now, n)
	if !r.OK() {
		return false
	}
	overdraft := time.Duration(float64(b.limiter.Burst()/2) / float64(b.limiter.Limit()) * float64(time.Second))
	if r.DelayFrom(now) > overdraft {
		r.CancelAt(now)
		// It would have waited for as long as it takes to pass.
		b.mu.Lock()
		b.waited += time.Duration(float64(n) / float64(b.limiter.Limit()) * float64(time.Second))
		b.mu.Unlock()
		return false
	}
	return true
}

// pause notes that a stream begins to wait, or that it has waited if since is
// zero.
func (b *bucket) pause(since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.since.IsZero() {
		b.waited += time.Since(b.since)
	}
	b.since = since
}

// wanting returns for how long it was waited for tokens until now: what says
// whether the rate is what holds a user up.
func (b *bucket) wanting() time.Duration {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return b.waited
	}
	return b.waited + time.Since(b.since)
}
