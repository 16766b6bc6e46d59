package app

import (
	"context"
	"errors"
	"reflect"
	"time"

	"vpn/internal/vpn"
)

// This file is what a keeper says to its worker, and hears.

// truth is what the store says of a server at one revision.
type truth struct {
	server   vpn.Server
	changes  GrantChanges
	revision uint64
}

// read returns the truth, with the grants that changed after revision since.
func (k *keeper) read(ctx context.Context, since uint64) (t truth, err error) {
	err = k.r.store.View(ctx, func(tx Tx) (err error) {
		if t.server, err = tx.Servers.Get(k.id); err != nil {
			return err
		}
		if t.revision, err = tx.Revision(); err != nil {
			return err
		}
		t.changes, err = tx.Credentials.Grants(k.id, since)
		return err
	})
	return t, err
}

// follow tells the worker what it does not know yet.
func (k *keeper) follow(ctx context.Context) error {
	w := k.current()
	var since uint64
	if k.spec == nil {
		if err := k.greet(ctx, w); err != nil {
			return err
		}
	} else {
		since = k.revision
	}
	if err := tellLog(ctx, k, w); err != nil {
		return err
	}
	now, err := k.read(ctx, since)
	if err != nil {
		return err
	}
	whole := since == 0 || now.changes.Whole
	if !whole && !reflect.DeepEqual(specOf(now.server), *k.spec) {
		whole = true
		if now, err = k.read(ctx, 0); err != nil {
			return err
		}
	}
	if k.spec == nil || whole {
		// What users may reach is changed before the worker hears of users.
		if err := k.r.tunnels.Apply(now.server); err != nil {
			return err
		}
	}
	// Ceilings first: a quota's new owner, who may be connected, would be cut
	// by a grant that says "capped" before there is a ceiling.
	if err := k.r.ledger.refresh(ctx); err != nil {
		return err
	}
	greeted := k.spec == nil && k.r.Supervising() // else the next round is soon enough for shares
	if err := k.r.allots.renew(ctx, k.r.all(), greeted, func(p purse) bool { return p.server == k.id }); err != nil {
		return err
	}
	return k.tell(ctx, w, now, whole)
}

// tell pushes the whole truth, or the way to it from what the worker knows.
func (k *keeper) tell(ctx context.Context, w Worker, now truth, whole bool) error {
	generation, spec, c := k.r.store.Generation(), specOf(now.server), now.changes
	var err error
	switch {
	case whole:
		err = w.Put(ctx, vpn.Spec{Generation: generation, Revision: now.revision, Server: spec, Grants: c.Upsert})
	case len(c.Upsert)+len(c.Remove) > 0:
		err = w.Patch(ctx, vpn.Patch{
			Generation: generation, Base: k.revision, Revision: now.revision, Upsert: c.Upsert, Remove: c.Remove,
		})
	default:
		return nil // a change of others, or none: the worker stays at its revision
	}
	if err != nil {
		k.spec = nil // whatever it knows now: begin anew
		return err
	}
	if whole { // it has begun anew, perhaps in another way
		if h, err := w.Health(ctx); err == nil {
			k.mu.Lock()
			k.health.Carrier, k.health.CarrierWhy = h.Carrier, h.CarrierWhy
			k.mu.Unlock()
		}
	}
	k.spec, k.revision = &spec, now.revision
	k.mu.Lock()
	k.health.Generation, k.health.Revision = generation, now.revision
	k.answered = time.Now()
	k.mu.Unlock()
	return nil
}

// greet asks a worker who it is, and takes over its counters.
func (k *keeper) greet(ctx context.Context, w Worker) error {
	h, err := w.Health(ctx)
	if err != nil {
		return err
	}
	if h.Server != "" && h.Server != k.id {
		return vpn.Errorf(vpn.Internal, "the worker at this server's socket runs server %s", h.Server)
	}
	cs, err := w.Usage(ctx, k.r.ledger.after(h.Epoch))
	if err != nil {
		return err
	}
	if err := k.r.allots.observe(ctx, k.id, cs); err != nil {
		return err
	}
	k.logs = nil
	k.mu.Lock()
	defer k.mu.Unlock()
	k.health, k.answered = h, time.Now()
	return nil
}

// sample asks the worker what has moved.
func (k *keeper) sample(ctx context.Context) {
	p, ok := k.purse()
	if !ok {
		return
	}
	// One that hangs must not hold up the others' next sample.
	ctx, cancel := context.WithTimeout(ctx, samplePeriod*9/10)
	defer cancel()
	cs, err := p.worker.Usage(ctx, k.r.ledger.after(p.epoch))
	if err == nil && cs.Epoch == p.epoch {
		err = k.r.allots.observe(ctx, k.id, cs)
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			k.missed(err)
		}
		return
	}
	h, err := k.checkUp(ctx, p.worker)
	if k.in(vpn.Unresponsive) {
		defer k.show(vpn.Running, "")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answered = time.Now()
	k.busy.note(cs)
	if err == nil && h.Epoch == k.health.Epoch {
		k.health = h
	}
}

// checkUp asks for the worker's health, memory above all, now and then; in
// between it returns what is known.
func (k *keeper) checkUp(ctx context.Context, w Worker) (vpn.Health, error) {
	k.samples++
	if k.samples%10 == 0 {
		return w.Health(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.health, nil
}

// missed notes that the worker did not answer; if that has lasted, the keeper
// replaces it.
func (k *keeper) missed(err error) {
	if k.in(vpn.Running) {
		k.show(vpn.Unresponsive, err.Error())
	}
	if k.silent() {
		k.steps.poke()
	}
}

// purse returns the worker as one that ceilings are granted to, if it has
// told its epoch and has not ended.
func (k *keeper) purse() (purse, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.worker == nil || k.health.Epoch == "" {
		return purse{}, false
	}
	select {
	case <-k.worker.Done():
		return purse{}, false
	default:
		return purse{server: k.id, epoch: k.health.Epoch, worker: k.worker, silent: k.state == vpn.Unresponsive}, true
	}
}

// claim is purse for ceilings and shares, which a worker may hold that has
// not told its epoch yet, or that was not even looked for.
func (k *keeper) claim() (purse, bool) {
	if p, ok := k.purse(); ok {
		return p, true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.worker == nil {
		return purse{server: k.id, silent: true}, !k.looked
	}
	select {
	case <-k.worker.Done():
		return purse{}, false
	default:
		return purse{server: k.id, worker: k.worker, silent: true}, k.health.Epoch == "" && !k.fresh
	}
}

func specOf(s vpn.Server) vpn.ServerSpec {
	return vpn.ServerSpec{
		ID: s.ID, Name: s.Name, Protocol: s.Protocol, Listen: s.Listen, Port: s.Port,
		Allow: s.Allow, Settings: s.Settings, Private: s.Private,
	}
}
