//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// A thousand users are connected at once, each counted by itself, in the
// memory of a small machine.
func TestThousandUsersAtOnce(t *testing.T) {
	const users = 1000
	const budget = 130 << 20 // proportional set size of control plane and worker
	i, logins := install(t, users)
	client := i.World.Xray(t, logins...)
	conns := make([]*xfer.Conn, users)
	errs := make([]error, users)
	each(users, 32, func(k int) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		conns[k], errs[k] = client.Open(ctx, k, k%2 == 1)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	defer each(users, users, func(k int) { conns[k].Close() })
	for range 2 {
		each(users, 32, func(k int) { errs[k] = errors.Join(errs[k], conns[k].Echo(1000+k)) })
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 3*time.Second, func() error {
		s, err := i.Status()
		if err == nil && s.Online != users {
			err = fmt.Errorf("online %d", s.Online)
		}
		return err
	})
	daemon, derr := rig.Memory(i.Daemon().PID())
	worker, werr := rig.Memory(i.OneWorker())
	t.Logf("memory: control plane %d MB, worker %d MB", daemon>>20, worker>>20)
	if all := daemon + worker; derr != nil || werr != nil || all > budget && !rig.Slow() {
		t.Errorf("%d MB, the budget is %d; %v %v", all>>20, budget>>20, derr, werr)
	}

	// A change among so many still disturbs nobody else and comes at once.
	start := time.Now()
	i.Must("users", "delete", "u500", "--yes")
	if !conns[500].Ended(5*time.Second) || time.Since(start) > time.Second && !rig.Slow() {
		t.Errorf("one of a thousand is cut after %v", time.Since(start))
	}
	each(users, 32, func(k int) {
		if k != 500 {
			errs[k] = conns[k].Echo(100)
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("connections of others: %v", err)
	}
	rig.Until(t, 5*time.Second, func() error {
		list, err := i.Users()
		if err != nil {
			return err
		}
		for k, conn := range conns {
			used := list[fmt.Sprint("u", k)].Used
			if k != 500 && (used.Up != conn.Sent() || used.Down != conn.Received()) {
				return fmt.Errorf("user %d: sent %d, received %d, counted %+v", k, conn.Sent(), conn.Received(), used)
			}
		}
		return nil
	})
}

// each runs f for 0 to n-1, so many at a time.
func each(n, atOnce int, f func(int)) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, atOnce)
	for k := range n {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			f(k)
		})
	}
	wg.Wait()
}
