// Package vless carries VLESS over TCP with REALITY and Vision, by xray-core
// as a library.
//
// Of xray-core it uses what speaks the protocol: the REALITY handshake, the
// VLESS inbound, which authenticates users and unpads Vision, and the
// multiplexer for datagrams. The listener, the way to destinations, the
// counting and the limits are its own, so that nothing is dialed before the
// meter and the guard have agreed, and no connection is out of reach of
// [Engine.Close]. Neither xray's listeners, routing, name resolution and
// outbounds are used, nor its configuration files.
//
// It decides nothing about users and stores nothing.
package vless

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/xtls/reality"
	"github.com/xtls/xray-core/common/log"

	"vpn/internal/engine"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/splice"
	"vpn/internal/vpn"
)

// running is set while an engine lives. xray-core has one log and one table
// of datagram associations for the whole process.
//
//nolint:gochecknoglobals // it stands for state that is the process's anyway
var running atomic.Bool

// Engine implements [engine.Engine].
type Engine struct {
	log     *slog.Logger
	live    *inbound.Registry
	gate    *inbound.Gate
	door    *door // the protocol
	reality atomic.Pointer[reality.Config]
	pipes   *splice.Pipes
	wires   *wires

	mu     sync.Mutex // held by Apply and Close
	closed bool
	users  users
	server *server // nil until the first Apply has succeeded
}

// A server is the part of a spec that is not about users, as it runs.
type server struct {
	spec   vpn.ServerSpec
	facade *facade
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that serves nothing yet. There can be one at a time
// in a process: while another lives, the error is of kind [vpn.Conflict].
func New(c engine.Config) (engine.Engine, error) {
	if !running.CompareAndSwap(false, true) {
		return nil, vpn.Errorf(vpn.Conflict, "this process runs a vless engine already").
			WithHint("run each server in a worker of its own")
	}
	log.RegisterHandler(xrayLog{c.Log})
	live, pipes := inbound.NewRegistry(), new(splice.Pipes)
	door, err := newDoor(&dispatcher{meter: c.Meter, guard: c.Guard, live: live, pipes: pipes, log: c.Log})
	if err != nil {
		running.Store(false)
		return nil, err
	}
	e := &Engine{log: c.Log, live: live, pipes: pipes, wires: newWires(), door: door, users: users{}}
	e.gate = inbound.NewGate(c.Log, e.serve)
	return e, nil
}

// Apply implements [engine.Engine]. Users come and go without touching
// anybody else's connections, and so do changes of the server's settings:
// they hold for new connections.
func (e *Engine) Apply(ctx context.Context, spec vpn.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	// What can fail comes first, so that a spec is applied wholly or not at all.
	change, err := e.users.plan(spec.Grants)
	if err != nil {
		return err
	}
	old := e.server
	if old != nil && sameServer(old.spec, spec.Server) {
		return e.applyUsers(change)
	}
	next, err := e.open(ctx, spec.Server)
	if err != nil {
		return err
	}
	if err := e.applyUsers(change); err != nil {
		next.facade.close()
		e.shut() // the next Apply begins anew
		return err
	}
	e.reality.Store(next.facade.config)
	e.server = next
	e.gate.Serve()
	if old != nil {
		old.facade.close()
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
	e.shut()
	e.live.Close()
	e.pipes.Close()
	log.RegisterHandler(xrayLog{slog.New(slog.DiscardHandler)})
	running.Store(false)
	return nil
}

// applyUsers lets users in and out. A credential that is gone, or whose
// secret is another now, loses its connections.
func (e *Engine) applyUsers(c userChange) error {
	if err := e.users.apply(e.door.users, c); err != nil {
		return err
	}
	e.live.End(c.remove)
	return nil
}

// open makes the part of a server that is not about users, in front of the
// one that runs. After an error that one is as it was.
func (e *Engine) open(ctx context.Context, spec vpn.ServerSpec) (*server, error) {
	f, err := newFacade(spec, e.log)
	if err != nil {
		return nil, err
	}
	if err := e.gate.Open(ctx, spec.Listen, spec.Port); err != nil {
		f.close()
		if e.gate.Closed() {
			e.shut() // the next Apply begins anew
		}
		return nil, err
	}
	return &server{spec: spec, facade: f}, nil
}

// shut ends what runs of a server but for its connections.
func (e *Engine) shut() {
	e.gate.Close()
	if e.server != nil {
		e.server.facade.close()
		e.server = nil
	}
}

// sameServer reports whether a and b differ in nothing that a listener or a
// handshake is made from.
func sameServer(a, b vpn.ServerSpec) bool {
	return a.Listen == b.Listen && a.Port == b.Port &&
		bytes.Equal(a.Settings, b.Settings) && a.Private.Equal(b.Private)
}
