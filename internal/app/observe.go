package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// This file is what the use cases ask the reconciler about running workers.

// glance, outside supervision, looks for the servers' workers and asks those
// that live what they have counted. It changes nothing. Under supervision
// that is known already.
func (r *Reconciler) glance(ctx context.Context) {
	if r.Supervising() {
		return
	}
	places, err := r.workers.List(ctx)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	for _, at := range places {
		k := r.keeper(at)
		wg.Go(func() {
			k.stepping.Lock()
			defer k.stepping.Unlock()
			if k.current() != nil || k.at.Runtime != at.Runtime {
				return
			}
			w, err := r.workers.Find(ctx, at)
			if err != nil || w == nil {
				return
			}
			k.adopt(w)
			if err := k.greet(ctx, w); err != nil {
				k.show(vpn.Unresponsive, err.Error())
				return
			}
			k.show(vpn.Running, "")
		})
	}
	wg.Wait()
}

// nobodyServes is why a server does not run that nobody starts.
const nobodyServes = "no daemon is running"

// A condition is the state of a server and of its worker.
type condition struct {
	state   vpn.ServerState
	since   time.Time // see [vpn.ServerInfo]; zero: not known
	problem string
	worker  *vpn.Worker // nil: there is none
}

// describe returns the condition of a server.
func (r *Reconciler) describe(s vpn.Server) condition {
	r.mu.Lock()
	k := r.keepers[s.ID]
	r.mu.Unlock()
	if k == nil {
		switch {
		case !s.Enabled:
			return condition{state: vpn.Stopped}
		case r.Supervising():
			return condition{state: vpn.Starting}
		}
		return condition{state: vpn.Stopped, problem: nobodyServes}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c := condition{state: k.state, problem: k.problem}
	if r.Supervising() { // else it was looked at only now
		c.since = k.since
	}
	if k.worker == nil || k.health.Epoch == "" {
		return c
	}
	h := k.health
	container := ""
	if w, ok := k.worker.(Contained); ok {
		container = w.Container()
	}
	c.worker = &vpn.Worker{
		Container: container,
		PID:       h.PID, UID: h.UID, Epoch: h.Epoch, Version: h.Version,
		StartedAt: h.StartedAt, CPU: k.busy.percentIn(h.Epoch), Memory: h.Memory, Confined: h.Confined, Carrier: h.Carrier, Why: h.CarrierWhy, Restarts: k.restarts, Before: k.before,
	}
	return c
}

// sessions returns the live sessions of a server, none if its worker does not
// answer.
func (r *Reconciler) sessions(ctx context.Context, s vpn.Server) []vpn.Session {
	r.glance(ctx)
	out := []vpn.Session{}
	for _, p := range r.purses() {
		if p.server != s.ID {
			continue
		}
		found, err := p.worker.Sessions(ctx)
		if err != nil {
			continue
		}
		for _, x := range found {
			x.Server = s.Name
			out = append(out, x)
		}
	}
	return out
}

// measureWait is how long a measurement waits for a worker that is slow.
const measureWait = 300 * time.Millisecond

// measure asks every worker that answers what has moved until now, out of the
// ordinary round.
func (r *Reconciler) measure(ctx context.Context) {
	r.glance(ctx)
	ctx, cancel := context.WithTimeout(ctx, measureWait)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range r.purses() {
		if p.silent {
			continue
		}
		wg.Go(func() {
			cs, err := p.worker.Usage(ctx, r.ledger.after(p.epoch))
			if err == nil && cs.Epoch == p.epoch {
				r.ledger.note(p.epoch, cs)
			}
		})
	}
	wg.Wait()
}

// kick drops a user's live connections on every worker.
func (r *Reconciler) kick(ctx context.Context, u vpn.UserID) (int, error) {
	r.glance(ctx)
	var (
		total int
		errs  []error
	)
	for _, p := range r.purses() {
		n, err := p.worker.Kick(ctx, u)
		total += n
		errs = append(errs, r.blame(ctx, p.server, err))
	}
	return total, errors.Join(errs...)
}

// blame says which server's worker an error is of, and what ends it.
func (r *Reconciler) blame(ctx context.Context, id vpn.ServerID, err error) error {
	if err == nil {
		return nil
	}
	name := string(id)
	_ = r.store.View(ctx, func(tx Tx) error { // the error is told without a name, too
		s, err := tx.Servers.Get(id)
		if err == nil {
			name = s.Name
		}
		return err
	})
	return vpn.Errorf(vpn.KindOf(err), "server %s: %w", name, err).
		WithHint("its connections may stay open; this closes all of them: vpn server restart %s", name)
}
