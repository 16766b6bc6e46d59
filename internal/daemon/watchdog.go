package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// stuckAfter is how long the reconciler's loop, which turns every second, may
// stand still: longer than a slow disk or a worker that hangs can hold it up.
const stuckAfter = 20 * time.Second

// A watchdog tells the service manager that the control plane works, as long
// as it does: the reconciler's loop turns, and the API answers from the store.
// When it no longer does, nothing is told, and the service manager starts
// another, which the workers do not notice.
type watchdog struct {
	every time.Duration // 0: nobody watches
	stuck time.Duration // how long turns may stand still
	turns func() uint64
	ask   func(context.Context) error
	tell  func()
	log   *slog.Logger
}

// watchdogPeriod returns how often the service manager wants to hear: at half
// of the time after which it loses patience. It returns 0 if it wants nothing
// of this process.
func watchdogPeriod(environ func(string) string, pid int) time.Duration {
	usec, err := strconv.ParseInt(environ("WATCHDOG_USEC"), 10, 64)
	who := environ("WATCHDOG_PID")
	if err != nil || usec <= 0 || who != "" && who != strconv.Itoa(pid) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}

// run watches until ctx ends.
func (w watchdog) run(ctx context.Context) {
	if w.every == 0 {
		return
	}
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	last, since := w.turns(), time.Now()
	hangs := false
	for {
		if now := w.turns(); now != last {
			last, since = now, time.Now()
		}
		err := w.check(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			w.tell()
		case !hangs:
			w.log.Error("the control plane hangs; the service manager's watchdog is left to end it", slog.Any("err", err))
		}
		hangs = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w watchdog) check(ctx context.Context, turned time.Time) error {
	if still := time.Since(turned); still > w.stuck {
		return fmt.Errorf("the reconciler has not turned for %s", still.Round(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, w.every)
	defer cancel()
	if err := w.ask(ctx); err != nil {
		return fmt.Errorf("the API does not answer: %w", err)
	}
	return nil
}
