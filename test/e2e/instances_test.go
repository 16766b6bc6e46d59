//go:build linux && e2e

package e2e

import (
	"strings"
	"testing"

	"vpn/test/e2e/rig"
)

// Two data directories on one host are two installations: whatever happens to
// one, the other's users and workers do not notice.
func TestTwoInstancesNeverTouchEachOther(t *testing.T) {
	t.Parallel()
	const users = 6
	w := rig.NewWorld(t)
	kept, tried := w.Instance(t), w.Instance(t)
	kept.CreateServer("main", port)
	tried.CreateServer("main", port+1) // of the same name
	kept.Serve()
	tried.Serve()
	load := w.Xray(t, kept.CreateUsers("u", users)...).Load(t, 0, users)
	worker := kept.OneWorker()
	tried.CreateUsers("u", users)
	unharmed := func(after string) {
		t.Helper()
		if err := load.Err(); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if pid := kept.OneWorker(); pid != worker {
			t.Fatalf("after %s: worker %d has taken the place of %d", after, pid, worker)
		}
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"a kill", func() { tried.Daemon().Kill() }},
		{"adoption", func() { tried.Serve() }},
		{"deleting a user of the same name", func() { tried.Must("users", "delete", "u0", "--yes") }},
		{"restarting a server of the same name", func() { tried.Must("server", "restart", "main", "--yes") }},
		{"deleting it", func() { tried.Must("server", "delete", "main", "--yes") }},
		{"a port that is taken", func() {
			r := tried.Run("server", "create", "again", "--port", "443", "--public-host", rig.ServerAddr,
				"--target", w.Site.Addr, "--server-name", rig.SiteName)
			if r.Status != 5 || !strings.Contains(r.Err, "443") {
				t.Errorf("a taken port: %+v", r)
			}
		}},
		{"an orderly end", func() { tried.Daemon().Stop(t) }},
	}
	for _, s := range steps {
		s.do()
		unharmed(s.name)
	}
	if pids := tried.Workers(); len(pids) > 0 {
		t.Errorf("workers %v are left", pids)
	}
	load.Stop(t)
}
