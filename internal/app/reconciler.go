package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/clock"
	"vpn/internal/vpn"
)

// A Reconciler makes the workers run what the store says, and carries what
// they count into the store. It is the only one that tells a worker what to
// run: boot, a user's change, a crash, a restore and another control plane's
// change all take its one path, store → spec → apply.
//
// It has two ways to live. Supervising ([Reconciler.Run]), it starts every
// server's worker and keeps it so. Otherwise it does what it is asked to
// ([Reconciler.Sync]) with the workers that it finds, and starts none.
type Reconciler struct {
	store   Store
	workers Workers
	network Network
	tunnels Tunnels
	log     *slog.Logger
	clock   *clock.Clock // for dates; durations are measured by the monotonic clock

	ledger   *ledger
	books    *books
	allots   *allotments
	calendar *calendar
	speeds   speeds
	feeds    *feeds
	onlooker onlooker
	roster   *roster
	logging  atomic.Pointer[vpn.Logging] // how workers are to log; nil: as they do

	mu         sync.Mutex
	supervised context.Context //nolint:containedctx // the life of the keepers, given to Run
	keepers    map[vpn.ServerID]*keeper
	running    sync.WaitGroup
	turns      atomic.Uint64
}

// NewReconciler returns a reconciler that does nothing yet. now is the wall
// clock.
func NewReconciler(st Store, ws Workers, n Network, log *slog.Logger, now func() time.Time) *Reconciler {
	c := clock.New(now)
	l := newLedger(st, c.Now)
	r := &Reconciler{
		store: st, workers: ws, network: n, tunnels: noTunnels{}, log: log, clock: c,
		ledger: l, books: &books{ledger: l, log: log}, allots: newAllotments(l),
		keepers: map[vpn.ServerID]*keeper{}, feeds: &feeds{}, roster: &roster{store: st, ledger: l},
	}
	r.onlooker = onlooker{store: st, ledger: l, feeds: r.feeds, now: c.Now}
	r.calendar = &calendar{
		store: st, ledger: l, books: r.books, clock: c, log: log, measure: r.measure,
		greeted: func() bool { return greeted(r) },
	}
	return r
}

const (
	samplePeriod = time.Second      // how often workers are asked what moved
	commitPeriod = 10 * time.Second // how often that reaches the store
	retryEvery   = 3                // samples, after it could not
	purgePeriod  = time.Hour
	tombstoneAge = 24 * time.Hour
)

// Run supervises until ctx ends: it adopts or starts a worker for each server
// and keeps it running, samples, commits and purges. Workers live on when it
// returns; [Reconciler.StopAll] ends them.
func (r *Reconciler) Run(ctx context.Context) error {
	r.mu.Lock()
	r.supervised = ctx
	before := slices.Collect(maps.Values(r.keepers)) // whoever asked before has made some
	r.mu.Unlock()
	err := r.ledger.refresh(ctx)
	if err == nil {
		err = r.discover(ctx)
	}
	for _, k := range before { // not before it is known which workers there are
		r.running.Go(func() { k.run(ctx) })
	}
	if err == nil {
		tidy(r)
	}
	if w, ok := r.workers.(Watcher); ok {
		r.running.Go(func() { heed(ctx, r, w.Changed()) })
	}
	if err != nil && ctx.Err() == nil { // to be ended at once is no failure
		return err
	}
	sample, commit, purge := time.NewTicker(samplePeriod), time.NewTicker(commitPeriod), time.NewTicker(purgePeriod)
	defer sample.Stop()
	defer commit.Stop()
	defer purge.Stop()
	watch := clockWatch{clock: r.clock, log: r.log}
	for samples := 0; ; {
		r.turns.Add(1)
		select {
		case <-ctx.Done():
			r.running.Wait()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			r.sample(last)
			return r.books.commitAll(last)
		case <-r.calendar.wait():
			turnDue(ctx, r)
		case <-sample.C:
			watch.look()
			r.sample(ctx)
			attend(r.ledger, r.clock.Now())
			turnDue(ctx, r)
			r.onlooker.look(ctx)
			r.roster.tidy()
			if samples++; samples%retryEvery == 0 && r.books.problem() != nil {
				_ = r.books.commit(ctx)
			}
		case <-commit.C:
			_ = r.books.commit(ctx) // logged, shown by Status, and tried again
		case <-purge.C:
			r.purge(ctx)
		}
	}
}

// heed wakes the keepers of servers to which something has happened.
func heed(ctx context.Context, r *Reconciler, changed <-chan Place) {
	for {
		select {
		case <-ctx.Done():
			return
		case at, ok := <-changed:
			if !ok {
				return
			}
			r.mu.Lock()
			k := r.keepers[at.Server]
			r.mu.Unlock()
			if k != nil {
				k.steps.poke()
			}
		}
	}
}

// turnDue begins anew the periods that are due, and hands out the new quotas.
func turnDue(ctx context.Context, r *Reconciler) {
	if r.calendar.turn(ctx) {
		renewAll(ctx, r)
	}
}

// greeted reports whether each server's worker, if it lives, has been asked
// once what it has counted.
func greeted(r *Reconciler) bool {
	for _, k := range r.all() {
		if !k.steps.stepped() {
			return false
		}
	}
	return true
}

// discover makes a keeper for every living server and ends the workers of
// servers that the store does not know.
func (r *Reconciler) discover(ctx context.Context) error {
	var servers []vpn.Server
	err := r.store.View(ctx, func(tx Tx) (err error) {
		servers, err = tx.Servers.List()
		return err
	})
	if err != nil {
		return err
	}
	found, listed := r.workers.List(ctx)
	living := map[vpn.ServerID]bool{}
	for _, s := range servers {
		living[s.ID] = true
		var strays []string
		for _, at := range found {
			if at.Server == s.ID && at.Runtime != s.Runtime {
				strays = append(strays, at.Runtime)
			}
		}
		r.keeper(Place{s.ID, s.Runtime}, strays...)
	}
	for _, at := range found {
		if !living[at.Server] {
			r.log.Info("ending the worker of a server that is gone", slog.String("server", string(at.Server)))
			r.keeper(at)
		}
	}
	return listed
}

// tidy removes what is left of the tunnels of servers that are gone. Those
// that still have a worker are seen to by their keepers.
func tidy(r *Reconciler) {
	var living []vpn.ServerID
	for _, k := range r.all() {
		living = append(living, k.id)
	}
	if err := r.tunnels.Collect(living); err != nil {
		r.log.Warn("rules of servers that are gone may be left", slog.Any("err", err))
	}
}

// keeper returns the server's keeper, made and, under supervision, started if
// need be. It learns of the runtimes where there is a worker that should not
// be before it does anything.
func (r *Reconciler) keeper(at Place, strays ...string) *keeper {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.keepers[at.Server]
	if k == nil {
		k = newKeeper(r, at)
		k.stray(strays)
		r.keepers[at.Server] = k
		if ctx := r.supervised; ctx != nil && ctx.Err() == nil {
			r.running.Go(func() { k.run(ctx) })
		}
	} else {
		k.stray(strays)
	}
	return k
}

func (r *Reconciler) all() []*keeper {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*keeper, 0, len(r.keepers))
	for _, k := range r.keepers {
		out = append(out, k)
	}
	return out
}

func (r *Reconciler) remove(id vpn.ServerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keepers, id)
}

// Turns counts the turns of Run's loop. It grows every second, unless the
// loop is stuck: in the store, or in a worker that keeps it beyond every
// time-out.
func (r *Reconciler) Turns() uint64 { return r.turns.Load() }

// Supervising reports whether Run is at work.
func (r *Reconciler) Supervising() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.supervised != nil && r.supervised.Err() == nil
}

// syncWait is how long a change waits for the workers to follow, and
// containerWait if it may start a container. They go on trying after that.
const (
	syncWait      = 3 * time.Second
	containerWait = 20 * time.Second
)

// Sync makes the workers follow the store now and reports whether those of
// some servers do: whoever is not meant to run has nothing to follow, and the
// others are told, but not waited for. The store is not touched by what a
// worker cannot do.
func (r *Reconciler) Sync(ctx context.Context, servers ...vpn.ServerID) bool {
	return syncWithin(ctx, r, syncWait, servers...)
}

func syncWithin(ctx context.Context, r *Reconciler, wait time.Duration, servers ...vpn.ServerID) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := r.discover(ctx); err != nil {
		r.log.Warn("the workers could not be listed", slog.Any("err", err))
		return false
	}
	supervised := r.Supervising()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		synced = true
	)
	for _, k := range r.all() {
		concerned := slices.Contains(servers, k.id)
		if supervised && !concerned {
			k.steps.poke()
			continue
		}
		wg.Go(func() {
			var err error
			if supervised {
				err = k.steps.ask(ctx)
			} else {
				_, err = k.step(ctx)
			}
			if err != nil && concerned {
				mu.Lock()
				synced = false
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if !supervised {
		// One after the other could be given only what those had left that
		// nobody had asked yet.
		if err := r.allots.renew(ctx, r.all(), false, everyone); err != nil {
			return false
		}
	}
	return synced
}

// Restart ends a server's worker in order and starts a new one.
func (r *Reconciler) Restart(ctx context.Context, at Place) error {
	if err := mayRestart(r); err != nil {
		return err
	}
	return r.keeper(at).restart(ctx)
}

func mayRestart(r *Reconciler) error {
	if !r.Supervising() {
		return vpn.Errorf(vpn.Unavailable, "no daemon is running to start the server again").WithHint("run: vpn serve")
	}
	return nil
}

// StopAll ends every worker in order and commits what they counted.
func (r *Reconciler) StopAll(ctx context.Context) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	if err := r.discover(ctx); err != nil {
		errs = append(errs, err) // those that are known can be ended all the same
	}
	for _, k := range r.all() {
		wg.Go(func() {
			k.stepping.Lock()
			defer k.stepping.Unlock()
			if err := k.end(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, r.books.commit(ctx))...)
}

// sample asks every worker what moved and renews the ceilings.
func (r *Reconciler) sample(ctx context.Context) {
	var wg sync.WaitGroup
	for _, k := range r.all() {
		wg.Go(func() { k.sample(ctx) })
	}
	wg.Wait()
	urgent, begun := r.ledger.urgent()
	if urgent && r.books.problem() == nil && r.books.commit(ctx) == nil && begun {
		for _, k := range r.all() {
			k.steps.poke() // who was used first on one server is no longer on hold on the others
		}
	}
	renewAll(ctx, r)
	r.speeds.note(r.ledger.speeds(), r.clock.Now())
}

// renewAll divides anew what users may use among all workers.
func renewAll(ctx context.Context, r *Reconciler) {
	if err := r.allots.renew(ctx, r.all(), true, everyone); err != nil && ctx.Err() == nil {
		r.log.Warn("limits could not be divided anew", slog.Any("err", err))
	}
}

// purses returns the workers that answer.
func (r *Reconciler) purses() []purse {
	var out []purse
	for _, k := range r.all() {
		if p, ok := k.purse(); ok {
			out = append(out, p)
		}
	}
	return out
}

// settle commits the final counters that a server's dead workers left behind,
// before the next worker's start may overwrite them. What the store does not
// have yet stays where it is.
func (r *Reconciler) settle(ctx context.Context, at Place) error {
	left, err := r.workers.Remains(ctx, at)
	if err != nil {
		return err
	}
	epochs := make([]string, 0, len(left))
	for _, cs := range left {
		if err := r.ledger.observe(ctx, at.Server, cs); err != nil {
			return err
		}
		r.allots.forget(cs.Epoch)
		if stored, err := r.books.finish(ctx, cs.Epoch); err != nil || !stored {
			return err
		}
		epochs = append(epochs, cs.Epoch)
	}
	return r.workers.Discard(ctx, at, epochs...)
}

// endAt ends the worker at a place that is not its server's, if there is one,
// and commits what it counted.
func endAt(ctx context.Context, r *Reconciler, at Place) error {
	w, err := r.workers.Find(ctx, at)
	if err != nil {
		return err
	}
	if w != nil {
		final, err := w.Stop(ctx)
		if err != nil {
			return fmt.Errorf("stop a worker: %w", err)
		}
		if final != nil {
			if err := r.ledger.observe(ctx, at.Server, *final); err != nil {
				return err
			}
			if _, err := r.books.finish(ctx, final.Epoch); err != nil {
				return err
			}
		}
	}
	return r.settle(ctx, at)
}

func (r *Reconciler) purge(ctx context.Context) {
	err := r.store.Update(ctx, func(tx Tx) error {
		now := r.clock.Now()
		if err := tx.Credentials.Purge(now.Add(-tombstoneAge)); err != nil {
			return err
		}
		return tx.History.Roll(now)
	})
	if err != nil {
		r.log.Warn("deleted things could not be purged", slog.Any("err", err))
	}
}
