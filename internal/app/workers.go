package app

import (
	"context"

	"vpn/internal/vpn"
)

// Workers is where servers' workers live: it starts, finds and ends them.
// Package runtimetest says what an implementation promises. At most one
// worker per server lives at any time, whatever happens to the control plane.
// Methods may be called concurrently.
type Workers interface {
	// Find returns the server's worker, or nil if it has none. It waits for
	// one that is just being born. A worker that lives but does not answer is
	// returned too.
	Find(ctx context.Context, s vpn.ServerID) (Worker, error)

	// Start starts a worker for a server that has none, and returns once it
	// answers. It knows nothing yet: the caller pushes a spec.
	Start(ctx context.Context, s vpn.Server) (Worker, error)

	// Remains returns the final counters that the server's last worker left
	// behind, or nil. They stay until Discard, which removes all that it left,
	// or the next Start. Of a living worker Discard removes nothing.
	Remains(ctx context.Context, s vpn.ServerID) (*vpn.Counters, error)
	Discard(ctx context.Context, s vpn.ServerID) error

	// List returns the servers that have a worker here, of this store.
	List(ctx context.Context) ([]vpn.ServerID, error)
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

	// Stop ends the worker in order and returns its final counters once its
	// process has ended. Kill ends it at once; it returns when the process
	// has ended.
	Stop(ctx context.Context) (*vpn.Counters, error)
	Kill(ctx context.Context) error

	// Done is closed when the process has ended.
	Done() <-chan struct{}
}
