// Package runtime is all runtimes of a control plane as one: it passes what is
// asked about a place to the runtime that the place is in.
//
// It keeps one that is slow or dead from holding up the others, and knows
// nothing of how any of them works.
package runtime

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// A Runtime is one of those that a control plane has.
type Runtime struct {
	Name    string
	Workers app.Workers

	// Used reports whether something of this runtime may be there, or is to
	// be. While it is not, nobody is asked for a list. Nil is always.
	Used func(context.Context) bool

	// Patience is how long a list is waited for; one that takes longer is left
	// out, until it is there. 0 is for as long as it takes, and then an error
	// is everybody's.
	Patience time.Duration

	// Ready makes it ready to start a worker, or returns an error; with look it
	// changes nothing. Nil is always ready.
	Ready func(ctx context.Context, look bool) error

	// Unused is called when the last that there was has been discarded. It may
	// be nil.
	Unused func(context.Context) error
}

// Workers are those of several runtimes. Methods may be called concurrently.
type Workers struct {
	runtimes []Runtime
	lists    map[string]*list
	log      *slog.Logger
	changed  chan app.Place
	close    context.CancelFunc
	relays   sync.WaitGroup
}

var _ app.Workers = (*Workers)(nil)

// New returns the workers of all of rs, whose names differ.
func New(log *slog.Logger, rs ...Runtime) *Workers {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Workers{runtimes: rs, lists: map[string]*list{}, log: log, changed: make(chan app.Place), close: cancel}
	for _, r := range rs {
		w.lists[r.Name] = &list{}
		if c, ok := r.Workers.(interface{ Changed() <-chan app.Place }); ok {
			w.relays.Go(func() { w.relay(ctx, c.Changed()) })
		}
	}
	return w
}

// Close stops passing on what has changed. It closes no runtime.
func (w *Workers) Close() error {
	w.close()
	w.relays.Wait()
	return nil
}

// relay passes on what a runtime says.
func (w *Workers) relay(ctx context.Context, from <-chan app.Place) {
	for {
		select {
		case <-ctx.Done():
			return
		case at, ok := <-from:
			if !ok {
				return
			}
			select {
			case w.changed <- at:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Changed tells of places at which something has happened that their keepers
// should look at.
func (w *Workers) Changed() <-chan app.Place { return w.changed }

func (w *Workers) of(name string) (*Runtime, error) {
	i := slices.IndexFunc(w.runtimes, func(r Runtime) bool { return r.Name == name })
	if i < 0 {
		return nil, vpn.Errorf(vpn.Unavailable, "this program has no runtime %q", name).
			WithHint("the server was made by another version, or for another system: vpn server show NAME")
	}
	return &w.runtimes[i], nil
}

// Ready makes a runtime ready to start a worker, or returns an error. With look
// it changes nothing.
func (w *Workers) Ready(ctx context.Context, name string, look bool) error {
	r, err := w.of(name)
	if err != nil || r.Ready == nil {
		return err
	}
	return r.Ready(ctx, look)
}

// Find implements [app.Workers].
func (w *Workers) Find(ctx context.Context, at app.Place) (app.Worker, error) {
	r, err := w.of(at.Runtime)
	if err != nil {
		return nil, err
	}
	return r.Workers.Find(ctx, at)
}

// Start implements [app.Workers].
func (w *Workers) Start(ctx context.Context, s vpn.Server) (app.Worker, error) {
	r, err := w.of(s.Runtime)
	if err != nil {
		return nil, err
	}
	return r.Workers.Start(ctx, s)
}

// Remains implements [app.Workers].
func (w *Workers) Remains(ctx context.Context, at app.Place) ([]vpn.Counters, error) {
	r, err := w.of(at.Runtime)
	if err != nil {
		return nil, err
	}
	return r.Workers.Remains(ctx, at)
}

// Discard implements [app.Workers].
func (w *Workers) Discard(ctx context.Context, at app.Place, epochs ...string) error {
	r, err := w.of(at.Runtime)
	if err != nil {
		return err
	}
	err = r.Workers.Discard(ctx, at, epochs...)
	if err == nil && r.Unused != nil && !r.used(ctx) {
		if err := r.Unused(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("something of a runtime that is not used any more may be left", slog.String("runtime", r.Name), slog.Any("err", err))
		}
	}
	return err
}

func (r *Runtime) used(ctx context.Context) bool { return r.Used == nil || r.Used(ctx) }

// List returns the places in which workers are, but for those of a runtime
// that cannot say so now, which it logs.
func (w *Workers) List(ctx context.Context) ([]app.Place, error) {
	var out []app.Place
	var errs []error
	for i := range w.runtimes {
		r := &w.runtimes[i]
		switch {
		case !r.used(ctx):
		case r.Patience == 0:
			places, err := r.Workers.List(ctx)
			out, errs = append(out, places...), append(errs, err)
		default:
			out = append(out, w.lists[r.Name].ask(ctx, w.log, r)...)
		}
	}
	return out, errors.Join(errs...)
}

// A list is what a runtime said last of which workers it has.
type list struct {
	mu      sync.Mutex
	asking  *asking // nil: nobody does
	failing bool    // the last answer was an error
}

type asking struct {
	done   chan struct{} // closed when places and err are there
	places []app.Place
	err    error
}

// ask asks r, and waits for as long as r's patience: not at all, once it has
// failed.
func (l *list) ask(ctx context.Context, log *slog.Logger, r *Runtime) []app.Place {
	l.mu.Lock()
	patience := r.Patience
	if l.failing || l.asking != nil {
		patience = 0
	}
	a := l.asking
	if a == nil {
		a = &asking{done: make(chan struct{})}
		l.asking = a
		// Its end is the runtime's business: who asked may have gone by then.
		go l.wait(context.WithoutCancel(ctx), log, r, a)
	}
	l.mu.Unlock()
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-a.done:
		return a.places
	case <-ctx.Done():
	case <-enough.C:
		if patience > 0 {
			log.Warn("a runtime takes its time, and is left out of what is listed", slog.String("runtime", r.Name))
		}
	}
	return nil
}

// wait asks r, and keeps how that went.
func (l *list) wait(ctx context.Context, log *slog.Logger, r *Runtime, a *asking) {
	a.places, a.err = r.Workers.List(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.err != nil && !l.failing:
		log.Warn("a runtime cannot say which workers it has", slog.String("runtime", r.Name), slog.Any("err", a.err))
	case a.err == nil && l.failing:
		log.Info("a runtime answers again", slog.String("runtime", r.Name))
	}
	l.failing, l.asking = a.err != nil, nil
	close(a.done)
}
