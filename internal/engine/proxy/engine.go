// Package proxy carries HTTP and SOCKS5, each on a port of its own or both on
// one, told apart by the first byte.
//
// Every flow passes the meter, and every destination the guard and then the
// server's own rules. Streams are moved by the kernel (package splice) where
// no TLS is in between. Nobody gets in without a password but from networks
// that the operator named, on the account of a user that the operator named.
//
// It decides nothing about users and stores nothing.
package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/splice"
	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// Engine implements [engine.Engine].
type Engine struct {
	log      *slog.Logger
	greet    time.Duration // that a client has to say what it wants
	meter    *meter.Meter
	guard    *egress.Guard
	live     *inbound.Registry
	gate     *inbound.Gate
	pipes    *splice.Pipes
	accounts atomic.Pointer[accounts]
	rules    atomic.Pointer[rules]
	strange  *strangers
	patience *patience // with those who guess passwords
	pace     *pace     // of requests
	web      *http.Server
	handoff  *handoff // of connections to web
	webDone  sync.WaitGroup
	webConns sync.WaitGroup // one for each connection that web has

	mu     sync.Mutex // held by Apply and Close
	closed bool
	spec   vpn.ServerSpec // what runs
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that serves nothing yet.
func New(c engine.Config) (engine.Engine, error) { return newEngine(c, greetTime), nil }

func newEngine(c engine.Config, greet time.Duration) *Engine {
	e := &Engine{
		log: c.Log, greet: greet, meter: c.Meter, guard: c.Guard, live: inbound.NewRegistry(), pipes: new(splice.Pipes),
		strange: newStrangers(), patience: newPatience(), pace: newPace(), handoff: newHandoff(),
	}
	e.accounts.Store(&accounts{})
	e.gate = inbound.NewGate(c.Log, e.serve)
	e.web = e.newWeb()
	e.webDone.Go(func() { _ = e.web.Serve(e.handoff) }) // until it is closed
	return e
}

// Apply implements [engine.Engine]. Users come and go without touching
// anybody else's connections, and so do changes of the server's settings:
// they hold for new connections and requests.
func (e *Engine) Apply(ctx context.Context, spec vpn.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	// What can fail comes first, so that a spec is applied wholly or not at all.
	next, gone, err := e.accounts.Load().plan(spec.Grants)
	if err != nil {
		return err
	}
	moves := e.gate.Closed() || !sameServer(e.spec, spec.Server)
	if moves {
		r, err := newRules(spec.Server)
		if err != nil {
			return err
		}
		if err := e.gate.Open(ctx, spec.Server.Listen, spec.Server.Port); err != nil {
			return err
		}
		e.rules.Store(r)
		e.pace.set(r.policy.Requests)
	}
	e.accounts.Store(next)
	e.live.End(gone)
	if moves {
		e.gate.Serve()
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
	e.gate.Close()
	close(e.patience.over)
	_ = e.handoff.Close()
	_ = e.web.Close()
	e.webDone.Wait()
	e.live.Close()
	e.webConns.Wait()
	e.pipes.Close()
	return nil
}

// sameServer reports whether a and b differ in nothing that this engine is
// made from.
func sameServer(a, b vpn.ServerSpec) bool {
	return a.Protocol == b.Protocol && a.Listen == b.Listen && a.Port == b.Port &&
		bytes.Equal(a.Settings, b.Settings) && a.Private.Equal(b.Private)
}

// newRules reads the part of a spec that is not about users.
func newRules(spec vpn.ServerSpec) (*rules, error) {
	if !slices.Contains(proxy.Names(), spec.Protocol) {
		return nil, vpn.Errorf(vpn.Invalid, "%q is no proxy", spec.Protocol)
	}
	set, err := proxy.ParseSettings(spec.Protocol, spec.Settings)
	if err != nil {
		return nil, err
	}
	keys, err := proxy.ParseKeys(spec.Protocol, spec.Private)
	if err != nil {
		return nil, err
	}
	r := &rules{protocol: spec.Protocol}
	if r.policy, err = set.Policy(); err != nil {
		return nil, err
	}
	if set.Enabled {
		cert, err := set.Certificate(keys)
		if err != nil {
			return nil, err
		}
		r.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	return r, nil
}
