//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// An engine that runs without root has a network and users of its own: what
// it publishes is reached on this machine, so servers run on its networks, and
// what "the host" of its containers would mean is said.
func TestServerOfAnEngineWithoutRoot(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	engine := rig.DockerWithoutRoot(t, w.Server, somebody)
	before := engine.Objects(t)
	p := person{w.Instance(t)}
	rig.Setenv(p.Instance, "DOCKER_HOST="+engine.Host, "HOME="+engine.Dir)
	t.Cleanup(func() { p.Run("serve", "--end-workers") })
	if err := errors.Join(os.Mkdir(p.Data, 0o700), os.Chown(p.Data, somebody, somebody)); err != nil {
		t.Fatal(err)
	}
	launch := func() {
		t.Helper()
		rig.LaunchBy(p.Instance, fmt.Sprintf(`exec setpriv --reuid=%d --regid=%[1]d --clear-groups "$0" "$@"`, somebody), "serve")
		p.Ready()
	}
	launch()
	r := p.Run("server", "create", "box", "--protocol", "socks5", "--port", "9443", "--public-host", rig.ServerAddr, "--runtime", "docker")
	if r.Status != 7 {
		t.Errorf("on the network of what is no host: %d: %s", r.Status, r.Out)
	}
	rig.Until(t, 10*time.Second, func() error {
		s := shown(p.Instance, "box")
		if s.State != vpn.Failed || !strings.Contains(s.Problem, "without root") || !strings.Contains(s.Problem, "vpn server update box --network vpn") {
			return fmt.Errorf("it is %s: %s", s.State, s.Problem)
		}
		return nil
	})
	p.Must(t, "server", "update", "box", "--network", "vpn-lan", "--yes")
	links := []rig.Link{p.CreateUser("alice"), p.CreateUser("bob")}
	alice, bob := rig.NewDirect(w, links[0]), rig.NewDirect(w, links[1])
	for _, c := range []*rig.Direct{alice, bob} {
		rig.Until(t, 10*time.Second, func() error { return reached(t, c) })
	}
	conn, err := alice.Open(within(t, 5*time.Second), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := errors.Join(conn.Download(5<<20, 0), conn.Upload(t.Context(), 1<<20, 0)); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 5*time.Second, func() error {
		if used := p.User("alice").Used; used.Down < conn.Received() || used.Up < conn.Sent() {
			return fmt.Errorf("of %d and %d bytes is counted %+v", conn.Sent(), conn.Received(), used)
		}
		return nil
	})

	first := shown(p.Instance, "box").Worker
	p.Daemon().Kill()
	launch()
	if now := shown(p.Instance, "box").Worker; now == nil || now.Epoch != first.Epoch {
		t.Errorf("the next control plane has the worker %+v, it was %+v", now, first)
	}
	p.Must(t, "users", "disable", "alice")
	if !conn.Ended(2 * time.Second) {
		t.Error("who is disabled is not cut")
	}
	rig.Signal(t, first.PID, syscall.SIGKILL)
	rig.Until(t, 20*time.Second, func() error {
		s := shown(p.Instance, "box")
		if s.State != vpn.Running || s.Worker == nil || s.Worker.Epoch == first.Epoch {
			return fmt.Errorf("it is %s: %s", s.State, s.Problem)
		}
		return reached(t, bob)
	})
	rig.Until(t, 10*time.Second, func() error { // what it was told last may have been half a second old
		if reached(t, alice) == nil {
			return errors.New("who is disabled is let in by the next worker")
		}
		return nil
	})
	if r := p.Run("server", "delete", "box", "--yes"); r.Status != 0 && r.Status != 7 { // the engine takes its time
		t.Errorf("it is not deleted: %d: %s", r.Status, r.Out)
	}
	rig.Until(t, 30*time.Second, func() error {
		if after := engine.Objects(t); after != before {
			return fmt.Errorf("the engine had\n%s\nand has\n%s", before, after)
		}
		return nil
	})
}
