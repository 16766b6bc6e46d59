package app

import (
	"context"

	"vpn/internal/vpn"
)

// A Place is where the worker of a server lives, or could: one of the
// server's runtimes.
type Place struct {
	Server  vpn.ServerID
	Runtime string // as [vpn.Server.Runtime]
}

// Workers is where servers' workers live: it starts, finds and ends them.
// Package runtimetest says what an implementation promises. At most one
// worker per place lives at any time, whatever happens to the control plane.
// Methods may be called concurrently. They fail with kind [vpn.Unavailable] if
// it cannot be known how the worker is; that is no sign of its end.
type Workers interface {
	// Find returns the server's worker, or nil if it has none. It waits for
	// one that is just being born. A worker that lives but does not answer is
	// returned too.
	Find(ctx context.Context, p Place) (Worker, error)

	// Start starts a worker for a server that has none, and returns once it
	// answers. It knows nothing yet: the caller pushes a spec.
	Start(ctx context.Context, s vpn.Server) (Worker, error)

	// Remains returns the final counters that workers of the server left
	// behind: one for each that ended in order since they were last discarded,
	// as far as the runtime keeps them. A Start may forget them, and they may
	// be there while the next worker lives.
	Remains(ctx context.Context, p Place) ([]vpn.Counters, error)

	// Discard removes the counters of the epochs, and of no others. Once there
	// are none left, and no worker that lives or will live again by itself, it
	// removes all else that was made for the server: nothing is left of it.
	Discard(ctx context.Context, p Place, epochs ...string) error

	// List returns the places that have a worker, of this store.
	List(ctx context.Context) ([]Place, error)
}

// A Watcher is [Workers] that sees by itself what happens to a worker.
type Watcher interface {
	// Changed tells of places whose keepers should look at them now.
	Changed() <-chan Place
}

// A Contained is a [Worker] in a container.
type Contained interface {
	Container() string // its name
}

// An Explained is a [Worker] that may know why it has ended.
type Explained interface {
	Cause(ctx context.Context) string // for people; "" if that is not known
}

// Worker is one running worker. Its calls fail with kind [vpn.Unavailable]
// when it does not answer in time, and with [vpn.Conflict] when a patch does
// not fit its revision, or ceilings or shares its epoch or their turn.
type Worker interface {
	Health(ctx context.Context) (vpn.Health, error)
	Put(ctx context.Context, s vpn.Spec) error
	Patch(ctx context.Context, p vpn.Patch) error
	SetCeilings(ctx context.Context, epoch string, cs vpn.Ceilings) (vpn.Counters, error)
	Ceilings(ctx context.Context) (vpn.Ceilings, error)
	SetShares(ctx context.Context, epoch string, s vpn.Shares) error
	Shares(ctx context.Context) (vpn.Shares, error)
	Usage(ctx context.Context, after uint64) (vpn.Counters, error)
	Sessions(ctx context.Context) ([]vpn.Session, error)
	Kick(ctx context.Context, u vpn.UserID) (int, error)
	SetLog(ctx context.Context, l vpn.Logging) error // no error if it cannot

	// Stop ends the worker in order and returns its final counters once its
	// process has ended. Kill ends it at once; it returns when the process
	// has ended.
	Stop(ctx context.Context) (*vpn.Counters, error)
	Kill(ctx context.Context) error

	// Done is closed when the process has ended.
	Done() <-chan struct{}
}
