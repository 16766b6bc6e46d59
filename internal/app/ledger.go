package app

import (
	"context"
	"fmt"
	"slices"
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

	mu         sync.Mutex
	epochs     map[string]*epochCount
	ending     map[string]time.Time // epochs whose end the store has not been told, and when that was
	accounts   accounts
	servers    map[vpn.ServerID]vpn.Traffic
	firsts     firstUses
	attendance attendance
	turn       time.Time // when the next period begins anew, as of then too
	written    uint64    // how often the store was told something
}

// epochCount is what one life of one worker has counted.
type epochCount struct {
	name      string
	server    vpn.ServerID
	at        time.Time // of the last observation, for durations only
	seq       uint64    // of the last observation
	committed uint64    // the seq that the store has seen
	counts    map[vpn.CredentialID]*count
	dirty     []*count
	tallies   map[vpn.UserID]*tally
	rate      vpn.Rate
	conns     int    // of all users
	round     uint64 // counts the observations that told rates
	answers   uint64
}

type count struct {
	credential vpn.CredentialID
	tally      *tally      // of its user
	reported   vpn.Traffic // by the worker
	accounted  vpn.Traffic // in the ledger or the store
	stored     vpn.Traffic // in the store
	dirty      bool        // it is one of epochCount.dirty
	conns      int
}

func newLedger(st Store, now func() time.Time) *ledger {
	l := &ledger{
		store: st, now: now,
		epochs:  map[string]*epochCount{},
		ending:  map[string]time.Time{},
		servers: map[vpn.ServerID]vpn.Traffic{},
		firsts:  newFirstUses(),
	}
	l.accounts = accounts{mu: &l.mu, of: map[vpn.UserID]*account{}}
	return l
}

func newEpochCount(name string, s vpn.ServerID) *epochCount {
	return &epochCount{name: name, server: s, counts: map[vpn.CredentialID]*count{}, tallies: map[vpn.UserID]*tally{}, round: 1, answers: 1}
}

// tally returns an epoch's tally of a user. The caller holds l.mu.
func (l *ledger) tally(e *epochCount, u vpn.UserID) *tally {
	t := e.tallies[u]
	if t == nil {
		t = &tally{epoch: e, of: l.accounts.account(u)}
		e.tallies[u] = t
		t.of.tallies = append(t.of.tallies, t)
	}
	return t
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
	e.answers++
	for i := range cs.Demands {
		if d := &cs.Demands[i]; d.Dry {
			t := l.tally(e, d.User)
			t.dry = e.answers
			l.accounts.stir(t.of)
		}
	}
	l.firsts.take(cs.FirstUses)
	short := !first && elapsed < minElapsed
	if !short {
		e.at = time.Now()
		e.round++
		e.rate = vpn.Rate{}
	}
	for i := range cs.Counters {
		t, moved := l.take(e, &cs.Counters[i])
		if first || short || moved == (vpn.Traffic{}) {
			continue
		}
		r := vpn.Rate{Up: perSecond(moved.Up, elapsed), Down: perSecond(moved.Down, elapsed)}
		t.rate, t.round = t.latest().Add(r), e.round
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
		for i := range cs.Counters {
			l.take(e, &cs.Counters[i])
		}
	}
}

// open begins an epoch with what the store has seen of it already.
func (l *ledger) open(ctx context.Context, server vpn.ServerID, epoch string) (*epochCount, error) {
	e := newEpochCount(epoch, server)
	err := l.store.View(ctx, func(tx Tx) error {
		marks, err := tx.Usage.Marks(epoch)
		for id, t := range marks {
			e.counts[id] = &count{credential: id, accounted: t, stored: t}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the marks of an epoch: %w", err)
	}
	return e, nil
}

// take accounts for one counter and returns whose tally it is of and how far
// it has moved.
func (l *ledger) take(e *epochCount, c *vpn.Counter) (*tally, vpn.Traffic) {
	n := e.counts[c.Credential]
	if n == nil {
		n = &count{credential: c.Credential}
		e.counts[c.Credential] = n
	}
	if n.tally == nil || n.tally.of.user != c.User {
		n.online(e, 0)
		n.tally = l.tally(e, c.User)
	}
	t := n.tally
	n.online(e, c.Conns)
	if c.Traffic == n.accounted && c.Traffic == n.reported {
		return t, vpn.Traffic{}
	}
	t.total += c.Traffic.Since(n.reported).Total()
	// Answers may overtake each other: a later, lower one must not make the
	// next count twice.
	n.reported.Up, n.reported.Down = max(n.reported.Up, c.Up), max(n.reported.Down, c.Down)
	l.accounts.stir(t.of)
	moved := c.Traffic.Since(n.accounted)
	if moved == (vpn.Traffic{}) {
		return t, moved
	}
	n.accounted = n.accounted.Add(moved)
	if !n.dirty {
		n.dirty = true
		e.dirty = append(e.dirty, n)
	}
	l.accounts.add(t.of, moved)
	l.servers[e.server] = l.servers[e.server].Add(moved)
	return t, moved
}

// online notes how many connections there are by a credential.
func (n *count) online(e *epochCount, conns int) {
	if more := conns - n.conns; more != 0 {
		n.conns = conns
		n.tally.conns += more
		e.conns += more
	}
}

// commit writes everything observed into the store; with all set, who was
// connected in the step of history that goes on, too.
func (l *ledger) commit(ctx context.Context, all bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attendance.asked = all
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
		e.round++
		e.rate = vpn.Rate{}
		for _, n := range e.counts {
			n.online(e, 0)
		}
	}
	return l.write(ctx, nil)
}

func (l *ledger) write(ctx context.Context, also func(Tx) error) error {
	batches := map[string][]vpn.Counter{}
	for name, e := range l.epochs {
		for _, n := range e.dirty {
			batches[name] = append(batches[name], vpn.Counter{Credential: n.credential, User: n.tally.of.user, Traffic: n.accounted})
		}
	}
	attended := l.attendance.due()
	if len(batches) == 0 && len(l.ending) == 0 && !l.firsts.pending() && !attended && also == nil {
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
		if attended {
			if err := l.attendance.store(tx); err != nil {
				return err
			}
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
	l.written++
	for _, e := range l.epochs {
		e.committed = e.seq
		for _, n := range e.dirty {
			n.stored, n.dirty = n.accounted, false
		}
		e.dirty = e.dirty[:0]
	}
	for name := range l.ending {
		l.drop(name)
	}
	clear(l.ending)
	l.accounts.committed()
	clear(l.servers)
	l.firsts.settle()
	if attended {
		l.attendance.settle()
	}
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

// drop forgets an epoch that has ended.
func (l *ledger) drop(name string) {
	e := l.epochs[name]
	if e == nil {
		return
	}
	for _, t := range e.tallies {
		t.of.tallies = slices.DeleteFunc(t.of.tallies, func(x *tally) bool { return x == t })
		l.accounts.stir(t.of)
	}
	delete(l.epochs, name)
}

func (l *ledger) follow(p plan) {
	l.accounts.read(p.quotas)
	l.turn = p.turn
}

// nextTurn returns when the next user's period begins anew; the zero time is
// never.
func (l *ledger) nextTurn() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turn
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
	return l.accounts.exhausted(), false
}
