package app_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// fakeWorkers keeps the promises of [app.Workers] without a process: what a
// worker knows, counts and forgets is as in a real one, and it dies, hangs
// and comes back on command.
type fakeWorkers struct {
	mu      sync.Mutex
	live    map[vpn.ServerID]*fakeWorker
	remains map[vpn.ServerID][]vpn.Counters
	starts  map[vpn.ServerID]int
	fail    error // if set, Start fails with it
}

func newFakeWorkers() *fakeWorkers {
	return &fakeWorkers{
		live:    map[vpn.ServerID]*fakeWorker{},
		remains: map[vpn.ServerID][]vpn.Counters{},
		starts:  map[vpn.ServerID]int{},
	}
}

func (f *fakeWorkers) Find(_ context.Context, p app.Place) (app.Worker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.live[p.Server]; w != nil && w.runtime == p.Runtime && !w.ended() {
		return w, nil
	}
	return nil, nil
}

func (f *fakeWorkers) Start(_ context.Context, s vpn.Server) (app.Worker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if w := f.live[s.ID]; w != nil && !w.ended() {
		panic("a second worker was started")
	}
	w := newFakeWorker(f, s.ID)
	w.runtime = s.Runtime
	f.live[s.ID] = w
	f.starts[s.ID]++
	return w, nil
}

func (f *fakeWorkers) Remains(_ context.Context, p app.Place) ([]vpn.Counters, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.remains[p.Server]), nil
}

func (f *fakeWorkers) Discard(_ context.Context, p app.Place, epochs ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remains[p.Server] = slices.DeleteFunc(slices.Clone(f.remains[p.Server]), func(cs vpn.Counters) bool { return slices.Contains(epochs, cs.Epoch) })
	return nil
}

func (f *fakeWorkers) List(context.Context) ([]app.Place, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []app.Place
	for id, w := range f.live {
		if !w.ended() {
			out = append(out, app.Place{Server: id, Runtime: w.runtime})
		}
	}
	return out, nil
}

// worker returns the server's live worker, or nil.
func (f *fakeWorkers) worker(s vpn.ServerID) *fakeWorker {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.live[s]; w != nil && !w.ended() {
		return w
	}
	return nil
}

func (f *fakeWorkers) started(s vpn.ServerID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts[s]
}

type fakeWorker struct {
	home    *fakeWorkers
	server  vpn.ServerID
	runtime string
	done    chan struct{}

	mu       sync.Mutex
	epoch    string
	gen      string
	revision uint64
	spec     vpn.ServerSpec
	grants   map[vpn.CredentialID]vpn.Grant
	counts   map[vpn.CredentialID]vpn.Counter
	ceilings map[vpn.UserID]uint64
	paces    map[vpn.UserID]uint64
	begun    map[vpn.UserID]vpn.FirstUse
	sessions []vpn.Session
	puts     int
	patches  int
	kicks    int
	silent   bool          // does not answer
	cause    string        // of its end, if it knows
	deaf     bool          // hears ceilings and shares, and does not answer
	lossy    bool          // does not even hear them
	hang     chan struct{} // if set, patches take until it is closed

	turn    uint64 // of the ceilings
	least   map[vpn.UserID]uint64
	retired map[vpn.CredentialID]vpn.Counter
	shares  vpn.Shares
	parts   map[vpn.UserID]vpn.Share
	told    int // shares
	logs    []vpn.Logging
	mute    error // what SetLog fails with
	demands map[vpn.UserID]vpn.Demand
	moved   vpn.Demand // by the flows of a test's user
	born    time.Time
}

func newFakeWorker(home *fakeWorkers, s vpn.ServerID) *fakeWorker {
	return &fakeWorker{
		home: home, server: s, done: make(chan struct{}), epoch: vpn.NewID(),
		grants: map[vpn.CredentialID]vpn.Grant{}, counts: map[vpn.CredentialID]vpn.Counter{}, ceilings: map[vpn.UserID]uint64{},
		least: map[vpn.UserID]uint64{}, parts: map[vpn.UserID]vpn.Share{}, retired: map[vpn.CredentialID]vpn.Counter{}, demands: map[vpn.UserID]vpn.Demand{},
		born:  time.Now(),
		paces: map[vpn.UserID]uint64{}, begun: map[vpn.UserID]vpn.FirstUse{},
	}
}

func (w *fakeWorker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *fakeWorker) Done() <-chan struct{} { return w.done }

func (w *fakeWorker) lock() error {
	w.mu.Lock()
	if w.silent || w.ended() {
		w.mu.Unlock()
		return vpn.Errorf(vpn.Unavailable, "the worker does not answer")
	}
	return nil
}

func (w *fakeWorker) Health(context.Context) (vpn.Health, error) {
	if err := w.lock(); err != nil {
		return vpn.Health{}, err
	}
	defer w.mu.Unlock()
	return vpn.Health{Server: w.spec.ID, Epoch: w.epoch, Generation: w.gen, Revision: w.revision, PID: 4242, Confined: true}, nil
}

func (w *fakeWorker) Put(_ context.Context, s vpn.Spec) error {
	if err := w.lock(); err != nil {
		return err
	}
	defer w.mu.Unlock()
	if s.Generation == w.gen && s.Revision < w.revision {
		return vpn.Errorf(vpn.Conflict, "older revision")
	}
	w.puts++
	w.gen, w.revision, w.spec = s.Generation, s.Revision, s.Server
	clear(w.grants)
	for _, g := range s.Grants {
		w.grants[g.Credential] = g
	}
	return nil
}

func (w *fakeWorker) Patch(ctx context.Context, p vpn.Patch) error {
	var hang chan struct{}
	w.see(func(w *fakeWorker) { hang = w.hang })
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
		}
	}
	if err := w.lock(); err != nil {
		return err
	}
	defer w.mu.Unlock()
	if p.Generation != w.gen || p.Base != w.revision {
		return vpn.Errorf(vpn.Conflict, "the patch does not fit")
	}
	w.patches++
	w.revision = p.Revision
	for _, g := range p.Upsert {
		w.grants[g.Credential] = g
	}
	for _, id := range p.Remove {
		delete(w.grants, id)
	}
	return nil
}

func (w *fakeWorker) SetCeilings(_ context.Context, epoch string, cs vpn.Ceilings) (vpn.Counters, error) {
	if err := w.lock(); err != nil {
		return vpn.Counters{}, err
	}
	defer w.mu.Unlock()
	if err := w.inTurn(epoch, cs.Turn, w.turn); err != nil {
		return vpn.Counters{}, err
	}
	w.turn = cs.Turn
	out := vpn.Counters{Epoch: w.epoch}
	for _, c := range cs.Ceilings {
		w.ceilings[c.User], w.paces[c.User] = c.Bytes, c.Throttle
		if least, set := w.least[c.User]; !set || c.Bytes < least {
			w.least[c.User] = c.Bytes
		}
		for _, n := range w.counts {
			if n.User == c.User {
				out.Counters = append(out.Counters, n)
			}
		}
	}
	return out, w.deafness()
}

func (w *fakeWorker) Ceilings(context.Context) (vpn.Ceilings, error) {
	if err := w.lock(); err != nil {
		return vpn.Ceilings{}, err
	}
	defer w.mu.Unlock()
	out := vpn.Ceilings{Turn: w.turn, Retired: slices.Collect(maps.Values(w.retired))}
	for u, n := range w.ceilings {
		out.Ceilings = append(out.Ceilings, vpn.Ceiling{User: u, Bytes: n, Throttle: w.paces[u]})
	}
	return out, nil
}

func (w *fakeWorker) SetShares(_ context.Context, epoch string, s vpn.Shares) error {
	if err := w.lock(); err != nil {
		return err
	}
	defer w.mu.Unlock()
	if err := w.inTurn(epoch, s.Turn, w.shares.Turn); err != nil {
		return err
	}
	w.told++
	w.shares.Turn, w.shares.Workers = s.Turn, s.Workers
	for _, x := range s.Shares {
		w.parts[x.User] = x
	}
	for _, u := range s.Even {
		delete(w.parts, u)
	}
	return w.deafness()
}

func (w *fakeWorker) SetLog(_ context.Context, l vpn.Logging) error {
	if err := w.lock(); err != nil {
		return err
	}
	defer w.mu.Unlock()
	w.logs = append(w.logs, l)
	return w.mute
}

func (w *fakeWorker) Shares(context.Context) (vpn.Shares, error) {
	if err := w.lock(); err != nil {
		return vpn.Shares{}, err
	}
	defer w.mu.Unlock()
	out := w.shares
	out.Shares = slices.Collect(maps.Values(w.parts))
	return out, nil
}

// lowest returns the lowest ceiling that a user ever had.
func (w *fakeWorker) lowest(u vpn.UserID) (n uint64) {
	w.see(func(w *fakeWorker) { n = w.least[u] })
	return n
}

func (w *fakeWorker) inTurn(epoch string, turn, last uint64) error {
	if w.lossy {
		return vpn.Errorf(vpn.Unavailable, "the worker does not answer")
	}
	if epoch != w.epoch || turn != last+1 {
		return vpn.Errorf(vpn.Conflict, "another epoch, or out of turn")
	}
	return nil
}

// deafness makes calls that were heard look as if they were not.
func (w *fakeWorker) deafness() error {
	if w.deaf {
		return vpn.Errorf(vpn.Unavailable, "the worker does not answer in time")
	}
	return nil
}

func (w *fakeWorker) Usage(context.Context, uint64) (vpn.Counters, error) {
	if err := w.lock(); err != nil {
		return vpn.Counters{}, err
	}
	defer w.mu.Unlock()
	return w.counters(), nil
}

func (w *fakeWorker) counters() vpn.Counters {
	out := vpn.Counters{
		Epoch: w.epoch, Seq: 1, Counters: slices.Collect(maps.Values(w.counts)),
		CeilingsTurn: w.turn, SharesTurn: w.shares.Turn, At: time.Since(w.born).Milliseconds(),
	}
	if w.shares.Workers > 1 {
		out.Demands = slices.Collect(maps.Values(w.demands))
	}
	for u, f := range w.begun {
		for _, g := range w.grants {
			if told := g.Hold.FirstUsedAt; g.User == u && g.Hold.HeldSince.Equal(f.Held) && (told.IsZero() || f.At.Before(told)) {
				out.FirstUses = append(out.FirstUses, f)
				break
			}
		}
	}
	return out
}

// use is the first packet of a user, if it is: what makes a hold end.
func (w *fakeWorker) use(u vpn.UserID) {
	for _, g := range w.grants {
		if begun := w.begun[u]; g.User == u && g.Hold.Holds() && !begun.Held.Equal(g.Hold.HeldSince) {
			w.begun[u] = vpn.FirstUse{User: u, Held: g.Hold.HeldSince, At: time.Now().UTC().Truncate(time.Microsecond)}
		}
	}
}

func (w *fakeWorker) Sessions(context.Context) ([]vpn.Session, error) {
	if err := w.lock(); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	return slices.Clone(w.sessions), nil
}

// connect makes a live connection with a credential.
func (w *fakeWorker) connect(id vpn.CredentialID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, vpn.Session{Credential: id, User: w.grants[id].User, Network: "tcp"})
}

func (w *fakeWorker) Kick(context.Context, vpn.UserID) (int, error) {
	if err := w.lock(); err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	w.kicks++
	return 3, nil
}

func (w *fakeWorker) Stop(context.Context) (*vpn.Counters, error) {
	if err := w.lock(); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	cs := w.counters()
	close(w.done)
	return &cs, nil
}

func (w *fakeWorker) Kill(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended() {
		close(w.done)
	}
	return nil
}

// move makes a user move bytes up through this worker, as far as the ceiling
// allows, and returns how many passed.
func (w *fakeWorker) move(u vpn.UserID, n uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.use(u)
	for id, g := range w.grants {
		if g.User != u || g.Blocked {
			continue
		}
		if !g.NotAfter.IsZero() && !time.Now().Before(g.NotAfter) {
			return 0
		}
		c := w.counts[id]
		c.Credential, c.User = id, u
		if g.Capped && g.Throttle == 0 {
			n = min(n, w.ceilings[u]-min(w.ceilings[u], c.Total()))
		}
		c.Up += n
		w.counts[id] = c
		return n
	}
	return 0
}

// crash ends the worker as kill -9 does; leave hands over final counters, as
// an orderly stop that nobody asked for does.
func (w *fakeWorker) crash() { _ = w.Kill(context.Background()) }

// Cause implements [app.Explained].
func (w *fakeWorker) Cause(context.Context) string { return w.cause }

func (w *fakeWorker) leave() {
	w.mu.Lock()
	cs := w.counters()
	w.mu.Unlock()
	w.home.mu.Lock()
	w.home.remains[w.server] = append(w.home.remains[w.server], cs)
	w.home.mu.Unlock()
	w.crash()
}

// admit lets a credential in, as the last control plane did.
func (w *fakeWorker) admit(c vpn.Credential) {
	w.see(func(w *fakeWorker) { w.grants[c.ID] = vpn.Grant{Credential: c.ID, User: c.User} })
}

func (w *fakeWorker) see(f func(*fakeWorker)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}
