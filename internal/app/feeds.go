package app

import (
	"context"
	"iter"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// feeds tell followers what happens, when it does. Nobody is waited for: who
// does not read in time is told that something was missed, and what.
type feeds struct {
	mu   sync.Mutex
	open map[*feed]struct{}
}

// A feed is one follower's.
type feed struct {
	wake chan struct{}

	// Guarded by the feeds' mutex.
	waiting []vpn.Event
	lost    int
}

// mostWaiting is how many events a follower may be behind.
const mostWaiting = 1000

// tell hands events to everybody who follows.
func (f *feeds) tell(events ...vpn.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for x := range f.open {
		for _, e := range events {
			if len(x.waiting) == mostWaiting { // what is told after that begins anew
				x.lost, x.waiting = x.lost+len(x.waiting), nil
			}
			x.waiting = append(x.waiting, e)
		}
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

// followed reports whether anybody follows.
func (f *feeds) followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) > 0
}

// follow begins a feed.
func (f *feeds) follow() *feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[*feed]struct{}{}
	}
	x := &feed{wake: make(chan struct{}, 1)}
	f.open[x] = struct{}{}
	return x
}

func (f *feeds) end(x *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, x)
}

// take returns what waits for x, and how many events were lost before that.
func (f *feeds) take(x *feed) (events []vpn.Event, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events, lost = x.waiting, x.lost
	x.waiting, x.lost = nil, 0
	return events, lost
}

// FollowEvents returns the last events, at most so many, and then what
// happens, until ctx or the daemon ends. Beside what is in the audit log these
// are [vpn.UserLimited], [vpn.UserExpired] and the states of servers. A reader
// that is too slow is told so by a [vpn.EventsLost].
func (s *SystemInfo) FollowEvents(ctx context.Context, last int) (iter.Seq[[]vpn.Event], error) {
	if _, err := authorize(ctx, "system.events"); err != nil {
		return nil, err
	}
	if !s.reconciler.Supervising() {
		return nil, noDaemon()
	}
	feeds := s.reconciler.feeds
	mine := feeds.follow()
	context.AfterFunc(ctx, func() { feeds.end(mine) })
	var before []vpn.Event
	if last > 0 {
		var err error
		if before, err = s.Events(ctx, last); err != nil {
			feeds.end(mine)
			return nil, err
		}
	}
	told := map[event]bool{} // what was committed while the list was read comes by both ways
	for _, e := range before {
		told[same(e)] = true
	}
	return func(yield func([]vpn.Event) bool) {
		defer feeds.end(mine)
		for i, j := 0, len(before)-1; i < j; i, j = i+1, j-1 {
			before[i], before[j] = before[j], before[i]
		}
		if len(before) > 0 && !yield(before) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.Leaving:
				return
			case <-mine.wake:
			}
			events, lost := feeds.take(mine)
			batch := make([]vpn.Event, 0, 1+len(events))
			if lost > 0 {
				batch = append(batch, vpn.Event{
					At: s.Now(), Actor: System().Name, Action: vpn.EventsLost,
					Detail: plural(lost, "event") + " passed too fast for this reader: read anew what you show",
				})
			}
			for _, e := range events {
				if !told[same(e)] {
					batch = append(batch, e)
				}
			}
			if len(batch) > 0 && !yield(batch) {
				return
			}
		}
	}, nil
}

// event is what tells one from another, in the store's precision.
type event struct {
	at                             int64
	actor, action, subject, detail string
}

func same(e vpn.Event) event { return event{e.At.UnixMilli(), e.Actor, e.Action, e.Subject, e.Detail} }

// noting is an event store that notes what is added in one transaction.
type noting struct {
	EventStore
	added *[]vpn.Event
}

// Add implements [EventStore].
func (n noting) Add(e vpn.Event) error {
	err := n.EventStore.Add(e)
	if err == nil {
		*n.added = append(*n.added, e)
	}
	return err
}

// byItself is an event that nobody asked for.
func byItself(at time.Time, action, subject, detail string) vpn.Event {
	return vpn.Event{At: at, Actor: System().Name, Action: action, Subject: subject, Detail: detail}
}
