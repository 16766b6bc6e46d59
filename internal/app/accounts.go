package app

import (
	"iter"
	"slices"
	"sync"

	"vpn/internal/vpn"
)

// accounts are what the [ledger] knows of users who have a quota, or have
// moved something, and which of them ceilings have to look at: of 10,000 users
// few do anything in a second.
type accounts struct {
	mu sync.Locker // the ledger's; methods lock it where they say so, and else their callers do
	of map[vpn.UserID]*account

	pending []*account   // those who have moved what is not committed
	stirred []*account   // those whom ceilings have to look at
	lapsed  []vpn.UserID // those who have lost their quota since ceilings looked last
	reading uint64       // counts the readings of quotas
}

// An account is what is known of one user.
type account struct {
	user    vpn.UserID
	pending vpn.Traffic // observed and not committed
	// quota is as the store had it when it was last read; its User is empty if
	// there is none. Used changes only by commits, which go through the ledger,
	// so Quota - Used - pending is exact.
	quota   Quota
	read    uint64   // which reading of the quotas that was
	tallies []*tally // by the epochs that have counted the user

	stirs   uint64 // counts what ceilings may have to follow
	stirred bool   // it is one of accounts.stirred
	seen    bool   // by ceilings, and so they saw it last:
	left    uint64
	pace    uint64
}

// A tally is what one epoch has counted of one user, and seen of late.
type tally struct {
	epoch *epochCount
	of    *account
	total uint64   // the worker's own count, up and down
	rate  vpn.Rate // in that round of the epoch
	round uint64
	conns int    // live ones
	dry   uint64 // the answer that said that a ceiling was in the way of late
}

// latest returns the rate of late.
func (t *tally) latest() vpn.Rate {
	if t.round != t.epoch.round {
		return vpn.Rate{}
	}
	return t.rate
}

// limited reports whether the user has a quota.
func (a *account) limited() bool { return a != nil && a.quota.User != "" }

// remainder returns what is left of the quota.
func (a *account) remainder() uint64 {
	return a.quota.Quota - min(a.quota.Quota, a.quota.Used.Add(a.pending).Total())
}

// account returns a user's account.
func (x *accounts) account(u vpn.UserID) *account {
	a := x.of[u]
	if a == nil {
		a = &account{user: u}
		x.of[u] = a
	}
	return a
}

// stir makes ceilings look at an account.
func (x *accounts) stir(a *account) {
	a.stirs++
	if !a.stirred {
		a.stirred = true
		x.stirred = append(x.stirred, a)
	}
}

// add notes what a user has moved.
func (x *accounts) add(a *account, moved vpn.Traffic) {
	if a.pending == (vpn.Traffic{}) {
		x.pending = append(x.pending, a)
	}
	a.pending = a.pending.Add(moved)
}

// committed notes that the store has what users have moved.
func (x *accounts) committed() {
	for _, a := range x.pending {
		a.pending = vpn.Traffic{}
	}
	x.pending = x.pending[:0]
}

// read takes the quotas as the store has them.
func (x *accounts) read(quotas []Quota) {
	x.reading++
	for _, q := range quotas {
		a := x.account(q.User)
		a.quota, a.read = q, x.reading
		if !a.seen || a.remainder() != a.left || q.Throttle != a.pace {
			x.stir(a)
		}
	}
	for u, a := range x.of {
		if a.read == x.reading {
			continue
		}
		if a.limited() {
			a.quota, a.seen = Quota{}, false
			x.lapsed = append(x.lapsed, u)
		}
		if len(a.tallies) == 0 && a.pending == (vpn.Traffic{}) {
			delete(x.of, u)
		}
	}
}

// exhausted reports whether somebody has used up a quota by what is pending.
func (x *accounts) exhausted() bool {
	return slices.ContainsFunc(x.pending, func(a *account) bool {
		return a.limited() && a.quota.Used.Total() < a.quota.Quota && a.remainder() == 0
	})
}

// budgets returns, for each user with a quota who was stirred since ceilings
// were calm about it, or for all, what is left of it and what each of the
// epochs has counted and moved of late. It locks.
func (x *accounts) budgets(epochs []string, all bool) []budget {
	x.mu.Lock()
	defer x.mu.Unlock()
	of := x.stirred
	if all {
		of = make([]*account, 0, len(x.of))
		for _, a := range x.of {
			of = append(of, a)
		}
	}
	out := make([]budget, 0, len(of))
	parts := make([]part, len(of)*len(epochs))
	for _, a := range of {
		if a.limited() {
			n := len(out) * len(epochs)
			out = append(out, a.budget(epochs, parts[n:n+len(epochs)]))
		}
	}
	return out
}

// again brings budgets up to date. It locks.
func (x *accounts) again(epochs []string, bs []budget) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, b := range bs {
		clear(b.parts)
		bs[i] = b.account.budget(epochs, b.parts)
	}
}

func (a *account) budget(epochs []string, parts []part) budget {
	a.seen, a.left, a.pace = true, a.remainder(), a.quota.Throttle
	for _, t := range a.tallies {
		i := slices.Index(epochs, t.epoch.name)
		if i < 0 {
			continue
		}
		r := t.latest()
		parts[i] = part{count: t.total, demand: r.Up + r.Down}
		if t.dry == t.epoch.answers {
			// What it would have moved is not known: a good deal.
			parts[i].demand = max(parts[i].demand, dryDemand)
		}
	}
	return budget{user: a.user, left: a.left, pace: a.pace, parts: parts, account: a, stirs: a.stirs}
}

// calm says about whom nothing is to be done until they are stirred again. It
// locks.
func (x *accounts) calm(inOrder []budget) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, b := range inOrder {
		if b.stirs == b.account.stirs {
			b.account.stirred = false
		}
	}
	x.stirred = slices.DeleteFunc(x.stirred, func(a *account) bool {
		a.stirred = a.stirred && a.limited()
		return !a.stirred
	})
}

// takeLapsed returns the users who have lost their quota since the last call,
// and have none now. It locks.
func (x *accounts) takeLapsed() []vpn.UserID {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := slices.DeleteFunc(x.lapsed, func(u vpn.UserID) bool { return x.of[u].limited() })
	x.lapsed = nil
	return out
}

// unlimited returns those who have no quota. It locks.
func (x *accounts) unlimited(us iter.Seq[vpn.UserID]) (out []vpn.UserID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for u := range us {
		if !x.of[u].limited() {
			out = append(out, u)
		}
	}
	return out
}
