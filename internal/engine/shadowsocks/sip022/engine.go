// Package sip022 serves Shadowsocks 2022 (SIP022) with AES-GCM, for many users
// on one port: each names itself by an identity header (SIP023), so that
// finding its key costs the same however many there are. It is our own, since
// what others have written is under the GPL.
//
// Streams and datagrams come to the same port. Every flow passes the meter and
// every destination the guard. Whoever does not prove to be a user gets no
// byte, and no sign of what was wrong: a connection is read, and thrown away,
// until as much time has passed as if nothing had come.
//
// It decides nothing about users and stores nothing.
package sip022

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	// greetTime is how long a client has to send its request, and how long a
	// connection lives on which none came that was good.
	greetTime = 59 * time.Second
	// sweepEvery is how often what is over is forgotten.
	sweepEvery = 5 * time.Second
	// warnEvery is how often the log may say that a clock is wrong.
	warnEvery = time.Minute
)

// Engine implements [engine.Engine].
type Engine struct {
	log       *slog.Logger
	options   options
	begun     time.Time
	meter     *meter.Meter
	guard     *egress.Guard
	live      *inbound.Registry
	streams   *inbound.Gate
	datagrams *inbound.PacketGate
	keys      atomic.Pointer[keys]
	strange   *strangers
	salts     salts
	sessions  *sessions
	warned    atomic.Int64 // Unix time

	stop    chan struct{}
	sweeper sync.WaitGroup

	mu     sync.Mutex // held by Apply and Close
	closed bool
	spec   vpn.ServerSpec // what runs
}

var _ engine.Engine = (*Engine)(nil)

// options are what tests set.
type options struct {
	now   func() time.Time // the wall clock
	greet time.Duration
	sweep time.Duration
	idle  time.Duration // after which a session's socket is closed
}

// New returns an engine that serves nothing yet.
func New(c engine.Config) (engine.Engine, error) {
	return newEngine(c, options{now: time.Now, greet: greetTime, sweep: sweepEvery, idle: idleSession}), nil
}

func newEngine(c engine.Config, o options) *Engine {
	e := &Engine{
		log: c.Log, options: o, begun: o.now(), meter: c.Meter, guard: c.Guard, live: inbound.NewRegistry(),
		strange: newStrangers(), sessions: newSessions(), stop: make(chan struct{}),
	}
	e.keys.Store(&keys{})
	e.streams = inbound.NewGate(c.Log, e.serve)
	e.datagrams = inbound.NewPacketGate(e.receive)
	e.sweeper.Go(e.sweep)
	return e
}

// Apply implements [engine.Engine]. Users come and go without touching
// anybody else's connections, and so does another place to listen at: UDP
// sessions go on with what their clients send there. Another key of the server
// or another method holds for new connections and sessions.
func (e *Engine) Apply(ctx context.Context, spec vpn.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	// What can fail comes first, so that a spec is applied wholly or not at all.
	method, key, err := parseServer(spec.Server)
	if err != nil {
		return err
	}
	next, gone, err := e.keys.Load().plan(method, key, spec.Grants)
	if err != nil {
		return err
	}
	moves := e.streams.Closed() || e.datagrams.Closed() || !sameServer(e.spec, spec.Server)
	if moves {
		if err := e.streams.Open(ctx, spec.Server.Listen, spec.Server.Port); err != nil {
			return err
		}
		if err := e.datagrams.Open(ctx, spec.Server.Listen, spec.Server.Port); err != nil {
			e.streams.Abandon()
			return err
		}
	}
	e.keys.Store(next)
	e.live.End(gone)
	e.sessions.forget(gone)
	if moves {
		e.streams.Serve()
		e.datagrams.Serve()
		e.spec = spec.Server
	}
	return nil
}

// Close implements [engine.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	close(e.stop)
	e.sweeper.Wait()
	e.streams.Close()
	e.datagrams.Close()
	e.live.Close()
	e.sessions.running.Wait()
	return nil
}

// sameServer reports whether a and b differ in nothing that this engine is
// made from.
func sameServer(a, b vpn.ServerSpec) bool {
	return a.Listen == b.Listen && a.Port == b.Port && bytes.Equal(a.Settings, b.Settings) && a.Private.Equal(b.Private)
}

// sweep forgets what is over.
func (e *Engine) sweep() {
	t := time.NewTicker(e.options.sweep)
	defer t.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-t.C:
			now := e.options.now()
			e.salts.sweep(now)
			e.sessions.sweep(now, e.options.idle)
		}
	}
}

// late tells the operator of a user whose clock is wrong, or ours: nobody else
// would say why that user cannot get in.
func (e *Engine) late(u *user, from net.Addr, sent uint64) {
	now := e.options.now().Unix()
	last := e.warned.Load()
	if now-last < int64(warnEvery/time.Second) && now >= last || !e.warned.CompareAndSwap(last, now) {
		return
	}
	e.log.Warn("refused a request whose time is off by more than 30 s: the client's clock is wrong, or this machine's, or it is a repetition",
		slog.String("credential", string(u.credential)), slog.String("source", from.String()),
		slog.Time("sent", time.Unix(int64(min(sent, 1<<40)), 0).UTC()))
}
