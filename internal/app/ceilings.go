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
	pace  uint64 // bytes per second once it is used up, over all workers; 0: none
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
	return b.divide(b.left)
}

// paces divides the rate beyond the quota in the same way.
func (b budget) paces() []uint64 { return b.divide(b.pace) }

func (b budget) divide(all uint64) []uint64 {
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
	even := all
	if demand > 0 && n > 1 {
		even = all / 4
	}
	for i, p := range b.parts {
		out[i] = even / n
		if demand > 0 && n > 1 {
			out[i] += uint64(float64(all-even) * (float64(p.demand) / float64(demand)) * (1 - 1e-9))
		}
	}
	// What rounding has left is somebody's too: without its last byte a quota
	// is never used up.
	rest := all
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
	turn    uint64
	allowed map[vpn.UserID]allowance // what it has agreed to
	// asked is what it was asked to hold and did not answer: it may have heard.
	asked map[vpn.UserID]allowance
	sure  bool // allowed is what it holds; else it must be read before it is told anything
}

// most returns the most that the worker may allow a user.
func (h *holding) most(u vpn.UserID) allowance { return h.allowed[u].or(h.asked[u]) }

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

// An allowance is what a worker has agreed to: to stop a user at so many
// bytes of its own count, or to go on at a pace from there.
type allowance struct{ bytes, pace uint64 }

// or returns the more of both.
func (a allowance) or(b allowance) allowance {
	return allowance{max(a.bytes, b.bytes), max(a.pace, b.pace)}
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
	allowed := make(map[vpn.UserID]allowance, len(held.Ceilings))
	for _, x := range held.Ceilings {
		allowed[x.User] = allowance{x.Bytes, x.Throttle}
	}
	// A call may still be on its way that somebody has given up. With the turn
	// that it would take gone, it comes to nothing.
	if _, err := p.worker.SetCeilings(ctx, p.epoch, vpn.Ceilings{Turn: held.Turn + 1}); err != nil {
		return err
	}
	c.held[p.epoch] = &holding{turn: held.Turn + 1, allowed: allowed, sure: true}
	c.ledger.note(p.epoch, vpn.Counters{Counters: held.Retired})
	return nil
}

// prune forgets what was granted to users who have no quota any more. Before
// they have one again each worker is told anew, with the grant that says so.
func (c *ceilings) prune() {
	for _, h := range c.held {
		for u := range h.allowed {
			if !c.ledger.hasQuota(u) {
				delete(h.allowed, u)
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
		have, known := c.held[epochs[i]].allowed[b.user]
		want := c.want(b, shares, i, have)
		switch {
		case !known && !raise:
			continue
		case known && raise:
			want = want.or(have)
		case known:
			want = allowance{min(want.bytes, have.bytes), min(want.pace, have.pace)}
		}
		if known && want == have {
			continue
		}
		if raise {
			want = c.within(want, b, epochs, i)
			if known && want.bytes <= have.bytes && want.pace <= have.pace {
				continue
			}
		}
		out = append(out, vpn.Ceiling{User: b.user, Bytes: want.bytes, Throttle: want.pace})
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
	if len(epochs) < 2 || b.pace > 0 {
		return false
	}
	var sum uint64
	for i, name := range epochs {
		h := c.held[name]
		if h == nil || !h.sure {
			return false
		}
		have, known := h.allowed[b.user]
		room := have.bytes - min(have.bytes, b.parts[i].count)
		scarce := room < fairTime*b.parts[i].demand && room < shares[i]-shares[i]/16
		if !known || have.pace > 0 || scarce || room < shares[i]/2 || shares[i] > 0 && room == 0 {
			return false
		}
		sum += min(room, vpn.MaxTraffic-sum)
	}
	return sum <= b.left
}

// want returns what worker i's part is.
func (c *ceilings) want(b budget, shares []uint64, i int, have allowance) allowance {
	want := allowance{b.parts[i].count + shares[i], b.paces()[i]}
	if b.pace > 0 {
		want.pace = max(want.pace, 1) // none would be one without a bound
	}
	if b.left == 0 && have.bytes <= b.parts[i].count {
		want.bytes = have.bytes // it is reached: nothing rises with what passes beyond it
	}
	return want
}

// within returns no more of want than the other workers leave.
func (c *ceilings) within(want allowance, b budget, epochs []string, i int) allowance {
	others := c.outstanding(b, epochs, i)
	want.bytes = min(want.bytes, b.parts[i].count+b.left-min(b.left, others.bytes))
	want.pace = min(want.pace, b.pace-min(b.pace, others.pace))
	if b.pace > 0 {
		want.pace = max(want.pace, 1)
	}
	return want
}

// outstanding returns what the workers other than i may still spend.
func (c *ceilings) outstanding(b budget, epochs []string, i int) allowance {
	var sum allowance
	for j, name := range epochs {
		if j == i {
			continue
		}
		spendable := allowance{c.first[b.user], b.pace} // whoever has not said what it holds
		if h := c.held[name]; h != nil {
			spendable = h.most(b.user)
			spendable.bytes -= min(spendable.bytes, b.parts[j].count)
		}
		sum.bytes += min(spendable.bytes, vpn.MaxTraffic-sum.bytes)
		sum.pace += min(spendable.pace, vpn.MaxTraffic-sum.pace)
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
			h.asked = map[vpn.UserID]allowance{}
		}
		for _, x := range cs {
			h.asked[x.User] = h.asked[x.User].or(allowance{x.Bytes, x.Throttle})
		}
		return err
	}
	h.turn++
	for _, x := range cs {
		h.allowed[x.User] = allowance{x.Bytes, x.Throttle}
	}
	c.ledger.note(p.epoch, counters)
	return nil
}
