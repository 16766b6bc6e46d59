package inbound

import "time"

const (
	// reclaimEvery is the shortest time between two times that memory is
	// given back: it stops the program for some milliseconds.
	reclaimEvery = 30 * time.Second
	// reclaimFrom is the smallest fall in connections that is worth it: about
	// 7 MB.
	reclaimFrom = 100
)

// A reclaimer gives memory back to the system when the number of connections
// has fallen a lot: the Go runtime by itself keeps much of it for minutes.
// Its caller holds a lock.
type reclaimer struct {
	free  func()
	peak  int       // since memory was given back
	at    time.Time // when that was, or will be
	timer *time.Timer
}

func (r *reclaimer) grown(n int) { r.peak = max(r.peak, n) }

func (r *reclaimer) shrunk(n int) {
	if r.peak-n < max(reclaimFrom, r.peak/2) {
		return
	}
	r.peak = n
	now := time.Now()
	if now.Before(r.at) {
		return // it will be soon
	}
	if r.at = r.at.Add(reclaimEvery); r.at.Before(now) {
		r.at = now
	}
	r.timer = time.AfterFunc(r.at.Sub(now), r.free)
}

func (r *reclaimer) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
