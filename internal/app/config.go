package app

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Config is what the use cases are made of.
type Config struct {
	Store      Store
	Workers    Workers
	Protocols  protocol.Set
	Settlers   map[vpn.Protocol]Settler // may lack a protocol that needs none
	Network    Network
	Tunnels    Tunnels // nil: servers have none
	Logs       Logs
	Log        *slog.Logger
	Now        func() time.Time
	Version    string
	DataDir    string
	Runtime    string  // where a new server's worker lives, if nobody says; empty: [vpn.RuntimeProcess]
	PublicHost string  // what clients dial, where a server does not say; see [App.SetPublicHost]
	Process    Process // the daemon; nil: there is none

	// Ready makes a runtime ready to start a worker, which may take a while the
	// first time, or returns an error if it cannot be. With look it changes
	// nothing. It may be nil.
	Ready func(ctx context.Context, runtime string, look bool) error

	// Configuration is the control plane's; nil: nothing is known of it.
	Configuration Configuration

	// Host tells how the machine is. It may be nil.
	Host func(context.Context) (vpn.Host, error)

	// Leaving is closed when whoever follows something has to go. It may be
	// nil.
	Leaving <-chan struct{}

	// FreeSpace returns how many bytes can still be stored in a directory, and
	// whether that is known. It may be nil.
	FreeSpace func(dir string) (uint64, bool)
}

// Process is the daemon as its own use cases see it.
type Process interface {
	// Reload reads the configuration again and returns the keys that have
	// changed. With an error everything is as it was.
	Reload(ctx context.Context) (changed []string, err error)

	// CheckReload does what Reload does up to the change, which it does not
	// make. Nobody is warned of what it finds.
	CheckReload(ctx context.Context) (changed []string, err error)

	// Upgrade goes over to the program that is installed now, which was found
	// fit for it, once the requests that are under way have been answered.
	Upgrade(ctx context.Context) (vpn.Upgrade, error)

	// Executable is the file of that program.
	Executable() string

	// Warnings are what a person should know of reloads and upgrades that
	// failed, until one succeeds.
	Warnings() []string
}

// A Settler decides what of a protocol's settings cannot be decided without a
// look at the network, and checks what was given. It returns warnings for a
// person. With check false it only decides.
type Settler interface {
	Settle(ctx context.Context, s vpn.Server, check bool) (vpn.Server, []string, error)
}

// Network is what the use cases want to know of this machine's network.
type Network interface {
	// ProbeTCP returns an error of kind [vpn.Conflict] that names the holder,
	// if it is known, when nothing new can listen there; ProbeUDP does when
	// nothing new can take datagrams.
	ProbeTCP(listen netip.Addr, port uint16) error
	ProbeUDP(listen netip.Addr, port uint16) error

	// DefaultAddr returns this machine's address on its default route.
	DefaultAddr() (netip.Addr, bool)

	// Blocked says, for a person, which firewall of this machine keeps
	// strangers from a port, and what opens it: only what is certain, and at
	// once. The network is "tcp" or "udp".
	Blocked(network string, listen netip.Addr, port uint16) []string
}

// Tunnels are the TUN devices of servers whose clients send whole packets
// (see [protocol.Tunneler]), the way to the internet that this host gives
// them, and the guard in front of everything else. Whoever starts a worker
// opens its device.
type Tunnels interface {
	// Apply makes the device of s, and the rules around it, what s says. It
	// does nothing if s has no device.
	Apply(s vpn.Server) error

	// Remove takes away what there is of a server that has no worker. It is
	// no error if that is nothing.
	Remove(id vpn.ServerID) error

	// Collect removes what is left of servers that are not among the living.
	Collect(living []vpn.ServerID) error

	// Warnings say, for a person, what keeps the clients of s from the
	// internet, or from the device that they were meant to have: only what is
	// certain, and at once.
	Warnings(s vpn.Server) []string

	// Changes say, for a person, what of this host was changed for s, and
	// stays so when s is gone.
	Changes(s vpn.Server) []string
}

// noTunnels are those of a host that has none.
type noTunnels struct{}

func (noTunnels) Apply(vpn.Server) error       { return nil }
func (noTunnels) Remove(vpn.ServerID) error    { return nil }
func (noTunnels) Collect([]vpn.ServerID) error { return nil }
func (noTunnels) Warnings(vpn.Server) []string { return nil }
func (noTunnels) Changes(vpn.Server) []string  { return nil }

// Logs opens what a server's workers have logged: the last tail lines and,
// following, what comes until ctx ends.
type Logs interface {
	// Open returns the last tail lines of a server's log that are not older
	// than since and, following, what comes until ctx ends.
	Open(ctx context.Context, s vpn.Server, follow bool, tail int, since time.Time) (io.ReadCloser, error)

	// Lines returns the lines that q selects of the logs of from, by time, the
	// last of them first and, following, what comes until ctx ends.
	Lines(ctx context.Context, from LogSources, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error)
}

// LogSources are whose logs are wanted.
type LogSources struct {
	ControlPlane bool
	Servers      func(context.Context) ([]vpn.Server, error) // asked again and again while they are followed
}

// App holds the use cases, one field per noun.
type App struct {
	Users      *Users
	Devices    *Devices
	Servers    *Servers
	Usage      *Usage
	System     *SystemInfo
	Reconciler *Reconciler
}

// New returns the use cases over c. Nothing runs before somebody asks.
func New(c Config) *App {
	feeds := &feeds{}
	store := &watched{Store: c.Store, feeds: feeds}
	c.Store = store
	if c.Tunnels == nil {
		c.Tunnels = noTunnels{}
	}
	r := NewReconciler(c.Store, c.Workers, c.Network, c.Log, c.Now)
	r.tunnels = c.Tunnels
	r.feeds, r.onlooker.feeds = feeds, feeds
	c.Now = r.clock.Now
	core := &core{Config: c, store: store, reconciler: follower{Reconciler: r}, publicHost: new(atomic.Pointer[string]), runtime: new(atomic.Pointer[string])}
	core.publicHost.Store(&c.PublicHost)
	if c.Runtime == "" {
		c.Runtime = vpn.RuntimeProcess
	}
	core.runtime.Store(&c.Runtime)
	return &App{
		Users:      &Users{core},
		Devices:    &Devices{core},
		Servers:    &Servers{core},
		Usage:      &Usage{core},
		System:     &SystemInfo{core: core, since: c.Now()},
		Reconciler: r,
	}
}

// SetPublicHost changes what clients dial, where a server does not say.
func (a *App) SetPublicHost(host string) { a.System.publicHost.Store(&host) }

// SetRuntime changes where a new server's worker lives, if nobody says.
func (a *App) SetRuntime(runtime string) { a.System.runtime.Store(&runtime) }

// core is what all use cases share.
type core struct {
	Config
	store      *watched // what Config.Store is, but in a dry run
	reconciler follower
	publicHost *atomic.Pointer[string]
	runtime    *atomic.Pointer[string]
}

// record adds an event to the audit log, in the transaction of the change.
func (c *core) record(tx Tx, a Actor, action, subject, detail string) error {
	return tx.Events.Add(vpn.Event{At: c.Now(), Actor: a.Name, Action: action, Subject: subject, Detail: detail})
}

// note is record for what changes nothing in the store, and is done whether or
// not that can be written.
func (c *core) note(ctx context.Context, a Actor, action, subject, detail string) {
	err := c.Store.Update(ctx, func(tx Tx) error { return c.record(tx, a, action, subject, detail) })
	if err != nil {
		c.Log.Warn("this is not in the audit log", slog.String("action", action), slog.String("subject", subject),
			slog.String("detail", detail), slog.String("actor", a.Name), slog.Any("err", err))
	}
}
