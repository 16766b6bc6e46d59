//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// benchMemory measures what a thousand connections cost, and what they leave
// behind.
func benchMemory(t *testing.T, r *report) {
	const users = 1000
	const settle = 10 * time.Second
	const givenBack = 40 * time.Second // the engine gives memory back at most each 30 s
	i, _ := install(t, 1)
	pause(t.Context(), settle)
	memory(t, r, i, "idle", 40e6)

	client := i.World.Xray(t, i.CreateUsers("m", users)...)
	conns := make([]*xfer.Conn, users)
	errs := make([]error, users)
	each(users, 16, func(k int) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		conns[k], errs[k] = client.Open(ctx, k, k%2 == 1)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	online(t, i, users)
	pause(t.Context(), settle)
	memory(t, r, i, "1,000 users, each with a live connection", 130e6)

	for _, c := range conns {
		c.Close()
	}
	online(t, i, 0)
	pause(t.Context(), givenBack)
	memory(t, r, i, fmt.Sprintf("%v after these have ended", givenBack), 0)
}

// memory adds a row about the proportional set size of control plane and
// worker: pages that both use, such as the program's own, count half each.
func memory(t *testing.T, r *report, i *rig.Instance, when string, budget uint64) {
	t.Helper()
	daemon, derr := rig.Memory(i.Daemon().PID())
	worker, werr := rig.Memory(i.OneWorker())
	if err := errors.Join(derr, werr); err != nil {
		t.Fatal(err)
	}
	r.size(t, "memory (PSS) of control plane + worker, "+when, budget, daemon, worker)
}

// online waits until so many connections are counted.
func online(t *testing.T, i *rig.Instance, want int) {
	t.Helper()
	rig.Until(t, 10*time.Second, func() error {
		s, err := i.Status()
		if err == nil && s.Online != want {
			err = fmt.Errorf("online %d", s.Online)
		}
		return err
	})
}
