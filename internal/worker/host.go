package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	applyTimeout = 30 * time.Second
	// An orderly stop waits this long for an apply that is under way, and for
	// the engine to close. It does not hold up the end for longer.
	applyGrace = 2 * time.Second
	closeGrace = 3 * time.Second
)

// A host runs one engine and tells it what to serve: one change at a time,
// never an older truth after a newer one.
type host struct {
	engines  map[vpn.Protocol]engine.New
	version  string
	log      *slog.Logger
	epoch    string
	started  time.Time
	confined bool
	memory   func() uint64
	meter    *meter.Meter
	guard    *egress.Guard
	tunnel   int // a descriptor; 0: none
	anywhere bool
	state    *state // nil: nobody starts this worker anew but the control plane
	allotted allotted
	adjust   adjustable

	turn chan struct{} // holds one token; whoever has put it there may change what runs
	// Guarded by turn.
	engine engine.Engine // nil before the first spec
	told   *vpn.Spec     // the latest truth, whether or not it could be applied
	inStep bool          // what was told runs

	mu sync.Mutex
	// Guarded by mu: what Health says.
	running vpn.Health // only the fields about the spec
	problem string
	carried engine.Carried // the engine, if it is one

	ending   sync.Once
	stopping chan struct{} // closed when a stop begins
	last     vpn.Counters  // set by ending
	lastErr  error
	final    io.Writer
}

type hostOptions struct {
	engines  map[vpn.Protocol]engine.New
	version  string
	log      *slog.Logger
	epoch    string
	final    io.Writer // for the counters of an orderly stop
	confined bool
	tunnel   int // a descriptor; 0: none
	anywhere bool
	state    *state
	adjust   adjustable
}

func newHost(o hostOptions) *host {
	h := &host{
		engines: o.engines, version: o.version, log: o.log, epoch: o.epoch, confined: o.confined, tunnel: o.tunnel,
		anywhere: o.anywhere, state: o.state, adjust: o.adjust,
		started: time.Now().UTC(), memory: residentMemory(),
		meter: meter.New(meter.Options{Epoch: o.epoch, Now: time.Now, Log: o.log, Most: mostConnections(o.log)}),
		guard: egress.New(nil),
		turn:  make(chan struct{}, 1), stopping: make(chan struct{}), final: o.final,
	}
	h.allotted.epoch, h.allotted.born, h.allotted.meter = h.epoch, time.Now(), h.meter
	noteAddresses(h.guard, h.log)
	return h
}

// put makes s run, unless it is older than what was told already.
func (h *host) put(ctx context.Context, s vpn.Spec) error {
	if err := h.take(ctx); err != nil {
		return err
	}
	defer h.release()
	if t := h.told; t != nil {
		switch {
		case s.Server.ID != t.Server.ID:
			return vpn.Errorf(vpn.Conflict, "this worker runs server %s", t.Server.ID)
		case h.engine != nil && s.Server.Protocol != t.Server.Protocol:
			return vpn.Errorf(vpn.Conflict, "this worker speaks %s", t.Server.Protocol).
				WithHint("start the server anew")
		case s.Generation != t.Generation:
			// A restored store counts anew.
		case s.Revision < t.Revision:
			return older(s.Revision, t.Revision)
		case s.Revision == t.Revision && h.inStep:
			return nil
		}
	}
	return h.apply(ctx, s)
}

// patch makes the change p run, if it leads on from what runs.
func (h *host) patch(ctx context.Context, p vpn.Patch) error {
	if err := h.take(ctx); err != nil {
		return err
	}
	defer h.release()
	t := h.told
	switch {
	case t == nil:
		return vpn.Errorf(vpn.Conflict, "the worker has no spec yet")
	case p.Generation != t.Generation:
		return vpn.Errorf(vpn.Conflict, "the worker follows another generation of the store")
	case !h.inStep:
		return vpn.Errorf(vpn.Conflict, "the worker could not apply its last spec")
	case p.Revision == t.Revision:
		return nil
	case p.Revision < t.Revision:
		return older(p.Revision, t.Revision)
	case p.Base != t.Revision:
		return vpn.Errorf(vpn.Conflict, "the change leads on from revision %d, the worker is at %d", p.Base, t.Revision)
	}
	return h.apply(ctx, patched(*t, p))
}

func older(got, have uint64) error {
	return vpn.Errorf(vpn.Conflict, "revision %d is older than the worker's %d", got, have)
}

// patched returns s with p's changes. It shares no grants with s.
func patched(s vpn.Spec, p vpn.Patch) vpn.Spec {
	upsert := make(map[vpn.CredentialID]vpn.Grant, len(p.Upsert))
	for _, g := range p.Upsert {
		upsert[g.Credential] = g
	}
	remove := make(map[vpn.CredentialID]bool, len(p.Remove))
	for _, c := range p.Remove {
		remove[c] = true
	}
	next := make([]vpn.Grant, 0, len(s.Grants)+len(upsert))
	for _, g := range s.Grants {
		if changed, ok := upsert[g.Credential]; ok {
			delete(upsert, g.Credential)
			g = changed
		}
		if !remove[g.Credential] {
			next = append(next, g)
		}
	}
	for _, g := range p.Upsert {
		if added, ok := upsert[g.Credential]; ok && !remove[g.Credential] {
			delete(upsert, g.Credential)
			next = append(next, added)
		}
	}
	s.Revision, s.Grants = p.Revision, next
	return s
}

// apply makes s run. Once begun it goes to its end, whether or not the caller
// still waits: half a change is worse than one that nobody heard of.
func (h *host) apply(ctx context.Context, s vpn.Spec) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	h.told, h.inStep = &s, false
	if h.state != nil {
		h.state.note(s)
	}
	err := h.run(ctx, s)
	h.inStep = err == nil
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.problem = err.Error()
		h.log.Error("spec could not be applied", slog.Uint64("revision", s.Revision), slog.Any("err", err))
		return err
	}
	h.problem = ""
	h.running = vpn.Health{
		Server: s.Server.ID, Name: s.Server.Name, Generation: s.Generation, Revision: s.Revision,
	}
	h.log.Debug("spec applied", slog.Uint64("revision", s.Revision), slog.Int("grants", len(s.Grants)))
	return nil
}

// run tells the meter before the engine: whoever is no longer granted is cut
// even if the engine cannot follow.
func (h *host) run(ctx context.Context, s vpn.Spec) error {
	if h.anywhere {
		s.Server.Listen = netip.IPv6Unspecified()
	}
	h.guard.SetAllow(s.Server.Allow)
	h.meter.Set(s.Grants)
	if h.engine == nil {
		newEngine := h.engines[s.Server.Protocol]
		if newEngine == nil {
			return vpn.Errorf(vpn.Invalid, "this worker does not know protocol %q", s.Server.Protocol).
				WithHint("it runs version %s", h.version)
		}
		e, err := newEngine(engine.Config{Meter: h.meter, Guard: h.guard, Log: h.log, Tunnel: h.tunnel})
		if err != nil {
			return fmt.Errorf("make the engine: %w", err)
		}
		h.engine = e
		h.mu.Lock()
		h.carried, _ = e.(engine.Carried)
		h.mu.Unlock()
	}
	return h.engine.Apply(ctx, s)
}

// resumeEvery is how long a worker that was started anew waits until it tries
// again what did not work: another may still hold its port.
const resumeEvery = 2 * time.Second

// resume serves what an earlier worker was told last, unless the control plane
// is faster.
func (h *host) resume(ctx context.Context, s vpn.Spec) {
	for {
		if h.again(ctx, s) {
			return
		}
		select {
		case <-h.stopping:
			return
		case <-ctx.Done():
			return
		case <-time.After(resumeEvery):
		}
	}
}

// again tries to make s run, and reports whether there is nothing left to do.
func (h *host) again(ctx context.Context, s vpn.Spec) bool {
	if h.take(ctx) != nil {
		return true
	}
	defer h.release()
	if t := h.told; t != nil && (t.Generation != s.Generation || t.Revision != s.Revision || h.inStep) {
		return true // it was told something else since
	}
	h.log.Info("worker serves what it was told before it ended", slog.Uint64("revision", s.Revision), slog.Int("grants", len(s.Grants)))
	return h.apply(ctx, s) == nil
}

// take waits for the caller's turn to change what runs.
func (h *host) take(ctx context.Context) error {
	select {
	case <-h.stopping:
		return errStopping
	default:
	}
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-h.stopping:
		return errStopping
	case <-ctx.Done():
		return vpn.Errorf(vpn.Unavailable, "the worker is busy with an earlier change")
	}
}

var errStopping error = vpn.Errorf(vpn.Unavailable, "the worker is stopping")

func (h *host) release() { <-h.turn }

// stop ends what runs and returns the final counters, after they are in the
// final file. Later calls wait for the first and return the same.
func (h *host) stop() (vpn.Counters, error) {
	h.ending.Do(func() {
		close(h.stopping)
		select {
		case h.turn <- struct{}{}: // for good
			h.closeEngine()
		case <-time.After(applyGrace):
			h.log.Warn("worker ends in the middle of a change")
		}
		h.meter.Close()
		h.last = h.meter.Usage(0)
		if err := json.NewEncoder(h.final).Encode(h.last); err != nil {
			h.lastErr = fmt.Errorf("write the final counters: %w", err)
		}
	})
	return h.last, h.lastErr
}

func (h *host) closeEngine() {
	if h.engine == nil {
		return
	}
	closed := make(chan error, 1)
	go func() { closed <- h.engine.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			h.log.Warn("engine did not close cleanly", slog.Any("err", err))
		}
	case <-time.After(closeGrace):
		h.log.Warn("engine does not close and is left behind")
	}
}

func (h *host) health() vpn.Health {
	h.mu.Lock()
	out := h.running
	out.Problem = h.problem
	if h.carried != nil {
		out.Carrier, out.CarrierWhy = h.carried.Carrier()
	}
	h.mu.Unlock()
	out.Epoch, out.Version, out.StartedAt, out.Confined = h.epoch, h.version, h.started, h.confined
	out.PID, out.UID = os.Getpid(), os.Getuid()
	out.Memory, out.Conns = h.memory(), h.meter.Conns()
	return out
}
