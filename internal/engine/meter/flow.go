package meter

import (
	"context"
	"net/netip"
	"sync"
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
	since      time.Time
	cut        func(error)
	done       chan struct{} // closed when err is set

	// guarded by user.mu
	err     error // why it has ended: set once
	closed  bool
	traffic vpn.Traffic
	splice  *splice
}

// Wait asks for n bytes of a stream to pass. It waits as long as the user's
// rate demands, counts them, and returns n; or fewer, when the user's ceiling
// lets no more pass: then the user is being cut, and the next call fails.
// Over all flows of a user exactly as many bytes pass as the ceiling says.
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
	if b := u.buckets[d]; b != nil && f.err == nil {
		u.mu.Unlock()
		if err := b.wait(ctx, f.done, n); err != nil {
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
// the ceiling leaves less than n, in which case the user is cut. It never
// blocks.
func (f *Flow) Take(d Direction, n int) bool {
	u := f.user
	u.mu.Lock()
	ok, cut := f.passWhole(d, uint64(max(n, 0)))
	u.mu.Unlock()
	f.hangUp(cut)
	return ok
}

// MaySplice reports whether the kernel may move the bytes of this flow,
// unseen by Wait: its user has no rate limit.
func (f *Flow) MaySplice() bool {
	f.user.mu.Lock()
	defer f.user.mu.Unlock()
	return f.err == nil && f.user.limits.rate == [2]uint64{}
}

// Splice says that from now on the kernel moves bytes of this flow. poll
// returns how many it has moved so far, apart from those that Wait and Take
// see; a total that falls is taken for the highest so far. It is called when
// counters are read, each 100 ms while the user has a ceiling, and a last
// time by Close; never by two goroutines at once, and not after Close has
// returned. It must not block and must not call the flow's methods.
//
// If the user has a rate limit by now, the flow is cut. A second call
// replaces poll; the new one counts from zero again.
func (f *Flow) Splice(poll func() vpn.Traffic) {
	s := &splice{read: poll}
	m, u := f.meter, f.user
	m.mu.Lock()
	u.mu.Lock()
	if f.closed {
		u.mu.Unlock()
		m.mu.Unlock()
		return
	}
	old := f.splice
	f.splice = s
	m.spliced[f] = struct{}{}
	var cut []*Flow
	if u.limits.rate != [2]uint64{} && f.err == nil {
		f.end(errRate)
		cut = []*Flow{f}
	}
	u.mu.Unlock()
	m.mu.Unlock()
	f.hangUp(cut)
	if old != nil {
		old.poll(f, true)
	}
}

// Close ends the flow and folds its last count in. A second call does
// nothing.
func (f *Flow) Close() {
	m, u := f.meter, f.user
	u.mu.Lock()
	if f.closed {
		u.mu.Unlock()
		return
	}
	f.closed = true
	if f.err == nil {
		f.end(errClosed)
	}
	s := f.splice
	u.mu.Unlock()
	if s != nil {
		s.poll(f, true)
		m.mu.Lock()
		delete(m.spliced, f)
		m.mu.Unlock()
	}
	u.mu.Lock()
	f.credential.open--
	u.mu.Unlock()
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
	case n > u.room():
		return false, u.sever(nil, errCeiling, anyFlow)
	case !u.buckets[d].take(int(n)):
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
	f.add(t)
}

func (f *Flow) add(t vpn.Traffic) {
	f.traffic = f.traffic.Add(t)
	f.credential.traffic = f.credential.traffic.Add(t)
	f.user.used = min(f.user.used+t.Total(), vpn.MaxTraffic)
}

// spent severs all flows of the user if the ceiling has been reached.
func (f *Flow) spent() []*Flow {
	if f.user.room() > 0 {
		return nil
	}
	return f.user.sever(nil, errCeiling, anyFlow)
}

// hangUp ends flows in their own goroutine, for callers that move bytes: they
// must not wait for other flows' ends. No lock is held.
func (f *Flow) hangUp(cut []*Flow) {
	if len(cut) > 0 {
		go f.meter.hangUp(cut)
	}
}

// poll counts what the kernel has moved since the last time.
func (f *Flow) poll() {
	f.user.mu.Lock()
	s := f.splice
	f.user.mu.Unlock()
	s.poll(f, false)
}

// A splice is bytes moved by the kernel.
type splice struct {
	mu   sync.Mutex // held while read runs; before user.mu
	read func() vpn.Traffic
	seen vpn.Traffic
	over bool // read must not be called again
}

func (s *splice) poll(f *Flow, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over = last
	moved := s.read().Since(s.seen)
	s.seen = s.seen.Add(moved)
	f.user.mu.Lock()
	f.add(moved)
	cut := f.spent()
	f.user.mu.Unlock()
	f.hangUp(cut)
}
