package meter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/vpn"
)

// errCrowded is for a user who leaves no room for others.
var errCrowded error = vpn.Errorf(vpn.Denied, "the user has more than a fair part of the server's connections")

// crowdedEvery is how often the log tells of it at most.
const crowdedEvery = time.Minute

// A crowd is all connections of all users: live flows, and what some of them
// carry.
type crowd struct {
	most    int64 // 0: any number
	claimed atomic.Int64
	told    atomic.Pointer[time.Time] // when the log told of a refusal last
	log     *slog.Logger
}

// claim counts one connection more of a user's, unless the user has as many as
// are left for everybody. So one may have half of all, two may have a third
// each, and whoever comes next always finds some. The caller holds u.mu.
func (c *crowd) claim(u *user) error {
	if c.most > 0 && u.claims >= c.most-c.claimed.Load() {
		c.tell(u)
		return errCrowded
	}
	u.claims++
	c.claimed.Add(1)
	return nil
}

// release undoes claim. The caller holds u.mu.
func (c *crowd) release(u *user) {
	u.claims--
	c.claimed.Add(-1)
}

// tell logs that a user is refused.
func (c *crowd) tell(u *user) {
	now := time.Now()
	last := c.told.Load()
	if last != nil && now.Sub(*last) < crowdedEvery || !c.told.CompareAndSwap(last, &now) {
		return
	}
	c.log.Warn("a user's connections are refused: there would be too few for others",
		slog.String("user", string(u.id)), slog.Int64("has", u.claims), slog.Int64("most", c.most))
}

// Claim counts one connection more of the flow's user, for a flow that carries
// several, of which each takes a socket of the process. It returns an error of
// kind [vpn.Denied] if that leaves too few for other users. The caller gives it
// back, when it has ended, by release, which may be called more than once.
func (f *Flow) Claim() (release func(), err error) {
	u, c := f.user, &f.meter.crowd
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := c.claim(u); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		c.release(u)
	}), nil
}
