package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// A ledger holds what workers have counted and the store has not been told
// yet. Workers hold the truth between commits: a control plane that dies with
// a full ledger loses nothing, since the next one asks the workers again and
// the store knows how much of each epoch it has seen.
type ledger struct {
	store Store
	now   func() time.Time // for dates

	mu     sync.Mutex
	epochs map[string]*epochCount
	ending map[string]time.Time // epochs whose end the store has not been told, and when that was
	// What has been observed and not committed, by whose it is.
	users   map[vpn.UserID]vpn.Traffic
	servers map[vpn.ServerID]vpn.Traffic
	firsts  firstUses
	// Quotas as the store had them when it was last read. Used changes only
	// by commits, which go through here, so quota - used - users is exact.
	quotas map[vpn.UserID]Quota
	turn   time.Time // when the next period begins anew, as of then too
}

// epochCount is what one life of one worker has counted.
type epochCount struct {
	server    vpn.ServerID
	at        time.Time // of the last observation, for durations only
	seq       uint64    // of the last observation
	committed uint64    // the seq that the store has seen
	counts    map[vpn.CredentialID]*count
	dirty     map[vpn.CredentialID]*count
	totals    map[vpn.UserID]uint64 // the worker's own count of each user, up and down
	rates     map[vpn.UserID]vpn.Rate
	rate      vpn.Rate
	online    map[vpn.UserID]int  // connections of each user
	conns     int                 // of all of them
	dry       map[vpn.UserID]bool // who was held up by a ceiling of late
}

type count struct {
	user      vpn.UserID
	reported  vpn.Traffic // by the worker
	accounted vpn.Traffic // in the ledger or the store
	stored    vpn.Traffic // in the store
	conns     int
}

func newLedger(st Store, now func() time.Time) *ledger {
	return &ledger{
		store: st, now: now,
		epochs:  map[string]*epochCount{},
		ending:  map[string]time.Time{},
		users:   map[vpn.UserID]vpn.Traffic{},
		servers: map[vpn.ServerID]vpn.Traffic{},
		quotas:  map[vpn.UserID]Quota{},
		firsts:  newFirstUses(),
	}
}

// after returns the sequence number to ask an epoch's worker with: asking
// acknowledges, so it is the last that the store has seen, not the last
// observed.
func (l *ledger) after(epoch string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.epochs[epoch]; e != nil {
		return e.committed
	}
	return 0
}

// observe takes a worker's answer. An epoch's first answer must be to after=0.
func (l *ledger) observe(ctx context.Context, server vpn.ServerID, cs vpn.Counters) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.epochs[cs.Epoch]
	if e == nil {
		var err error
		if e, err = l.open(ctx, server, cs.Epoch); err != nil {
			return err
		}
		l.epochs[cs.Epoch] = e
	}
	first, elapsed := e.at.IsZero(), time.Since(e.at)
	e.seq = max(e.seq, cs.Seq)
	clear(e.dry)
	for i := range cs.Demands {
		if d := &cs.Demands[i]; d.Dry {
			e.dry[d.User] = true
		}
	}
	l.firsts.take(cs.FirstUses)
	short := !first && elapsed < minElapsed
	if !short {
		e.at = time.Now()
		clear(e.rates)
		e.rate = vpn.Rate{}
	}
	for _, c := range cs.Counters {
		moved := l.take(e, c)
		if first || short || moved == (vpn.Traffic{}) {
			continue
		}
		r := vpn.Rate{Up: perSecond(moved.Up, elapsed), Down: perSecond(moved.Down, elapsed)}
		e.rates[c.User] = e.rates[c.User].Add(r)
		e.rate = e.rate.Add(r)
	}
	return nil
}

// dryDemand is the demand, in bytes per second, of a user who has run into a
// ceiling on a worker and moves nothing there since.
const dryDemand = 1 << 20

// minElapsed is how far apart two observations must be to tell a rate.
const minElapsed = samplePeriod / 4

func perSecond(n uint64, over time.Duration) uint64 {
	return uint64(min(float64(n)/over.Seconds(), vpn.MaxTraffic/2))
}

// note takes counters of some users only, between two observations.
func (l *ledger) note(epoch string, cs vpn.Counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.firsts.take(cs.FirstUses)
	if e := l.epochs[epoch]; e != nil {
		for _, c := range cs.Counters {
			l.take(e, c)
		}
	}
}

// open begins an epoch with what the store has seen of it already.
func (l *ledger) open(ctx context.Context, server vpn.ServerID, epoch string) (*epochCount, error) {
	e := &epochCount{
		server: server,
		counts: map[vpn.CredentialID]*count{},
		dirty:  map[vpn.CredentialID]*count{},
		totals: map[vpn.UserID]uint64{},
		rates:  map[vpn.UserID]vpn.Rate{},
		online: map[vpn.UserID]int{},
		dry:    map[vpn.UserID]bool{},
	}
	err := l.store.View(ctx, func(tx Tx) error {
		marks, err := tx.Usage.Marks(epoch)
		for id, t := range marks {
			e.counts[id] = &count{accounted: t, stored: t}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the marks of an epoch: %w", err)
	}
	return e, nil
}

// take accounts for one counter and returns how far it has moved.
func (l *ledger) take(e *epochCount, c vpn.Counter) vpn.Traffic {
	n := e.counts[c.Credential]
	if n == nil {
		n = &count{}
		e.counts[c.Credential] = n
	}
	if more := c.Conns - n.conns; more != 0 {
		e.conns += more
		if e.online[c.User] += more; e.online[c.User] == 0 {
			delete(e.online, c.User)
		}
	}
	n.user, n.conns = c.User, c.Conns
	e.totals[c.User] += c.Traffic.Since(n.reported).Total()
	// Answers may overtake each other: a later, lower one must not make the
	// next count twice.
	n.reported.Up, n.reported.Down = max(n.reported.Up, c.Up), max(n.reported.Down, c.Down)
	moved := c.Traffic.Since(n.accounted)
	if moved == (vpn.Traffic{}) {
		return moved
	}
	n.accounted = n.accounted.Add(moved)
	e.dirty[c.Credential] = n
	l.users[c.User] = l.users[c.User].Add(moved)
	l.servers[e.server] = l.servers[e.server].Add(moved)
	return moved
}

// commit writes everything observed into the store.
func (l *ledger) commit(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(ctx, nil)
}

// commitWith is commit with a change that must neither come before nor after
// what is observed until now: also runs in its transaction, behind it.
func (l *ledger) commitWith(ctx context.Context, also func(Tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(ctx, also)
}

// finish ends an epoch whose worker is gone: its last counters are committed
// and later ones, should a file of them turn up again, are ignored. If the
// store cannot be written now, the next commit that succeeds does it.
func (l *ledger) finish(ctx context.Context, epoch string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.ending[epoch]; !known {
		l.ending[epoch] = l.now()
	}
	if e := l.epochs[epoch]; e != nil {
		clear(e.rates)
		e.rate = vpn.Rate{}
		for _, n := range e.counts {
			n.conns = 0
		}
		clear(e.online)
		e.conns = 0
	}
	return l.write(ctx, nil)
}

func (l *ledger) write(ctx context.Context, also func(Tx) error) error {
	batches := map[string][]vpn.Counter{}
	for name, e := range l.epochs {
		for id, n := range e.dirty {
			batches[name] = append(batches[name], vpn.Counter{Credential: id, User: n.user, Traffic: n.accounted})
		}
	}
	if len(batches) == 0 && len(l.ending) == 0 && !l.firsts.pending() && also == nil {
		for _, e := range l.epochs {
			e.committed = e.seq // nothing but connection counts has changed
		}
		return nil
	}
	var plan plan
	err := l.store.Update(ctx, func(tx Tx) error {
		for name, cs := range batches {
			if err := tx.Usage.Record(l.epochs[name].server, name, cs, l.now()); err != nil {
				return err
			}
		}
		for name, at := range l.ending {
			if err := tx.Usage.End(name, at); err != nil {
				return err
			}
		}
		if err := l.firsts.store(tx, l.now()); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return plan.read(tx)
	})
	if err != nil {
		return fmt.Errorf("record usage: %w", err)
	}
	for _, e := range l.epochs {
		e.committed = e.seq
		for _, n := range e.dirty {
			n.stored = n.accounted
		}
		clear(e.dirty)
	}
	for name := range l.ending {
		delete(l.epochs, name)
	}
	clear(l.ending)
	clear(l.users)
	clear(l.servers)
	l.firsts.settle()
	l.follow(plan)
	return nil
}

// refresh reads the quotas anew, after users were changed.
func (l *ledger) refresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var plan plan
	if err := l.store.View(ctx, plan.read); err != nil {
		return err
	}
	l.follow(plan)
	return nil
}

// A plan is what the store says of the time to come.
type plan struct {
	quotas []Quota
	turn   time.Time
}

func (p *plan) read(tx Tx) (err error) {
	if p.quotas, err = tx.Usage.Quotas(); err != nil {
		return err
	}
	p.turn, err = tx.Periods.Next()
	return err
}

func (l *ledger) follow(p plan) {
	clear(l.quotas)
	for _, q := range p.quotas {
		l.quotas[q.User] = q
	}
	l.turn = p.turn
}

// nextTurn returns when the next user's period begins anew; the zero time is
// never.
func (l *ledger) nextTurn() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turn
}

func (l *ledger) hasQuota(u vpn.UserID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.quotas[u]
	return ok
}

// urgent reports whether something observed and not yet committed has used up
// a quota or begun a user's time. It is worth a commit at once; begun reports
// whether the workers are to be told.
func (l *ledger) urgent() (urgent, begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.firsts.pending() {
		return true, true
	}
	for u, t := range l.users {
		if q, ok := l.quotas[u]; ok && q.Used.Total() < q.Quota && q.Used.Add(t).Total() >= q.Quota {
			return true, false
		}
	}
	return false, false
}

// budgets returns, for each user with a quota, what is left of it and what
// each of the epochs has counted and moved of late.
func (l *ledger) budgets(epochs []string) []budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]budget, 0, len(l.quotas))
	for u, q := range l.quotas {
		used := q.Used.Add(l.users[u]).Total()
		b := budget{user: u, left: q.Quota - min(q.Quota, used), pace: q.Throttle, parts: make([]part, len(epochs))}
		for i, name := range epochs {
			if e := l.epochs[name]; e != nil {
				r := e.rates[u]
				b.parts[i] = part{count: e.totals[u], demand: r.Up + r.Down}
				if e.dry[u] {
					// What it would have moved is not known: a good deal.
					b.parts[i].demand = max(b.parts[i].demand, dryDemand)
				}
			}
		}
		out = append(out, b)
	}
	return out
}

// live is what the ledger adds to what the store says of a user.
type live struct {
	pending vpn.Traffic
	rate    vpn.Rate
	conns   int
	began   vpn.FirstUse // of the user's hold, if its User is set
}

func (l *ledger) liveUsers() map[vpn.UserID]live {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[vpn.UserID]live, len(l.users))
	for u, t := range l.users {
		v := out[u]
		v.pending = t
		out[u] = v
	}
	for _, e := range l.epochs {
		for u, n := range e.online {
			v := out[u]
			v.conns += n
			out[u] = v
		}
		for u, r := range e.rates {
			v := out[u]
			v.rate = v.rate.Add(r)
			out[u] = v
		}
	}
	for u, f := range l.firsts.reported {
		v := out[u]
		v.began = f
		out[u] = v
	}
	return out
}

func (l *ledger) liveServer(id vpn.ServerID) live {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := live{pending: l.servers[id]}
	for _, e := range l.epochs {
		if e.server != id {
			continue
		}
		v.rate = v.rate.Add(e.rate)
		v.conns += e.conns
	}
	return v
}

// pendingOn returns what a user has moved on each server since the last
// commit.
func (l *ledger) pendingOn(u vpn.UserID) map[vpn.ServerID]vpn.Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[vpn.ServerID]vpn.Traffic{}
	for _, e := range l.epochs {
		for _, n := range e.dirty {
			if n.user == u {
				out[e.server] = out[e.server].Add(n.accounted.Since(n.stored))
			}
		}
	}
	return out
}
