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
	for _, p := range b.parts {
		demand += p.demand
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
	out[0] += rest
	return out
}

// A purse is one worker that ceilings are granted to.
type purse struct {
	server vpn.ServerID
	epoch  string
	worker Worker
	silent bool // it did not answer of late: it keeps what it has
}

// ceilings hands the quotas' remainders out to the workers, so that each
// stops a user by itself, whether or not the control plane is there. What is
// handed out is never handed out twice: a worker's part is taken back before
// it is given to another.
type ceilings struct {
	ledger *ledger
	mu     sync.Mutex
	// granted is what each epoch's worker has agreed to. An epoch that is not
	// there was adopted: its worker still holds what an earlier control plane
	// granted, within the same quotas.
	granted map[string]map[vpn.UserID]allowance
}

// An allowance is what a worker has agreed to: to stop a user at so many
// bytes of its own count, or to go on at a pace from there.
type allowance struct{ bytes, pace uint64 }

func newCeilings(l *ledger) *ceilings {
	return &ceilings{ledger: l, granted: map[string]map[vpn.UserID]allowance{}}
}

// forget drops what was granted to an epoch that has ended.
func (c *ceilings) forget(epoch string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.granted, epoch)
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
	c.prune()
	var errs []error
	// Down first: only what a worker has given back can be given away.
	for _, raise := range []bool{false, true} {
		budgets := c.ledger.budgets(epochs)
		for i, p := range purses {
			if p.silent || !target(p) {
				continue
			}
			if err := c.set(ctx, p, c.plan(budgets, epochs, i, raise)); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// prune forgets what was granted to users who have no quota any more: their
// workers have forgotten it too.
func (c *ceilings) prune() {
	for _, g := range c.granted {
		for u := range g {
			if !c.ledger.hasQuota(u) {
				delete(g, u)
			}
		}
	}
}

// plan returns the ceilings that purse i should have and has not: those that
// rise, or those that fall.
func (c *ceilings) plan(budgets []budget, epochs []string, i int, raise bool) []vpn.Ceiling {
	var out []vpn.Ceiling
	for _, b := range budgets {
		have, known := c.granted[epochs[i]][b.user]
		want := c.want(b, epochs, i, have)
		switch {
		case !known && !raise:
			continue
		case known && raise:
			want = allowance{max(want.bytes, have.bytes), max(want.pace, have.pace)}
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

// want returns what worker i's part is.
func (c *ceilings) want(b budget, epochs []string, i int, have allowance) allowance {
	want := allowance{b.parts[i].count + b.shares()[i], b.paces()[i]}
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
		if j != i {
			have := c.granted[name][b.user]
			sum.bytes += have.bytes - min(have.bytes, b.parts[j].count)
			sum.pace += have.pace
		}
	}
	return sum
}

func (c *ceilings) set(ctx context.Context, p purse, cs []vpn.Ceiling) error {
	if len(cs) == 0 {
		return nil
	}
	counters, err := p.worker.SetCeilings(ctx, p.epoch, cs)
	if err != nil {
		return err
	}
	g := c.granted[p.epoch]
	if g == nil {
		g = map[vpn.UserID]allowance{}
		c.granted[p.epoch] = g
	}
	for _, x := range cs {
		g[x.User] = allowance{x.Bytes, x.Throttle}
	}
	c.ledger.note(p.epoch, counters)
	return nil
}
