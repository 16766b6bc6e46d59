package app

import (
	"context"
	"errors"

	"vpn/internal/vpn"
)

// DryRun returns the same use cases, of which nothing is kept: they check
// everything and answer as they would, but their transactions are rolled back
// and no worker is told anything. What they answer says so.
//
// Links are left empty: the secrets in them were made up for the occasion, and
// the real run makes others. So are the IDs and the public keys.
func (a *App) DryRun() *App {
	core := *a.Users.core
	core.Store = rolledBack{core.Store}
	core.reconciler.dry = true
	return &App{
		Users:      &Users{&core},
		Devices:    &Devices{&core},
		Servers:    &Servers{&core},
		Usage:      &Usage{&core},
		System:     &SystemInfo{core: &core, since: a.System.since},
		Reconciler: a.Reconciler,
	}
}

func (c *core) dryRun() bool { return c.reconciler.dry }

// rolledBack is a store that forgets what was changed.
type rolledBack struct{ Store }

var errRollBack = errors.New("dry run")

// Update implements [Store].
func (s rolledBack) Update(ctx context.Context, fn func(Tx) error) error {
	err := s.Store.Update(ctx, func(tx Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRollBack
	})
	switch {
	case errors.Is(err, errRollBack):
		return nil
	case err == nil:
		return errors.New("a dry run was committed") // no store does that
	}
	return err
}

// follower is the reconciler as the use cases have it. In a dry run it looks
// at workers and touches none.
type follower struct {
	*Reconciler
	dry bool
}

// Sync is [Reconciler.Sync]. In a dry run nobody has to follow: it reports
// whether there is somebody to make them.
func (f follower) Sync(ctx context.Context, servers ...vpn.ServerID) bool {
	if f.dry {
		return f.Supervising()
	}
	return f.Reconciler.Sync(ctx, servers...)
}

// syncStart is Sync for a change that may start the worker of s.
func (f follower) syncStart(ctx context.Context, s vpn.Server) bool {
	if f.dry || s.Container == nil {
		return f.Sync(ctx, s.ID)
	}
	return syncWithin(ctx, f.Reconciler, containerWait, s.ID)
}

// Restart is [Reconciler.Restart].
func (f follower) Restart(ctx context.Context, at Place) error {
	if f.dry {
		return mayRestart(f.Reconciler)
	}
	return f.Reconciler.Restart(ctx, at)
}

// kick drops a user's live connections, or counts them.
func (f follower) kick(ctx context.Context, u vpn.UserID) (int, error) {
	if f.dry {
		return f.connections(ctx, u)
	}
	return f.Reconciler.kick(ctx, u)
}

// connections counts a user's live connections on every worker.
func (f follower) connections(ctx context.Context, u vpn.UserID) (int, error) {
	f.glance(ctx)
	var (
		total int
		errs  []error
	)
	for _, p := range f.purses() {
		found, err := p.worker.Sessions(ctx)
		for _, s := range found {
			if s.User == u {
				total++
			}
		}
		errs = append(errs, f.blame(ctx, p.server, err))
	}
	return total, errors.Join(errs...)
}

// describe returns the condition of a server, in a dry run the one that it
// would come to.
func (f follower) describe(s vpn.Server) condition {
	c := f.Reconciler.describe(s)
	switch {
	case !f.dry:
	case !s.Enabled, !s.DeletedAt.IsZero():
		return condition{state: vpn.Stopped}
	case c.state == vpn.Stopped && f.Supervising():
		return condition{state: vpn.Starting}
	}
	return c
}
