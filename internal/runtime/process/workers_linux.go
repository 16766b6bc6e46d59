package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Workers are the workers of one run directory. Methods may be called
// concurrently; those about one server take turns.
type Workers struct {
	options Options
	log     *slog.Logger
	hidden  bool // this process was, when the workers were made: see hideAgain

	mu     sync.Mutex
	places map[vpn.ServerID]*place
	uids   vpn.UIDRange
}

var _ app.Workers = (*Workers)(nil)

// A place is where one server's worker is, or will be.
type place struct {
	turn    chan struct{} // holds one token, whoever put it there acts on the place
	current *attached     // guarded by turn; nil: not known
}

// New returns the workers of o's run directory, those included that earlier
// processes have started there. It starts none.
func New(o Options) (*Workers, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Executable == "" {
		// Not its path: that may lie in a home that a worker's uid may not
		// enter, and name a newer binary by now.
		o.Executable = "/proc/self/exe"
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Workers{options: o, log: log, hidden: hidden(), places: map[vpn.ServerID]*place{}, uids: o.UIDs}, nil
}

// SetUIDs changes what [Options.UIDs] says, for workers that are started from
// now on.
func (w *Workers) SetUIDs(r vpn.UIDRange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uids = r
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

// Find returns the server's worker, or nil if it has none.
func (w *Workers) Find(ctx context.Context, at app.Place) (app.Worker, error) {
	id := at.Server
	p, err := w.take(ctx, id)
	if err != nil {
		return nil, err
	}
	defer p.release()
	a, err := w.find(ctx, id, p)
	if a == nil || err != nil {
		return nil, err // a nil interface, not a nil *attached in one
	}
	return a, nil
}

// find looks in p first: while the process that it holds lives, that is the
// worker. A socket that nobody listens on is removed. The caller has p's turn.
func (w *Workers) find(ctx context.Context, id vpn.ServerID, p *place) (*attached, error) {
	if p.current != nil && !p.current.proc.ended() {
		return p.current, nil
	}
	p.current = nil
	a, err := w.seek(ctx, id, false)
	if err != nil {
		return nil, err
	}
	if a == nil {
		if err := remove(w.path(id, socketSuffix)); err != nil {
			return nil, err
		}
		return nil, nil
	}
	p.current = a
	return a, nil
}

// Remains returns the final counters that the server's last worker left
// behind, if it did. The next Start forgets them.
func (w *Workers) Remains(_ context.Context, at app.Place) ([]vpn.Counters, error) {
	cs, err := final(w, at.Server)
	if cs == nil || err != nil {
		return nil, err
	}
	return []vpn.Counters{*cs}, nil
}

func final(w *Workers, id vpn.ServerID) (*vpn.Counters, error) {
	if !validID.MatchString(string(id)) {
		return nil, badID(id)
	}
	b, err := readSome(w.path(id, finalSuffix))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a worker's final counters: %w", err)
	}
	var cs vpn.Counters
	if err := json.Unmarshal(b, &cs); err != nil || cs.Epoch == "" {
		w.log.Warn("a worker left counters that cannot be read", slog.String("server", string(id)), slog.Any("err", err))
		return nil, nil
	}
	return &cs, nil
}

// readSome reads a file that a worker could write to, up to a limit far
// beyond any true content.
func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<20))
}

// Discard removes what the server's last worker left behind, unless that is
// counters of an epoch that is not named.
func (w *Workers) Discard(ctx context.Context, at app.Place, epochs ...string) error {
	id := at.Server
	p, err := w.take(ctx, id)
	if err != nil {
		return err
	}
	defer p.release()
	if a, err := w.find(ctx, id, p); a != nil || err != nil {
		return err // what is there is a living worker's
	}
	if cs, err := final(w, id); err != nil || cs != nil && !slices.Contains(epochs, cs.Epoch) {
		return err
	}
	return remove(w.path(id, finalSuffix))
}

// List returns the servers that have a worker here, in the order of their
// ids. Those whose socket somebody has removed are among them as long as this
// process holds them.
func (w *Workers) List(ctx context.Context) ([]app.Place, error) {
	entries, err := os.ReadDir(w.options.RunDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	out := w.held()
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), socketSuffix)
		if !ok || !validID.MatchString(name) {
			continue
		}
		// A stale socket is left for Find to remove: here it might be one
		// that Start has just made.
		switch _, err := listenerPID(ctx, w.path(vpn.ServerID(name), socketSuffix)); {
		case err == nil, vpn.KindOf(err) == vpn.Unavailable:
			out = append(out, vpn.ServerID(name))
		case !errors.Is(err, errNobody):
			return nil, err
		}
	}
	slices.Sort(out)
	var places []app.Place
	for _, id := range slices.Compact(out) {
		places = append(places, app.Place{Server: id, Runtime: vpn.RuntimeProcess})
	}
	return places, nil
}

// held returns the servers whose worker this process holds, but for those
// that somebody acts on at the moment.
func (w *Workers) held() []vpn.ServerID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []vpn.ServerID
	for id, p := range w.places {
		select {
		case p.turn <- struct{}{}:
			if p.current != nil && !p.current.proc.ended() {
				out = append(out, id)
			}
			p.release()
		default:
		}
	}
	return out
}

// Lost returns the servers whose worker serves and cannot be found by any
// process but this one: somebody has removed its socket.
func (w *Workers) Lost() []vpn.ServerID {
	return slices.DeleteFunc(w.held(), func(id vpn.ServerID) bool {
		_, err := os.Lstat(w.path(id, socketSuffix))
		return !errors.Is(err, fs.ErrNotExist)
	})
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
		return nil, vpn.Errorf(vpn.Unavailable, "the server's worker is busy: %w", ctx.Err())
	}
}

func (p *place) release() { <-p.turn }

func (w *Workers) path(id vpn.ServerID, suffix string) string {
	return filepath.Join(w.options.RunDir, string(id)+suffix)
}

func badID(id vpn.ServerID) error {
	return vpn.Errorf(vpn.Invalid, "%q is not the id of a server", string(id))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what a worker left: %w", err)
	}
	return nil
}
