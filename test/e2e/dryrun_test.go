//go:build linux && e2e

package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A dry run of everything that would cut a user leaves its connection alive,
// and what would end connections without one has to be confirmed while there
// are any.
func TestADryRunCutsNothing(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 0, 1)
	worker := i.OneWorker()

	for _, change := range [][]string{
		{"users", "kick", "u0"},
		{"users", "disable", "u0"},
		{"users", "delete", "u0"},
		{"users", "update", "u0", "--quota", "1"},
		{"server", "stop", "main"},
		{"server", "restart", "main"},
		{"server", "delete", "main"},
	} {
		r := i.Run(append(change, "--dry-run")...)
		if r.Status != 0 || !strings.HasPrefix(r.Err, "would ") {
			t.Errorf("vpn %v --dry-run: got %+v", change, r)
		}
		if err := load.Err(); err != nil {
			t.Fatalf("vpn %v --dry-run: %v", change, err)
		}
	}
	var k vpn.Kicked
	i.JSON(&k, "users", "kick", "u0", "--dry-run")
	if k.Connections != 1 || !k.DryRun {
		t.Errorf("got %+v: one connection is open", k)
	}

	for _, change := range []string{"stop", "restart"} {
		r := i.Run("server", change, "main")
		if r.Status != 2 || !strings.Contains(r.Err, "and close 1 connection?") || !strings.Contains(r.Err, "--yes") {
			t.Errorf("vpn server %s main: got %+v", change, r)
		}
	}
	if i.OneWorker() != worker {
		t.Error("the worker is another one")
	}
	load.Stop(t)

	load = client.Load(t, 0, 1)
	i.Must("server", "restart", "main", "--yes")
	if i.OneWorker() == worker {
		t.Error("--yes restarted nothing")
	}
	rig.Until(t, 10*time.Second, func() error {
		if load.Err() == nil {
			return errors.New("the connection lives on")
		}
		return nil
	})
}
