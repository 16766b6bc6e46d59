// Package shadowsocks carries Shadowsocks: many users on one port, streams and
// datagrams, as Outline's and other clients speak it.
//
// With the AEAD methods a user is who has the key that opens a client's first
// bytes. The Outline server library finds it, and knows replays; from there on
// every flow passes the meter, and every destination the guard. To whoever has
// no key, the server never answers, and it never ends the connection before
// the time in which a client has to show one is over.
//
// The package decides nothing about users and stores nothing.
package shadowsocks

import (
	"context"
	"sync"

	"vpn/internal/engine"
	"vpn/internal/engine/shadowsocks/sip022"
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// Engine implements [engine.Engine] by one of two, which the server's method
// picks.
type Engine struct {
	config engine.Config

	mu     sync.Mutex // held by Apply and Close
	closed bool
	of2022 bool
	runs   engine.Engine // nil: nothing yet
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that serves nothing yet.
func New(c engine.Config) (engine.Engine, error) { return &Engine{config: c}, nil }

// Apply implements [engine.Engine]. Users come and go without touching anybody
// else's connections. Between a method of 2022 and another one there is no way
// that keeps them.
func (e *Engine) Apply(ctx context.Context, spec vpn.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	if spec.Server.Protocol != shadowsocks.Name {
		return vpn.Errorf(vpn.Invalid, "%q is not %s", spec.Server.Protocol, shadowsocks.Name)
	}
	set, err := shadowsocks.ParseSettings(spec.Server.Settings)
	if err != nil {
		return err
	}
	of2022 := set.Method.Is2022()
	if e.runs != nil && e.of2022 != of2022 {
		if err := e.runs.Close(); err != nil {
			return err
		}
		e.runs = nil
	}
	if e.runs == nil {
		if e.runs, err = pick(of2022)(e.config); err != nil {
			return err
		}
		e.of2022 = of2022
	}
	return e.runs.Apply(ctx, spec)
}

// pick returns how the engine is made of methods of 2022, or of others.
func pick(of2022 bool) engine.New {
	if of2022 {
		return sip022.New
	}
	return newAEAD
}

// Close implements [engine.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.runs == nil {
		return nil
	}
	return e.runs.Close()
}
