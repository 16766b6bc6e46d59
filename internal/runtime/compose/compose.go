// Package compose finds workers that somebody else starts: the containers of
// a Compose project, each of which has a directory that the control plane
// shares with it and nobody else. What is there is found by its control
// socket, and known by the epoch that it answers with: in a container of its
// own it has no process that could be held from here.
//
// The package starts no worker and cannot end one by force: it has no engine.
// A container that is up without anything to do, as after an orderly stop, is
// no worker until it is started, which is to give it something to do.
package compose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Paths are where one server's container has what is shared with it.
type Paths struct {
	Socket string // its control socket
	State  string // the directory of the counters that its workers left
}

// Options say where workers are.
type Options struct {
	// Dir holds a directory for each server that has a container, and Paths
	// says what is where in it.
	Dir   string
	Paths func(vpn.ServerID) Paths

	// Runtimes returns the runtime that the store has for each server. A
	// project runs them all, whatever that is.
	Runtimes func(context.Context) (map[vpn.ServerID]string, error)

	Log *slog.Logger // nil: nowhere
}

const (
	// A container that was stopped in order is started again by the engine,
	// which waits longer the more often it has to.
	birthTimeout = 5 * time.Second
	birthPoll    = 20 * time.Millisecond
)

var validID = regexp.MustCompile(`^[a-z2-7]{16}$`)

// Workers are those of one project. Methods may be called concurrently.
type Workers struct {
	options Options
	log     *slog.Logger

	mu     sync.Mutex
	places map[vpn.ServerID]*place
}

var _ app.Workers = (*Workers)(nil)

// A place is where one server's worker is, or may be.
type place struct {
	turn    chan struct{} // holds one token; whoever put it there acts on the place
	current *attached     // guarded by turn; nil: not known
}

// New returns the workers of a project, those included that are there already.
func New(o Options) *Workers {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Workers{options: o, log: log, places: map[vpn.ServerID]*place{}}
}

// Close lets go of the workers. They live on.
func (w *Workers) Close() error {
	w.mu.Lock()
	places := w.places
	w.places = map[vpn.ServerID]*place{}
	w.mu.Unlock()
	for _, p := range places {
		p.turn <- struct{}{}
		if p.current != nil {
			p.current.release()
			p.current = nil
		}
		<-p.turn
	}
	return nil
}

// Find returns the server's worker, or nil if it has none or an idle one.
func (w *Workers) Find(ctx context.Context, at app.Place) (app.Worker, error) {
	p, err := w.take(ctx, at.Server)
	if err != nil {
		return nil, err
	}
	defer p.release()
	a, err := w.find(ctx, at.Server, p)
	if a == nil || err != nil {
		return nil, err // a nil interface, not a nil *attached in one
	}
	return a, nil
}

// find looks in p first. The caller has p's turn.
func (w *Workers) find(ctx context.Context, id vpn.ServerID, p *place) (*attached, error) {
	if p.current != nil && !p.current.ended() {
		return p.current, nil
	}
	p.current = nil
	path := w.socket(id)
	conn, health, err := greet(ctx, path)
	switch {
	case errors.Is(err, errNobody):
		return nil, nil
	case errors.Is(err, errSilent):
		// What it would say is not known, but that it lives.
		p.current = attach(w, id, nil, "")
	case err != nil:
		return nil, err
	case idle(health):
		_ = conn.Close()
		return nil, nil
	default:
		p.current = attach(w, id, conn, health.Epoch)
	}
	return p.current, nil
}

// idle reports whether a worker serves nobody, and was never asked to.
func idle(h vpn.Health) bool { return h.Server == "" }

// Start returns the worker of a container that is up and idle. One that is
// not up, it cannot start: kind [vpn.Unavailable].
func (w *Workers) Start(ctx context.Context, s vpn.Server) (app.Worker, error) {
	p, err := w.take(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer p.release()
	if a, err := w.find(ctx, s.ID, p); err != nil {
		return nil, err
	} else if a != nil {
		return nil, vpn.Errorf(vpn.Conflict, "server %s has a worker already", s.Name)
	}
	late, cancel := context.WithTimeout(ctx, birthTimeout)
	defer cancel()
	poll := time.NewTicker(birthPoll)
	defer poll.Stop()
	for {
		conn, health, err := greet(late, w.socket(s.ID))
		if err == nil {
			p.current = attach(w, s.ID, conn, health.Epoch)
			return p.current, nil
		}
		if _, made := os.Lstat(filepath.Dir(w.socket(s.ID))); errors.Is(made, fs.ErrNotExist) {
			cancel() // it never had a container: there is nothing to wait for
		}
		select {
		case <-late.Done():
			return nil, vpn.Errorf(vpn.Unavailable, "server %s has no container that runs, and this control plane cannot start one: vpn compose up %s (%w)", s.Name, s.Name, err).
				WithHint("vpn compose up %s", s.Name)
		case <-poll.C:
		}
	}
}

// List returns the places that have a worker which is not idle.
func (w *Workers) List(ctx context.Context) ([]app.Place, error) {
	entries, err := os.ReadDir(w.options.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	runtimes, err := w.options.Runtimes(ctx)
	if err != nil {
		return nil, err
	}
	var out []app.Place
	for _, e := range entries {
		id := vpn.ServerID(e.Name())
		if !validID.MatchString(e.Name()) {
			continue
		}
		at := app.Place{Server: id, Runtime: runtimes[id]}
		switch found, err := w.Find(ctx, at); {
		case err != nil:
			w.log.Warn("cannot look for a worker", slog.String("server", e.Name()), slog.Any("err", err))
		case found != nil:
			out = append(out, at)
		}
	}
	return out, nil
}

// take waits for the caller's turn to act on a server's worker.
func (w *Workers) take(ctx context.Context, id vpn.ServerID) (*place, error) {
	if !validID.MatchString(string(id)) {
		return nil, vpn.Errorf(vpn.Invalid, "%q is not the id of a server", string(id))
	}
	w.mu.Lock()
	p := w.places[id]
	if p == nil {
		p = &place{turn: make(chan struct{}, 1)}
		w.places[id] = p
	}
	w.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		return p, nil
	case <-ctx.Done():
		return nil, vpn.Errorf(vpn.Unavailable, "the server's worker is busy: %w", ctx.Err())
	}
}

func (p *place) release() { <-p.turn }

func (w *Workers) socket(id vpn.ServerID) string {
	return w.options.Paths(id).Socket
}
