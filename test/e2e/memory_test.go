//go:build linux && e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A worker that the kernel ends because it wants too much memory comes back
// alone: users of other servers notice nothing, nor does the control plane.
func TestWorkerOutOfMemory(t *testing.T) {
	const users, second = 4, 8443
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.CreateServer("second", second)
	i.Serve()
	logins := i.CreateUsers("u", users)
	var change []vpn.Access
	i.JSON(&change, "users", "link", "u0", "--server", "second")
	logins = append(logins, rig.Login{Link: rig.ParseLink(t, change[0].Link)})
	client := i.World.Xray(t, logins...)
	if err := works(t, client, users); err != nil {
		t.Fatal(err)
	}
	load := client.Load(t, 0, users)
	before := workersOf(t, i)

	starved := before["second"].PID
	rig.StarveMemory(t, starved, 1<<20)
	rig.Until(t, 30*time.Second, func() error {
		_ = works(t, client, users) // each connection takes some
		if rig.Alive(starved) {
			return fmt.Errorf("worker %d lives", starved)
		}
		return nil
	})
	took := rig.Until(t, 10*time.Second, func() error { return works(t, client, users) })
	if took > 2*time.Second && !rig.Slow() {
		t.Errorf("serves again after %v", took)
	}
	if err := i.Daemon().Running(); err != nil {
		t.Error(err)
	}
	after := workersOf(t, i)
	if after["main"].PID != before["main"].PID || after["main"].Restarts != 0 || after["second"].Restarts != 1 {
		t.Errorf("workers %+v, they were %+v", after, before)
	}
	load.Stop(t)
}

// workersOf returns the workers by the names of their servers.
func workersOf(t *testing.T, i *rig.Instance) map[string]vpn.Worker {
	t.Helper()
	s, err := i.Status()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]vpn.Worker{}
	for _, server := range s.Servers {
		if server.Worker == nil {
			t.Fatalf("server %s has no worker", server.Name)
		}
		out[server.Name] = *server.Worker
	}
	return out
}
