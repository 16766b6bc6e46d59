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
	for _, p := range b.parts {
		demand += p.demand
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
	granted map[string]map[vpn.UserID]uint64
}

func newCeilings(l *ledger) *ceilings {
	return &ceilings{ledger: l, granted: map[string]map[vpn.UserID]uint64{}}
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
		want := b.parts[i].count + b.shares()[i]
		have, known := c.granted[epochs[i]][b.user]
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

// outstanding returns what the workers other than i may still spend.
func (c *ceilings) outstanding(b budget, epochs []string, i int) uint64 {
	var sum uint64
	for j, name := range epochs {
		if j != i {
			have := c.granted[name][b.user]
			sum += have - min(have, b.parts[j].count)
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
		g = map[vpn.UserID]uint64{}
		c.granted[p.epoch] = g
	}
	for _, x := range cs {
		g[x.User] = x.Bytes
	}
	c.ledger.note(p.epoch, counters.Counters)
	return nil
}
