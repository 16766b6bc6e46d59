package app

import (
	"context"
	"errors"
	"maps"
	"slices"
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

	account *account
	stirs   uint64 // of the account, as of then
	inOrder bool   // every worker has what it should have
}

// quiet reports whether the user does nothing now.
func (b *budget) quiet() bool {
	for i := range b.parts {
		if b.parts[i].demand > 0 {
			return false
		}
	}
	return true
}

type part struct {
	count  uint64 // the worker's own count of the user
	demand uint64 // bytes per second
}

// shares divides what is left among the workers: a quarter evenly, so that a
// user may begin anywhere, the rest by demand. Their sum is never more than
// what is left.
func (b *budget) shares(into []uint64) []uint64 {
	return b.divide(b.left, into)
}

// paces divides the rate beyond the quota in the same way.
func (b *budget) paces(into []uint64) []uint64 { return b.divide(b.pace, into) }

// divide appends the parts to into.
func (b *budget) divide(all uint64, into []uint64) []uint64 {
	n := uint64(len(b.parts))
	out := slices.Grow(into, int(n))[len(into) : len(into)+int(n)]
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
		if p.demand > 0 && n > 1 {
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

// allowance returns what the worker has agreed to, and whether it has.
func (h *holding) allowance(u vpn.UserID) (a allowance, known bool) {
	a, known = h.allowed[u]
	return a, known
}

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

	// purses are those that every user was looked at with: with others, all
	// must be looked at again.
	purses []standing
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
	accounts := &c.ledger.accounts
	if c.first == nil {
		c.first = map[vpn.UserID]uint64{}
		for _, b := range accounts.budgets(nil, true) {
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
	for _, u := range accounts.takeLapsed() {
		for _, h := range c.held {
			delete(h.allowed, u)
		}
	}
	r := c.round(purses, target)
	bs := accounts.budgets(r.epochs, !slices.Equal(r.purses, c.purses))
	before := c.purses
	c.purses = nil // look at all, unless this goes well
	// Down first: only what a worker has given back can be given away.
	todo := r.lower(bs)
	errs = append(errs, c.set(ctx, purses, r.out)...)
	if len(todo) > 0 {
		accounts.again(r.epochs, todo)
		r.raise(todo)
		errs = append(errs, c.set(ctx, purses, r.out)...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if r.partly { // there will be another round soon
		c.purses = before
		return nil
	}
	c.purses = r.purses
	accounts.calm(slices.DeleteFunc(bs, func(b budget) bool { return !b.inOrder || !b.quiet() }))
	return nil
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
	// What was granted to users who have no quota any more counts no more:
	// before they have one again each worker is told anew, with the grant that
	// says so.
	for _, u := range c.ledger.accounts.unlimited(maps.Keys(allowed)) {
		delete(allowed, u)
	}
	c.held[p.epoch] = &holding{turn: held.Turn + 1, allowed: allowed, sure: true}
	c.purses = nil
	c.ledger.note(p.epoch, vpn.Counters{Counters: held.Retired})
	return nil
}

// set tells each purse what is new for it.
func (c *ceilings) set(ctx context.Context, purses []purse, news [][]vpn.Ceiling) (errs []error) {
	for i, p := range purses {
		cs := news[i]
		if len(cs) == 0 {
			continue
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
			errs = append(errs, err)
			continue
		}
		h.turn++
		for _, x := range cs {
			h.allowed[x.User] = allowance{x.Bytes, x.Throttle}
		}
		c.ledger.note(p.epoch, counters)
	}
	return errs
}
