package meter

import (
	"context"
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// Direction is the way that bytes go, as the user sees it.
type Direction int

// The directions.
const (
	Up   Direction = iota // from the user
	Down                  // to the user
)

// A Flow is one connection, or one datagram association, of a credential.
// Its methods may be called concurrently.
type Flow struct {
	meter      *Meter
	user       *user
	credential *credential
	id         uint64
	source     netip.AddrPort
	network    string
	device     *device // set when it is admitted
	since      time.Time
	cut        func(error)
	done       chan struct{} // closed when err is set

	// guarded by user.mu
	err     error // why it has ended: set once
	traffic vpn.Traffic
}

// Wait asks for n bytes of a stream to pass, n being more than none. It waits
// as long as the user's rate demands, counts what may pass now, and returns
// how many bytes that is: fewer than n when the rate grants them in parts, or
// when the user's ceiling lets no more pass; then the user is being cut, and
// the next call fails. Over all flows of a user exactly as many bytes pass as
// the ceiling says. Beyond it they pass at the rate of the user's throttle, if
// there is one.
//
// It returns an error, and has counted nothing, when the flow was cut or
// closed or ctx has ended, at once if that happens while it waits. The caller
// passes on what Wait returned, and no more.
func (f *Flow) Wait(ctx context.Context, d Direction, n int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	u := f.user
	u.mu.Lock()
	if b := u.buckets[d]; b != nil && f.err == nil && n > 0 {
		u.mu.Unlock()
		var err error
		if n, err = b.wait(ctx, f.done, n); err != nil {
			return 0, err
		}
		u.mu.Lock()
	}
	if n > 0 && f.err == nil && u.room() == 0 && u.throttled() {
		b := u.brake()
		u.mu.Unlock()
		var err error
		if n, err = b.wait(ctx, f.done, n); err != nil {
			return 0, err
		}
		u.mu.Lock()
	}
	n, err := f.pass(d, n)
	cut := f.spent()
	u.mu.Unlock()
	f.hangUp(cut)
	return n, err
}

// Take asks for a datagram of n bytes to pass, and counts it, or says that it
// must be dropped: the flow has ended, the user's rate is used up for now, or
// the ceiling leaves less than n, in which case the user is cut unless there
// is a throttle. It never blocks.
func (f *Flow) Take(d Direction, n int) bool {
	u := f.user
	u.mu.Lock()
	ok, cut := f.passWhole(d, uint64(max(n, 0)))
	u.mu.Unlock()
	f.hangUp(cut)
	return ok
}

// TakeSome is Take for each of some datagrams of so many bytes, one after the
// other until one must be dropped. It returns how many may pass.
func (f *Flow) TakeSome(d Direction, sizes []int) (n int) {
	total := uint64(0)
	for _, size := range sizes {
		total += uint64(max(size, 0))
	}
	u := f.user
	u.mu.Lock()
	var cut []*Flow
	if f.err == nil && u.buckets[d] == nil && total <= u.room() { // as nearly always
		f.count(d, total)
		n, cut = len(sizes), f.spent()
	}
	for n < len(sizes) {
		ok, gone := f.passWhole(d, uint64(max(sizes[n], 0)))
		cut = append(cut, gone...)
		if !ok {
			break
		}
		n++
	}
	u.mu.Unlock()
	f.hangUp(cut)
	return n
}

// Close ends the flow. A second call does nothing.
func (f *Flow) Close() {
	f.user.mu.Lock()
	defer f.user.mu.Unlock()
	if f.err == nil {
		f.end(errClosed)
	}
}

// end makes the flow refuse all that comes. The caller holds user.mu, as for
// all that follow.
func (f *Flow) end(why error) {
	f.err = why
	close(f.done)
	f.user.leave(f)
}

// pass counts as many of n bytes as may pass.
func (f *Flow) pass(d Direction, n int) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if n <= 0 {
		return 0, nil
	}
	got := min(uint64(n), f.user.room())
	if got == 0 && f.user.throttled() {
		got = uint64(n) // which has passed the brake
	}
	if got == 0 {
		return 0, errCeiling
	}
	f.count(d, got)
	return int(got), nil
}

// passWhole counts n bytes if all of them may pass now, and returns the flows
// that it severed if the ceiling is in the way.
func (f *Flow) passWhole(d Direction, n uint64) (bool, []*Flow) {
	switch u := f.user; {
	case f.err != nil:
		return false, nil
	case n > u.room() && !u.throttled():
		u.dry = time.Now()
		return false, u.sever(nil, errCeiling, anyFlow)
	case !u.buckets[d].take(int(n)):
		return false, nil
	case n > u.room() && !u.brake().take(int(n)):
		return false, nil
	}
	f.count(d, n)
	return true, f.spent()
}

// count adds to every total that f is part of.
func (f *Flow) count(d Direction, n uint64) {
	t := vpn.Traffic{Up: n}
	if d == Down {
		t = vpn.Traffic{Down: n}
	}
	f.traffic = f.traffic.Add(t)
	f.credential.traffic = f.credential.traffic.Add(t)
	f.user.used = min(f.user.used+n, vpn.MaxTraffic)
	f.device.active = f.meter.activity.Load()
}

// spent severs all flows of the user if the ceiling has been reached.
func (f *Flow) spent() []*Flow {
	if !f.user.spent() {
		return nil
	}
	f.user.dry = time.Now()
	return f.user.sever(nil, errCeiling, anyFlow)
}

// hangUp ends flows in their own goroutine, for callers that move bytes: they
// must not wait for other flows' ends. No lock is held.
func (f *Flow) hangUp(cut []*Flow) {
	if len(cut) > 0 {
		go f.meter.hangUp(cut)
	}
}
