package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// logWait is how long a change of the configuration waits for workers to hear
// how they are to log.
const logWait = 2 * time.Second

// SetLogging changes how workers log. Those that there are have been told when
// it returns, unless they do not answer; others are when they are found or
// started. Only a control plane that supervises tells them: a command that
// looks in has no say in it.
func (a *App) SetLogging(l vpn.Logging) {
	r := a.Reconciler
	r.logging.Store(&l)
	if !r.Supervising() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logWait)
	defer cancel()
	var told sync.WaitGroup
	for _, k := range r.all() {
		told.Go(func() { _ = k.steps.ask(ctx) }) // its keeper goes on trying, and says so
	}
	told.Wait()
}

// tellLog tells the worker how to log, if it does not know. A worker that does
// not take it serves all the same.
func tellLog(ctx context.Context, k *keeper, w Worker) error {
	l := k.r.logging.Load()
	if l == nil || k.logs == l || !k.r.Supervising() {
		return nil
	}
	err := w.SetLog(ctx, *l)
	if vpn.KindOf(err) == vpn.Unavailable {
		return err
	}
	k.logs = l
	if err != nil {
		k.r.log.Warn("a worker does not log as it should", slog.String("server", k.label()), slog.Any("err", err))
	}
	return nil
}
