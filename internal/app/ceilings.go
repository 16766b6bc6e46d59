package app

import (
	"context"
	"errors"
	"sync"

	"vpn/internal/vpn"
)

// A budget is what is left of one user's quota, and how it was used of late
// on each of the workers that may spend it.
type budget struct {
	user  vpn.UserID
	left  uint64
	parts []part
}

type part struct {
	count  uint64 // the worker's own count of the user
	demand uint64 // bytes per second
}

// shares divides what is left among the workers: a quarter evenly, so that a
// user may begin anywhere, the rest by demand. Their sum is never more than
// what is left.
func (b budget) shares() []uint64 {
	n := uint64(len(b.parts))
	out := make([]uint64, n)
	if n == 0 {
		return out
	}
	var demand uint64
	most := 0 // who wants most
	for i, p := range b.parts {
		demand += p.demand
		if p.demand > b.parts[most].demand {
			most = i
		}
	}
	even := b.left
	if demand > 0 && n > 1 {
		even = b.left / 4
	}
	for i, p := range b.parts {
		out[i] = even / n
		if demand > 0 && n > 1 {
			out[i] += uint64(float64(b.left-even) * (float64(p.demand) / float64(demand)) * (1 - 1e-9))
		}
	}
	// What rounding has left is somebody's too: without its last byte a quota
	// is never used up.
	rest := b.left
	for _, share := range out {
		rest -= share
	}
	out[most] += rest
	return out
}

// A purse is one worker that ceilings are granted to.
type purse struct {
	server vpn.ServerID
	epoch  string // empty: a worker that an earlier control plane has left and that has not answered yet
	worker Worker
	silent bool // it did not answer of late: it keeps what it has
}

// A holding is what one epoch's worker may spend, as far as is known here.
type holding struct {
	turn  uint64
	bytes map[vpn.UserID]uint64 // what it has agreed to
	// asked is what it was asked to hold and did not answer: it may have heard.
	asked map[vpn.UserID]uint64
	sure  bool // bytes is what it holds; else it must be read before it is told anything
}

// most returns the highest ceiling that the worker may have for a user.
func (h *holding) most(u vpn.UserID) uint64 { return max(h.bytes[u], h.asked[u]) }

// ceilings hands the quotas' remainders out to the workers, so that each
// stops a user by itself, whether or not the control plane is there. What is
// handed out is never handed out twice: a worker's part is taken back before
// it is given to another, and what a worker may hold counts as held until it
// has said otherwise or has ended.
type ceilings struct {
	ledger *ledger
	mu     sync.Mutex
	held   map[string]*holding // by epoch
	// first is what was left of the quotas when this control plane began: more
	// cannot be in the hands of a worker that an earlier one has left.
	first map[vpn.UserID]uint64
}

func newCeilings(l *ledger) *ceilings {
	return &ceilings{ledger: l, held: map[string]*holding{}}
}

// forget drops what was granted to an epoch that has ended.
func (c *ceilings) forget(epoch string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, epoch)
}

// hear takes the turn that an epoch's worker says to be at. If that is beyond
// what is known here, a call has reached it that nobody waited for.
func (c *ceilings) hear(epoch string, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[epoch]; h != nil && turn > h.turn {
		h.sure = false
	}
}

// renew divides what is left of every quota among the purses, anew. Only the
// purses that target holds true for are called; the others keep what they
// have.
func (c *ceilings) renew(ctx context.Context, purses []purse, target func(purse) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	epochs := make([]string, len(purses))
	for i, p := range purses {
		epochs[i] = p.epoch
	}
	if c.first == nil {
		c.first = map[vpn.UserID]uint64{}
		for _, b := range c.ledger.budgets(nil) {
			c.first[b.user] = b.left
		}
	}
	var errs []error
	for _, p := range purses {
		if p.epoch == "" || p.silent {
			continue
		}
		if err := c.read(ctx, p); err != nil && target(p) {
			errs = append(errs, err)
		}
	}
	c.prune()
	// Down first: only what a worker has given back can be given away.
	for _, raise := range []bool{false, true} {
		budgets := c.ledger.budgets(epochs)
		for i, p := range purses {
			if h := c.held[p.epoch]; p.silent || h == nil || !h.sure || !target(p) {
				continue
			}
			if err := c.set(ctx, p, c.plan(budgets, epochs, i, raise)); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// read asks a worker what it holds, unless that is known.
func (c *ceilings) read(ctx context.Context, p purse) error {
	h := c.held[p.epoch]
	if h != nil && h.sure {
		return nil
	}
	held, err := p.worker.Ceilings(ctx)
	if err != nil {
		return err
	}
	bytes := make(map[vpn.UserID]uint64, len(held.Ceilings))
	for _, x := range held.Ceilings {
		bytes[x.User] = x.Bytes
	}
	// A call may still be on its way that somebody has given up. With the turn
	// that it would take gone, it comes to nothing.
	if _, err := p.worker.SetCeilings(ctx, p.epoch, vpn.Ceilings{Turn: held.Turn + 1}); err != nil {
		return err
	}
	c.held[p.epoch] = &holding{turn: held.Turn + 1, bytes: bytes, sure: true}
	c.ledger.note(p.epoch, held.Retired)
	return nil
}

// prune forgets what was granted to users who have no quota any more. Before
// they have one again each worker is told anew, with the grant that says so.
func (c *ceilings) prune() {
	for _, h := range c.held {
		for u := range h.bytes {
			if !c.ledger.hasQuota(u) {
				delete(h.bytes, u)
			}
		}
	}
}

// plan returns the ceilings that purse i should have and has not: those that
// rise, or those that fall.
func (c *ceilings) plan(budgets []budget, epochs []string, i int, raise bool) []vpn.Ceiling {
	var out []vpn.Ceiling
	for _, b := range budgets {
		shares := b.shares()
		if c.fair(b, shares, epochs) {
			continue
		}
		want := b.parts[i].count + shares[i]
		have, known := c.held[epochs[i]].bytes[b.user]
		if known && (want == have || (want > have) != raise) {
			continue
		}
		if !known && !raise {
			continue
		}
		if raise {
			// Never beyond what the others leave.
			want = min(want, b.parts[i].count+b.left-min(b.left, c.outstanding(b, epochs, i)))
			if known && want <= have {
				continue
			}
		}
		out = append(out, vpn.Ceiling{User: b.user, Bytes: want})
	}
	return out
}

// fairTime is for how many seconds of what a user moves a part must last that
// is less than it should be.
const fairTime = 3

// fair reports whether several workers have about what they should have: each
// half of it at least, or all if it would not last for some seconds, and
// together no more than is left. What is fair is left alone, or every byte
// that moves would move all the ceilings.
func (c *ceilings) fair(b budget, shares []uint64, epochs []string) bool {
	if len(epochs) < 2 {
		return false
	}
	var sum uint64
	for i, name := range epochs {
		h := c.held[name]
		if h == nil || !h.sure {
			return false
		}
		have, known := h.bytes[b.user]
		room := have - min(have, b.parts[i].count)
		scarce := room < fairTime*b.parts[i].demand && room < shares[i]-shares[i]/16
		if !known || scarce || room < shares[i]/2 || shares[i] > 0 && room == 0 {
			return false
		}
		sum += min(room, vpn.MaxTraffic-sum)
	}
	return sum <= b.left
}

// outstanding returns what the workers other than i may still spend.
func (c *ceilings) outstanding(b budget, epochs []string, i int) uint64 {
	var sum uint64
	for j, name := range epochs {
		if j == i {
			continue
		}
		spendable := c.first[b.user] // whoever has not said what it holds
		if h := c.held[name]; h != nil {
			have := h.most(b.user)
			spendable = have - min(have, b.parts[j].count)
		}
		sum += min(spendable, vpn.MaxTraffic-sum)
	}
	return sum
}

func (c *ceilings) set(ctx context.Context, p purse, cs []vpn.Ceiling) error {
	if len(cs) == 0 {
		return nil
	}
	h := c.held[p.epoch]
	counters, err := p.worker.SetCeilings(ctx, p.epoch, vpn.Ceilings{Turn: h.turn + 1, Ceilings: cs})
	if err != nil {
		h.sure = false
		if h.asked == nil {
			h.asked = map[vpn.UserID]uint64{}
		}
		for _, x := range cs {
			h.asked[x.User] = max(h.asked[x.User], x.Bytes)
		}
		return err
	}
	h.turn++
	for _, x := range cs {
		h.bytes[x.User] = x.Bytes
	}
	c.ledger.note(p.epoch, counters.Counters)
	return nil
}
