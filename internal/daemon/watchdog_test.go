package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
)

// patient is longer than anything takes on a busy machine.
const patient = 10 * time.Second

// until waits for ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patient)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: waited in vain", what)
		case <-tick.C:
		}
	}
}

// The service manager hears of a control plane while it works, hears nothing
// while a part of it is stuck, and hears again when that goes on.
func TestWatchdog(t *testing.T) {
	var (
		turns, told atomic.Uint64
		turning     atomic.Bool
		apiHangs    atomic.Bool
		storeFails  atomic.Bool
	)
	turning.Store(true)
	w := watchdog{
		every: 2 * time.Millisecond, stuck: 50 * time.Millisecond, log: slog.New(slog.DiscardHandler),
		turns: func() uint64 {
			if turning.Load() {
				turns.Add(1)
			}
			return turns.Load()
		},
		ask: func(ctx context.Context) error {
			if apiHangs.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			if storeFails.Load() {
				return errors.New("the store is gone")
			}
			return nil
		},
		tell: func() { told.Add(1) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.run(ctx)
		close(done)
	}()
	heard := func(what string) {
		t.Helper()
		before := told.Load()
		until(t, what, func() bool { return told.Load() > before+2 })
	}
	silent := func(what string) {
		t.Helper()
		// What is under way may still be told; then nothing, for many periods.
		var since time.Time
		last := told.Load()
		until(t, what, func() bool {
			if now := told.Load(); now != last || since.IsZero() {
				last, since = now, time.Now()
			}
			return time.Since(since) > 100*time.Millisecond
		})
	}
	heard("at work")
	turning.Store(false)
	silent("a loop that does not turn")
	turning.Store(true)
	heard("a loop that turns again")
	apiHangs.Store(true)
	silent("an API that does not answer")
	apiHangs.Store(false)
	heard("an API that answers again")
	storeFails.Store(true)
	silent("a store that fails")
	cancel()
	<-done
}

func TestWatchdogPeriod(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"3000000", "", 1500 * time.Millisecond},
		{"3000000", "42", 1500 * time.Millisecond},
		{"3000000", "43", 0}, // a parent's
		{"-1", "", 0},
		{"soon", "", 0},
	} {
		env := map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}
		if got := watchdogPeriod(func(k string) string { return env[k] }, 42); got != c.want {
			t.Errorf("%s for %q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}
