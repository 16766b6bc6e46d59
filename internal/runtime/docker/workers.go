package docker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	"vpn/internal/app"
	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// Workers are the workers of one store in containers of one engine. Methods
// may be called concurrently; those about one server take turns.
type Workers struct {
	options Options
	log     *slog.Logger
	objects
	helpers helpers
	sight   *sight
	lives   *lives
	journal journal
	images  *images

	mu     sync.Mutex
	places map[vpn.ServerID]*place
}

var _ app.Workers = (*Workers)(nil)

// A place is where one server's worker is, or will be.
type place struct {
	turn    chan struct{} // holds one token, whoever put it there acts on the place
	current *attached     // guarded by turn; nil: not known
}

// New returns the workers of a store, those included that earlier processes
// have started. It starts none, and does not ask the engine for anything.
func New(o Options) (*Workers, error) {
	if !filepath.IsAbs(o.Dir) {
		return nil, vpn.Errorf(vpn.Invalid, "the directory of workers must be absolute: %q", o.Dir)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, leave := context.WithCancel(context.Background())
	held := objects{engine: o.Engine, store: o.Store, subnets: o.Subnets, making: &sync.Mutex{}}
	w := &Workers{options: o, log: log, objects: held, places: map[vpn.ServerID]*place{}}
	w.helpers = helpers{held, o.Image, log}
	w.sight = &sight{helpers: w.helpers}
	w.lives = &lives{
		objects: held, log: log, changed: make(chan app.Place, 64), servers: w.servers,
		ctx: ctx, leave: leave, held: map[string]*attached{},
	}
	w.journal = journal{objects: held, dir: o.LogDir, log: log, lives: w.lives, mu: &sync.Mutex{}, copying: map[vpn.ServerID]*sync.Mutex{}}
	w.images = &images{image: o.Image, engine: o.Engine, store: o.Store, log: log, lives: w.lives}
	return w, nil
}

// Changed tells of servers to whose container something has happened that
// their worker does not show by itself: look after them. It is never closed.
func (w *Workers) Changed() <-chan app.Place { return w.lives.changed }

// Close lets go of the workers. They live on.
func (w *Workers) Close() error {
	w.lives.leave()
	w.mu.Lock()
	places := w.places
	w.places = map[vpn.ServerID]*place{}
	w.mu.Unlock()
	for _, p := range places {
		p.turn <- struct{}{}
		if p.current != nil {
			p.current.Close()
			p.current = nil
		}
		p.release()
	}
	w.lives.tasks.Wait()
	return w.options.Engine.Close()
}

// Find returns the server's worker, or nil if it has none. One whose
// container crashes again and again is there and does not answer, until the
// engine has started it anew.
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

const (
	// A container that the engine starts anew is there in a moment, unless it
	// has crashed several times in a row.
	restartWait = 2 * time.Second
	restartPoll = 20 * time.Millisecond
)

// find looks in p first: until the engine says that its container has ended,
// that is the worker. The caller has p's turn.
func (w *Workers) find(ctx context.Context, id vpn.ServerID, p *place) (*attached, error) {
	if p.current != nil && !p.current.ended() {
		return p.current, nil
	}
	p.current = nil
	if !w.known(id) {
		return nil, nil
	}
	late := time.Now().Add(restartWait)
	for {
		all, err := w.containers(ctx, id)
		if err != nil {
			return nil, err
		}
		c := living(all)
		if c == nil && !unborn(all) {
			return nil, nil
		}
		if c != nil && (c.State == container.StateRunning || c.State == container.StatePaused) {
			a, err := w.attach(ctx, id, c.ID)
			if a != nil || err != nil {
				p.current = a
				return a, err
			}
		}
		if time.Now().After(late) {
			if c == nil {
				return nil, nil
			}
			p.current = w.between(id, c)
			return p.current, nil
		}
		select {
		case <-ctx.Done():
			return nil, vpn.Errorf(vpn.Unavailable, "the server's container is being started: %w", ctx.Err())
		case <-time.After(restartPoll):
		}
	}
}

// known reports whether a container was ever made for the server and not
// cleared away: its directory is made before and removed after. Without any
// the engine need not be asked.
func (w *Workers) known(id vpn.ServerID) bool {
	_, err := os.Lstat(w.dir(id))
	return !errors.Is(err, fs.ErrNotExist)
}

// Remains returns the final counters that the server's workers left behind.
func (w *Workers) Remains(ctx context.Context, at app.Place) ([]vpn.Counters, error) {
	if !validID.MatchString(string(at.Server)) {
		return nil, badID(at.Server)
	}
	return w.kept(at.Server).finals(ctx)
}

// Discard removes counters that the server's workers left behind, and with the
// last of them the rest that was made for it.
func (w *Workers) Discard(ctx context.Context, at app.Place, epochs ...string) error {
	p, err := w.take(ctx, at.Server)
	if err != nil {
		return err
	}
	defer p.release()
	if err := w.kept(at.Server).discard(ctx, epochs...); err != nil {
		return err
	}
	if !w.known(at.Server) || p.current != nil && !p.current.ended() {
		return nil
	}
	left, err := w.kept(at.Server).finals(ctx)
	if err != nil || len(left) > 0 {
		return err
	}
	all, err := w.containers(ctx, at.Server)
	if err != nil || living(all) != nil {
		return err
	}
	return w.clear(ctx, at.Server, all)
}

// clear removes the server's containers, of which none lives, its network if
// nobody uses it any more, its volume and its directory.
func (w *Workers) clear(ctx context.Context, id vpn.ServerID, all []container.Summary) error {
	for i := range all {
		if err := w.remove(ctx, all[i].ID); err != nil {
			return err
		}
	}
	if err := w.removeNetworks(ctx); err != nil {
		return err
	}
	if err := w.kept(id).remove(ctx); err != nil {
		return err
	}
	return os.RemoveAll(w.dir(id))
}

// List returns the servers that have a container here, a living one or not.
func (w *Workers) List(ctx context.Context) ([]app.Place, error) {
	entries, err := os.ReadDir(w.options.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return validID.MatchString(e.Name()) }) {
		return nil, nil // see known
	}
	if err != nil {
		return nil, err
	}
	all, err := w.list(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []app.Place
	for _, c := range all {
		if id := c.Labels[labelServer]; validID.MatchString(id) {
			out = append(out, app.Place{Server: vpn.ServerID(id), Runtime: vpn.RuntimeDocker})
		}
	}
	slices.SortFunc(out, func(a, b app.Place) int { return strings.Compare(string(a.Server), string(b.Server)) })
	return slices.Compact(out), nil
}

// Purge ends and removes every container, volume and network of the store, and
// its images that nobody uses then: for who leaves for good.
func (w *Workers) Purge(ctx context.Context) error {
	if err := w.helpers.sweep(ctx, 0); err != nil {
		return err
	}
	all, err := w.list(ctx, "")
	if err != nil {
		return err
	}
	for i := range all {
		if err := w.remove(ctx, all[i].ID); err != nil {
			return err
		}
	}
	if err := w.removeNetworks(ctx); err != nil {
		return err
	}
	if err := w.removeVolumes(ctx, w.ours("")); err != nil {
		return err
	}
	_, err = engine.RemoveImages(ctx, w.options.Engine, w.options.Store)
	return err
}

// servers returns those that are known here.
func (w *Workers) servers() []vpn.ServerID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.places))
}

// take waits for the caller's turn to act on a server's worker.
func (w *Workers) take(ctx context.Context, id vpn.ServerID) (*place, error) {
	if !validID.MatchString(string(id)) {
		return nil, badID(id)
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
		return nil, vpn.Errorf(vpn.Unavailable, "the server's container is busy: %w", ctx.Err())
	}
}

func (p *place) release() { <-p.turn }

func (w *Workers) dir(id vpn.ServerID) string      { return filepath.Join(w.options.Dir, string(id)) }
func (w *Workers) stateDir(id vpn.ServerID) string { return w.kept(id).state() }
func (w *Workers) runDir(id vpn.ServerID) string   { return filepath.Join(w.dir(id), "run") }
