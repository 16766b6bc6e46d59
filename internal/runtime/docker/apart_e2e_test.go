//go:build linux && e2e

package docker_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/runtime/docker"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// An engine that sees none of the control plane's directories: there, what a
// worker keeps is in a volume, and it is reached through processes in its
// container.
func TestApart(t *testing.T) {
	t.Parallel()
	e, err := rig.StartEngine(rig.Apart(startHere), "--bridge=none", "--iptables=false")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.Output())
		}
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	})
	k := kind()
	k.Kills = 6
	k.Open = func(dir string) (app.Workers, error) {
		if err := os.WriteFile(filepath.Join(dir, engineFile), []byte(e.Host), 0o600); err != nil {
			return nil, err
		}
		return open(dir)
	}
	t.Run("all is the same", func(t *testing.T) { t.Parallel(); runtimetest.Run(t, k) })
	for _, c := range []struct {
		name string
		test func(*testing.T, *rig.Engine)
	}{
		{"a worker serves alone", testServesAloneApart},
		{"what a removed container has left", testLeftApart},
		{"streams end with the control plane", testStreams},
		{"on a network of its own, at a low port", testNetworkApart},
		{"a volume of that name is somebody's", testVolumeTaken},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, e) })
	}
}

// A container that the engine starts anew while no control plane is there
// serves from the spec in its volume, which only its user may read.
func testServesAloneApart(t *testing.T, e *rig.Engine) {
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Put(w, b.Spec(7, "alice"))
	bounce(t, b.Connect("alice"))
	before := b.Health(w)
	spec := fmt.Sprintf("/proc/%d/root/var/lib/vpn/spec.json", before.PID)
	within(t, 20*time.Second, func() error {
		text, err := os.ReadFile(spec)
		if err == nil && !strings.Contains(string(text), `"revision":7`) {
			err = fmt.Errorf("the spec that it keeps is %.40q", text)
		}
		return err
	})
	if st, err := os.Stat(spec); err != nil || st.Mode().Perm() != 0o600 || st.Sys().(*syscall.Stat_t).Uid != 65532 {
		t.Errorf("the spec has the mode %v, %v", st, err)
	}
	if err := b.Workers.(*docker.Workers).Close(); err != nil {
		t.Fatal(err)
	}
	b.Signal(before.PID, syscall.SIGTERM)
	within(t, 20*time.Second, func() error { return b.Do("alice", "echo") })
	next, err := openAt(e.Host, b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Workers = next
	t.Cleanup(func() { next.Close() })
	after := b.Health(answering(t, b))
	if after.Epoch == before.Epoch || after.Revision != 7 {
		t.Errorf("it says %+v, before it said %+v", after, before)
	}
	// Counters are removed of a worker that lives.
	if left := remains(t, b); len(left) != 1 || left[0].Epoch != before.Epoch || left[0].Counters[0].Up != 5 {
		t.Errorf("it left %+v", left)
	}
	if err := b.Workers.Discard(b.Context(), b.Place(), before.Epoch); err != nil {
		t.Fatal(err)
	}
	if left := remains(t, b); len(left) != 0 {
		t.Errorf("it leaves %+v", left)
	}
	// Who is started in its place knows nothing of what it was told.
	if err := b.Find().Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
	if h := b.Health(b.Start()); h.Revision != 0 {
		t.Errorf("a new worker says %+v", h)
	}
}

func remains(t *testing.T, b *runtimetest.Bench) []vpn.Counters {
	t.Helper()
	left, err := b.Workers.Remains(b.Context(), b.Place())
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// Counters outlive a container that somebody removes by hand. With the last of
// them all is gone.
func testLeftApart(t *testing.T, e *rig.Engine) {
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
	h := b.Health(w)
	e.Must(t, "stop", nameOf(w))
	e.Must(t, "rm", nameOf(w))
	ended(t, w, seen)
	mine := func() string { return ofStore(t, e, b.Dir) }
	if got := mine(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "vpn-") {
		t.Errorf("the engine has\n%s", got)
	}
	if left := remains(t, b); len(left) != 1 || left[0].Epoch != h.Epoch || left[0].Counters[0].Up != 5 {
		t.Errorf("it left %+v", left)
	}
	if got := mine(); strings.Count(got, "\n") != 1 {
		t.Errorf("after a look into the volume the engine has\n%s", got)
	}
	if err := b.Workers.Discard(b.Context(), b.Place(), h.Epoch); err != nil {
		t.Fatal(err)
	}
	if got := mine(); got != "" {
		t.Errorf("in the end the engine has\n%s", got)
	}
	if left := remains(t, b); len(left) != 0 {
		t.Errorf("it leaves %+v", left)
	}
	// A volume that somebody removes is no reason not to start.
	w = b.Start()
	e.Must(t, "rm", "-f", nameOf(w))
	ended(t, w, seen)
	e.Must(t, append([]string{"volume", "rm"}, strings.Fields(mine())...)...)
	if left := remains(t, b); len(left) != 0 {
		t.Errorf("it leaves %+v", left)
	}
	b.Put(b.Start(), b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
	if err := b.Workers.(*docker.Workers).Purge(b.Context()); err != nil {
		t.Error(err)
	}
	if got := mine(); got != "" {
		t.Errorf("after a purge the engine has\n%s", got)
	}
}

// ofStore returns the names of the containers and volumes of the store in dir,
// a line each.
func ofStore(t *testing.T, e *rig.Engine, dir string) string {
	t.Helper()
	label := "label=vpn.store=" + storeOf(dir)
	return e.Must(t, "ps", "-a", "--filter", label, "--format", "{{.Names}}") + e.Must(t, "volume", "ls", "--filter", label, "--format", "{{.Name}}")
}

// However a control plane goes, no process of it stays in a container.
func testStreams(t *testing.T, e *rig.Engine) {
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Health(w)
	streams := func() int { return strings.Count(e.Must(t, "top", nameOf(w)), "/vpn container dial") }
	if n := streams(); n != 1 {
		t.Errorf("%d processes connect to the worker", n)
	}
	none := func() error {
		if n := streams(); n != 0 {
			return fmt.Errorf("%d processes connect to the worker", n)
		}
		return nil
	}
	if err := b.Workers.(*docker.Workers).Close(); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, none)

	held := exec.Command("/proc/self/exe")
	held.Env = append(os.Environ(), envHold+"="+b.Dir, envHeld+"="+string(b.Server.ID))
	out, err := held.StdoutPipe()
	if err == nil {
		err = held.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := out.Read(line); err != nil || string(line) != "held\n" {
		t.Errorf("another control plane says %q, %v", line, err)
	}
	if n := streams(); n != 1 {
		t.Errorf("%d processes connect to the worker", n)
	}
	_ = held.Process.Kill()
	_ = held.Wait()
	within(t, 20*time.Second, none)
	// A worker that hangs holds none either.
	other, err := openAt(e.Host, b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := other.Find(b.Context(), b.Place())
	if found == nil || err != nil {
		t.Fatalf("there is the worker %v, %v", found, err)
	}
	b.Signal(b.Health(found).PID, syscall.SIGSTOP)
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	within(t, 20*time.Second, none)
}

// A network of the engine's own, and a port for which the container starts as
// root: who connects becomes the user who serves.
func testNetworkApart(t *testing.T, e *rig.Engine) {
	for _, c := range []struct {
		network string
		port    uint16
	}{{"vpn-apart", 0}, {"host", 88}} {
		b := benchAt(t, e.Host)
		b.Server.Container.Network = c.network
		if c.port != 0 {
			b.Server.Port = c.port
		}
		w := b.Start()
		b.Put(w, b.Spec(1, "alice"))
		bounce(t, b.Connect("alice"))
		h := b.Health(w)
		if got, _, _ := strings.Cut(statusOf(t, h.PID)["Uid"], " "); got != "65532" {
			t.Errorf("on the network %s the worker is user %s", c.network, got)
		}
		if final, err := w.Stop(b.Context()); err != nil || final == nil || final.Epoch != h.Epoch {
			t.Errorf("on the network %s stop gives %+v, %v", c.network, final, err)
		}
		if err := b.Workers.Discard(b.Context(), b.Place(), h.Epoch); err != nil {
			t.Error(err)
		}
		if got := ofStore(t, e, b.Dir); got != "" {
			t.Errorf("the engine has\n%s", got)
		}
	}
	if got := e.Must(t, "network", "ls", "--filter", "name=vpn-apart", "-q"); got != "" {
		t.Error("the network is left")
	}
}

func testVolumeTaken(t *testing.T, e *rig.Engine) {
	b := benchAt(t, e.Host)
	w := b.Start()
	name := nameOf(w) // the volume is called like the container
	if err := w.Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	e.Must(t, "volume", "create", name)
	if _, err := b.Workers.Start(b.Context(), b.Server); vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), name) || vpn.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	e.Must(t, "volume", "rm", name) // it is still there, and nobody's
}
