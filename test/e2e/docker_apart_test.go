//go:build linux && e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// An engine that sees none of this machine's directories, as one in a machine
// of its own, runs servers all the same: what they keep is in a volume, and
// they are reached through processes in their containers, of which none
// outlives a control plane.
func TestServerOfAnEngineApart(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i, engine := docked(t, w, rig.DockerApart(t, w.Server))
	before := engine.Objects(t)
	i.Serve()
	i.CreateServer("main", port, "--runtime", "docker")
	logins := i.CreateUsers("u", 2)
	client := w.Xray(t, logins...)
	conn := client.MustOpen(t, 0, true)
	if err := conn.Download(5<<20, 0); err != nil {
		t.Fatal(err)
	}
	main := shown(i, "main").Worker
	if got := engine.Must(t, "inspect", "--format", "{{range .Mounts}}{{.Type}} {{end}}", main.Container); strings.TrimSpace(got) != "volume" {
		t.Fatalf("the container has mounts of the kinds %q", got)
	}
	streams := func() int { return strings.Count(engine.Must(t, "top", main.Container), "/vpn container dial") }
	if n := streams(); n < 1 || n > 3 {
		t.Errorf("%d processes connect to the worker", n)
	}

	i.Daemon().Kill()
	rig.Until(t, 20*time.Second, func() error {
		if n := streams(); n > 0 {
			return fmt.Errorf("%d processes of a control plane that is dead are left", n)
		}
		return nil
	})
	if err := conn.Download(5<<20, 0); err != nil {
		t.Fatalf("without a control plane: %v", err)
	}
	i.Serve()
	if now := shown(i, "main").Worker; now == nil || now.Epoch != main.Epoch {
		t.Fatalf("the next control plane has the worker %+v, it was %+v", now, main)
	}
	wantUsed(t, i, "u0", vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})

	i.Must("users", "disable", "u0", "--yes")
	if !conn.Ended(time.Second) {
		t.Error("a user who is disabled is not cut within a second")
	}
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}

	// What crashes, the engine starts anew, with what it was told.
	other := client.MustOpen(t, 1, true)
	if err := other.Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	moved := vpn.Traffic{Up: other.Sent(), Down: other.Received()}
	wantUsed(t, i, "u1", moved)
	if err := syscall.Kill(main.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 20*time.Second, func() error { return works(t, client, 1) })
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Errorf("a user who was disabled before the crash: %v", err)
	}

	i.Must("server", "stop", "main", "--yes")
	i.Must("server", "start", "main")
	if err := works(t, client, 1); err != nil {
		t.Error(err)
	}
	i.Must("server", "delete", "main", "--yes")
	rig.Until(t, 10*time.Second, func() error {
		if after := engine.Objects(t); after != before {
			return fmt.Errorf("the engine had\n%s\nand has\n%s", before, after)
		}
		return nil
	})
}
