package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// A keeper makes one server's worker follow the store. Under supervision it
// has a goroutine of its own, so that a server that is stuck holds up no
// other.
type keeper struct {
	r  *Reconciler
	id vpn.ServerID

	stepping sync.Mutex // held by whoever acts on the worker
	steps    steps      // who waits for the next one
	face

	samples uint64 // counted by the one goroutine that samples

	// Guarded by stepping: where the worker lives, or is to live, and what it
	// has been told.
	at        Place
	spec      *vpn.ServerSpec // nil: not known, tell everything
	revision  uint64
	logs      *vpn.Logging // how the worker logs; nil: not known
	born      time.Time
	crashes   int // in a row, each soon after a start
	notBefore time.Time
}

func newKeeper(r *Reconciler, at Place) *keeper {
	id := at.Server
	tell := func(action, subject, detail string) { r.feeds.tell(byItself(r.clock.Now(), action, subject, detail)) }
	return &keeper{
		r: r, id: id, at: at, steps: newSteps(),
		face: face{tell: tell, now: r.clock.Now, name: string(id), state: vpn.Starting, since: r.clock.Now()},
	}
}

const (
	// answerWait is how long a worker may stay silent before it is ended and
	// replaced.
	answerWait = 10 * time.Second
	steadyLife = 10 * time.Second // a worker that lived longer did not crash at its start
	maxBackoff = 30 * time.Second
)

// run steps whenever it is asked to, when the worker ends, and until a step
// succeeds.
func (k *keeper) run(ctx context.Context) {
	var failures int
	for {
		covers := k.steps.begin()
		gone, err := k.step(ctx)
		k.steps.end(covers, err)
		if gone || ctx.Err() != nil {
			return
		}
		var retry <-chan time.Time
		if err != nil {
			failures++
			retry = time.After(backoff(failures))
			k.r.log.Warn("server is not in step", slog.String("server", k.label()), slog.Any("err", err))
		} else {
			failures = 0
		}
		var ended <-chan struct{}
		if w := k.current(); w != nil {
			ended = w.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-k.steps.wake:
		case <-ended:
		case <-retry:
		}
	}
}

// backoff returns how long to wait after so many failures in a row.
func backoff(failures int) time.Duration {
	return min(maxBackoff, 50*time.Millisecond<<min(failures, 12))
}

// step makes the worker follow the store once. gone reports that the server
// is no more and its keeper has nothing left to do.
func (k *keeper) step(ctx context.Context) (gone bool, err error) {
	k.stepping.Lock()
	defer k.stepping.Unlock()
	want, err := k.want(ctx)
	if err != nil {
		return false, err
	}
	if err := moveIn(ctx, k, want); err != nil {
		k.show(vpn.Unresponsive, err.Error())
		return false, err
	}
	if want == nil || !want.Enabled {
		if err := k.end(ctx); err != nil {
			k.show(vpn.Unresponsive, err.Error())
			return false, err
		}
		k.show(vpn.Stopped, "")
		if want == nil {
			k.r.remove(k.id)
		}
		return want == nil, nil
	}
	if err := k.attach(ctx, *want); err != nil {
		k.show(vpn.Failed, err.Error())
		return false, err
	}
	if k.current() == nil {
		k.show(vpn.Stopped, nobodyServes)
		return false, vpn.Errorf(vpn.Unavailable, nobodyServes).WithHint("run: vpn serve")
	}
	if err := k.follow(ctx); err != nil {
		if k.spec == nil && vpn.KindOf(err) == vpn.Conflict {
			err = k.holder(*want, err)
		}
		if vpn.KindOf(err) == vpn.Unavailable {
			k.show(vpn.Unresponsive, err.Error())
		} else {
			k.show(vpn.Failed, err.Error())
		}
		return false, err
	}
	k.show(vpn.Running, "")
	return false, nil
}

// holder says who holds the server's port, as far as that can be known from
// here: a worker may not look at other processes.
func (k *keeper) holder(s vpn.Server, err error) error {
	if !strings.HasPrefix(err.Error(), fmt.Sprintf("port %d ", s.Port)) {
		return err // it is about another of its ports: at the first, the worker itself would be found
	}
	if named := k.r.network.ProbeTCP(s.Listen, s.Port); vpn.KindOf(named) == vpn.Conflict {
		return named
	}
	return err
}

// want returns the server as the store has it, nil if it was deleted.
func (k *keeper) want(ctx context.Context) (*vpn.Server, error) {
	var s vpn.Server
	err := k.r.store.View(ctx, func(tx Tx) (err error) {
		s, err = tx.Servers.Get(k.id)
		return err
	})
	if vpn.KindOf(err) == vpn.NotFound || err == nil && !s.DeletedAt.IsZero() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// moveIn moves to where the store wants the server: workers of it that live
// elsewhere, as after a restore, are ended first, so that there are never two.
func moveIn(ctx context.Context, k *keeper, want *vpn.Server) error {
	if want != nil {
		k.call(want.Name)
		if want.Runtime != k.at.Runtime {
			if k.current() != nil {
				if err := k.end(ctx); err != nil {
					return err
				}
			}
			k.at.Runtime = want.Runtime
		}
	}
	for _, runtime := range k.strayed() {
		if runtime != k.at.Runtime { // it may be meant to be there by now
			k.r.log.Warn("a worker lives where it should not, and is ended", slog.String("server", k.label()), slog.String("runtime", runtime))
			err := endAt(ctx, k.r, Place{Server: k.id, Runtime: runtime})
			if err != nil && k.current() != nil {
				continue // who serves is not held up by who cannot be reached
			}
			if err != nil {
				return err
			}
		}
		k.ended(runtime)
	}
	return nil
}

// attach finds the server's worker or, under supervision, starts one.
func (k *keeper) attach(ctx context.Context, s vpn.Server) error {
	if w := k.current(); w != nil {
		select {
		case <-w.Done():
			if err := k.bury(ctx, w, causeOf(ctx, w)); err != nil {
				return err
			}
		default:
			if !k.silent() {
				return nil
			}
			why := k.complaint()
			k.r.log.Warn("worker does not answer and is replaced", slog.String("server", s.Name))
			if err := w.Kill(ctx); err != nil {
				return err
			}
			if err := k.bury(ctx, w, why); err != nil {
				return err
			}
		}
	}
	w, err := k.r.workers.Find(ctx, k.at)
	if err != nil {
		return err
	}
	// Also of one that lives: those before it may have come and gone while
	// nobody looked.
	if err := k.r.settle(ctx, k.at); err != nil {
		return err
	}
	if w == nil {
		k.found(false)
		if !k.r.Supervising() {
			return nil
		}
		if w, err = k.start(ctx, s); err != nil {
			return err
		}
		k.found(true)
		k.adopt(w)
		return nil
	}
	k.adopt(w)
	k.found(false)
	return nil
}

// silent reports whether the worker has not answered for too long.
func (k *keeper) silent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.answered) > answerWait
}

func (k *keeper) start(ctx context.Context, s vpn.Server) (Worker, error) {
	if wait := time.Until(k.notBefore); wait > 0 {
		return nil, vpn.Errorf(vpn.Unavailable, "the worker crashed %d times in a row%s; the next try is in %s", k.crashes, k.lastly(), wait.Round(time.Millisecond)).
			WithHint("read why: vpn server logs %s", s.Name)
	}
	k.show(vpn.Starting, strings.TrimPrefix(k.lastly(), ", the last time: "))
	w, err := k.r.workers.Start(ctx, s)
	if err != nil {
		return nil, err
	}
	k.born = time.Now()
	return w, nil
}

func (k *keeper) adopt(w Worker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.worker, k.health, k.answered = w, vpn.Health{}, time.Now()
	k.spec, k.revision = nil, 0
}

// bury folds in what the worker, which has ended, left behind, and says why it
// has.
func (k *keeper) bury(ctx context.Context, w Worker, why string) error {
	k.mu.Lock()
	epoch := k.health.Epoch
	k.mu.Unlock()
	k.mourn(k.r.log, w, why)
	if err := k.r.settle(ctx, k.at); err != nil {
		return err
	}
	if epoch != "" {
		k.r.allots.forget(epoch)
		if _, err := k.r.books.finish(ctx, epoch); err != nil {
			return err
		}
	}
	if !k.born.IsZero() && time.Since(k.born) < steadyLife {
		k.crashes++
		if k.crashes > 1 {
			k.notBefore = time.Now().Add(backoff(k.crashes))
		}
	} else {
		k.crashes = 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.worker, k.health = nil, vpn.Health{}
	k.restarts++
	return nil
}

// end stops the worker in order, if there is one, and commits its counts.
func (k *keeper) end(ctx context.Context) error {
	w := k.current()
	if w == nil {
		var err error
		if w, err = k.r.workers.Find(ctx, k.at); err != nil {
			return err
		}
	}
	if w == nil {
		k.found(false)
		return errors.Join(k.r.settle(ctx, k.at), k.r.tunnels.Remove(k.id))
	}
	k.mu.Lock()
	epoch := k.health.Epoch
	k.mu.Unlock()
	final, err := w.Stop(ctx)
	if err != nil {
		return fmt.Errorf("stop a worker: %w", err)
	}
	if final != nil {
		epoch = final.Epoch
		if err := k.r.ledger.observe(ctx, k.id, *final); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.worker, k.health, k.restarts, k.before = nil, vpn.Health{}, 0, nil
	k.looked = true
	k.mu.Unlock()
	k.crashes = 0
	if epoch != "" {
		k.r.allots.forget(epoch)
		if _, err := k.r.books.finish(ctx, epoch); err != nil {
			return err
		}
	}
	return errors.Join(k.r.settle(ctx, k.at), k.r.tunnels.Remove(k.id))
}

// restart ends the worker; the keeper's goroutine starts the next.
func (k *keeper) restart(ctx context.Context) error {
	k.stepping.Lock()
	err := k.end(ctx)
	k.stepping.Unlock()
	if err != nil {
		return err
	}
	return k.steps.ask(ctx)
}
