// Package wireguard carries WireGuard, by wireguard-go, with packets between
// the tunnel and the internet going one of two ways: over a TUN device, where
// this process may have one, or through a network stack of its own in user
// space, which takes no privilege.
//
// Who sent a packet is known by its source address: wireguard-go lets a device
// send from its own addresses alone. Each device that is heard of has one flow
// of the meter. Over a TUN every packet asks it, and a byte is one of an IP
// packet; in user space every stream and datagram does, and a byte is one of
// payload, as with the other protocols. A device whose user is blocked stays
// known to wireguard-go: one that was removed and added again would not come
// back before its next handshake.
//
// It decides nothing about users and stores nothing.
package wireguard

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// How long a device that is not granted any more stays known, so that the ends
// of its connections reach it: nothing else of its does.
const (
	// goodbye is that of one that was removed.
	goodbye = time.Second
	// farewell is that of one whose address another has, or the same with other
	// keys: meanwhile that one has to wait, and so has Apply.
	farewell = 200 * time.Millisecond
)

// Engine implements [engine.Engine].
type Engine struct {
	log   *slog.Logger
	meter *meter.Meter
	guard *egress.Guard
	live  *inbound.Registry // streams and datagram associations in user space
	peers atomic.Pointer[peers]
	bind  *bind
	sweep *sweeper

	tunnel int // a descriptor; 0: none

	running atomic.Pointer[device.Device] // nil: nothing runs
	way     atomic.Pointer[carrier]       // of running

	mu      sync.Mutex // held by Apply and Close
	closed  bool
	spec    vpn.ServerSpec // what runs
	set     settings       // of spec
	leaving map[wireguard.Key]*time.Timer
}

// A carrier is what packets of the tunnel go through.
type carrier struct {
	tun.Device
	name   string // as [wireguard.Settings.Carrier] calls it
	reason string // why it is not what was asked for
}

// settings are what of a server's settings the engine is made from.
type settings struct {
	keys    wireguard.Keys
	network wireguard.Network
	mtu     int
	carrier string
}

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Carried = (*Engine)(nil)
)

// New returns an engine that serves nothing yet.
func New(c engine.Config) (engine.Engine, error) {
	return newEngine(c, patience{sweepEvery, silence}), nil
}

func newEngine(c engine.Config, p patience) *Engine {
	e := &Engine{
		log: c.Log, meter: c.Meter, guard: c.Guard, live: inbound.NewRegistry(), bind: newBind(), tunnel: c.Tunnel,
		leaving: map[wireguard.Key]*time.Timer{},
	}
	e.peers.Store(&peers{})
	e.sweep = newSweeper(e, p)
	return e
}

// Apply implements [engine.Engine]. Devices come and go, and the listener
// moves, without touching other devices; another subnet, MTU, key or carrier
// begins anew.
func (e *Engine) Apply(ctx context.Context, spec vpn.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	// What can fail comes first, so that a spec is applied wholly or not at all.
	set, err := parse(spec.Server)
	if err != nil {
		return err
	}
	old, anew := e.peers.Load(), e.running.Load() == nil || set != e.set
	known := old
	if anew {
		known = &peers{} // the others end with what they went through
	}
	next, gone, err := known.plan(spec.Grants, set.network)
	if err != nil {
		return err
	}
	if err := e.bind.open(spec.Server.Listen, spec.Server.Port); err != nil {
		return errors.Join(err, e.rebind())
	}
	if anew {
		if err := e.begin(spec.Server, set, next); err != nil {
			return err
		}
		for _, p := range old.all() {
			p.close()
		}
	} else {
		e.leave(ctx, gone, next)
		e.peers.Store(next)
		if err := e.tell(next.missing(old)); err != nil {
			return err
		}
		if err := e.rebind(); err != nil {
			return err
		}
	}
	e.spec, e.set = spec.Server, set
	e.sweep.limitMemory(len(next.byAddr) / 2)
	return nil
}

func parse(spec vpn.ServerSpec) (settings, error) {
	if spec.Protocol != wireguard.Name {
		return settings{}, vpn.Errorf(vpn.Invalid, "%q is not WireGuard", spec.Protocol)
	}
	s, err := wireguard.ParseSettings(spec.Settings)
	if err != nil {
		return settings{}, err
	}
	n, err := s.Network()
	if err != nil {
		return settings{}, err
	}
	if n.Seats() == 0 {
		return settings{}, vpn.Errorf(vpn.Invalid, "the server has no subnets").WithHint("create it anew")
	}
	keys, err := wireguard.ParseKeys(spec.Private)
	if err != nil {
		return settings{}, err
	}
	if keys.PrivateKey.IsZero() {
		return settings{}, vpn.Errorf(vpn.Invalid, "the server has no key").WithHint("create it anew")
	}
	return settings{keys: keys, network: n, mtu: s.MTUBytes(), carrier: s.Carrier}, nil
}

// rebind makes wireguard-go use the place that was opened last.
func (e *Engine) rebind() error {
	d := e.running.Load()
	if d == nil || !e.bind.moves() {
		return nil
	}
	if err := d.BindUpdate(); err != nil {
		return err
	}
	// They learn the new port from this, where no translator keeps it out.
	d.SendKeepalivesToPeersWithCurrentKeypair()
	return nil
}

// begin replaces what runs. After an error what ran before runs again, or
// nothing does.
func (e *Engine) begin(spec vpn.ServerSpec, set settings, next *peers) error {
	had, old := e.running.Load() != nil, e.peers.Load()
	e.end()
	e.peers.Store(next)
	err := e.start(spec, set, next)
	if err == nil {
		return nil
	}
	e.bind.cancel()
	e.peers.Store(old)
	if !had {
		return err
	}
	if lost := e.bind.open(e.spec.Listen, e.spec.Port); lost != nil {
		return errors.Join(err, lost)
	}
	if lost := e.start(e.spec, e.set, old); lost != nil {
		return errors.Join(err, lost)
	}
	return err
}

// start makes a device that is up.
func (e *Engine) start(spec vpn.ServerSpec, set settings, next *peers) error {
	c, err := e.carry(spec, set)
	if err != nil {
		return err
	}
	d := device.NewDevice(c.Device, e.bind, &device.Logger{Verbosef: e.pass, Errorf: e.pass})
	err = d.IpcSet("private_key=" + hexed(set.keys.PrivateKey) + "\n" + describe(next.all()))
	if err == nil {
		err = d.Up()
	}
	if err != nil {
		d.Close()
		return err
	}
	e.way.Store(&c)
	e.running.Store(d)
	return nil
}

// end closes what runs.
func (e *Engine) end() {
	d := e.running.Swap(nil)
	if d == nil {
		return
	}
	e.live.End(e.peers.Load().credentials())
	for k, t := range e.leaving {
		t.Stop()
		delete(e.leaving, k)
	}
	d.Close()
	e.way.Store(nil)
}

// leave ends what lives of peers that are gone, and lets wireguard-go forget
// them in a moment: before it returns, if their keys or addresses are next's
// for others.
func (e *Engine) leave(ctx context.Context, gone []*peer, next *peers) {
	ended := map[vpn.CredentialID]bool{}
	var succeeded []*peer // by others at their addresses
	for _, p := range gone {
		if next.byAddr[p.four] != nil {
			succeeded = append(succeeded, p)
		}
	}
	e.peers.Store(next.without(succeeded))
	live := false
	for _, p := range gone {
		ended[p.credential] = true
		had := p.close()
		live = live || had && next.byAddr[p.four] != nil
		e.part(p)
	}
	e.live.End(ended)
	if live {
		select {
		case <-time.After(farewell):
		case <-ctx.Done():
		}
	}
	for _, p := range gone {
		heir := next.byAddr[p.four]
		if heir != nil {
			heir.past.cut() // what comes for the one before is not its
		}
		switch {
		case next.byKey[p.public] != nil: // tell says what has changed
		case heir != nil:
			e.forget(p.public)
		default:
			e.leaving[p.public] = time.AfterFunc(goodbye, func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				if _, still := e.leaving[p.public]; still {
					e.forget(p.public)
				}
			})
		}
	}
}

// forget makes wireguard-go forget a device.
func (e *Engine) forget(k wireguard.Key) {
	if t := e.leaving[k]; t != nil {
		t.Stop()
	}
	delete(e.leaving, k)
	if d := e.running.Load(); d != nil {
		d.RemovePeer(device.NoisePublicKey(k))
	}
}

// tell makes wireguard-go know peers.
func (e *Engine) tell(ps []*peer) error {
	for _, p := range ps {
		if t := e.leaving[p.public]; t != nil {
			t.Stop()
			delete(e.leaving, p.public)
		}
	}
	if len(ps) == 0 {
		return nil
	}
	return e.running.Load().IpcSet(describe(ps))
}

// Close implements [engine.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.sweep.close()
	e.live.Close()
	e.end()
	for _, p := range e.peers.Load().all() {
		p.close()
	}
	e.bind.shut()
	if e.tunnel != 0 {
		closeTUN(e.tunnel)
	}
	return nil
}

// Carrier implements [engine.Carried].
func (e *Engine) Carrier() (name, reason string) {
	if c := e.way.Load(); c != nil {
		return c.name, c.reason
	}
	return "", ""
}

// carry makes what carries packets. A TUN device that cannot be had is no
// error: user space always can.
func (e *Engine) carry(spec vpn.ServerSpec, set settings) (carrier, error) {
	c := carrier{name: wireguard.Userspace}
	if set.carrier != wireguard.Userspace {
		t, err := e.newTUN(spec, set)
		if err == nil {
			return t, nil
		}
		c.reason = err.Error()
		if set.carrier == wireguard.TUN {
			e.log.Warn("there can be no TUN device: packets go through user space", slog.Any("err", err))
		}
	}
	s, err := newNetstack(e, set)
	c.Device = s
	return c, err
}

// peerOf returns the peer that has an address in the tunnel, or nil.
func (e *Engine) peerOf(a netip.Addr) *peer { return e.peers.Load().byAddr[a] }
