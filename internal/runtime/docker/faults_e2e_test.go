//go:build linux && e2e

package docker_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
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

// seen bounds the time until what happened to a container is known.
const seen = 2 * time.Second

// bench returns one on the engine that tests share.
func bench(t *testing.T) *runtimetest.Bench { return benchAt(t, theEngine.Host) }

func benchAt(t *testing.T, host string) *runtimetest.Bench {
	t.Helper()
	b := runtimetest.NewBench(t, func(dir string) (app.Workers, error) { return openAt(host, dir) })
	if err := os.WriteFile(filepath.Join(b.Dir, engineFile), []byte(host), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Server.Runtime, b.Server.Container = vpn.RuntimeDocker, (*vpn.Container)(nil).Filled()
	return b
}

// ownEngine is an engine that a test may stop.
func ownEngine(t *testing.T, flags ...string) *rig.Engine {
	t.Helper()
	return ownEngineOn(t, "", flags...)
}

func ownEngineOn(t *testing.T, disk string, flags ...string) *rig.Engine {
	t.Helper()
	// Its networks would be in the way of the other's.
	e, err := rig.StartEngineOn(disk, startHere, append([]string{"--bridge=none", "--iptables=false"}, flags...)...)
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
	return e
}

func nameOf(w app.Worker) string { return w.(interface{ Container() string }).Container() }

// within polls check until it returns nil, and fails if that takes longer.
func within(t *testing.T, d time.Duration, check func() error) { t.Helper(); rig.Until(t, d, check) }

// kept waits until the worker has written the spec of that revision.
func kept(t *testing.T, b *runtimetest.Bench, revision uint64) {
	t.Helper()
	path := filepath.Join(b.Dir, "workers", string(b.Server.ID), "state", "spec.json")
	within(t, 20*time.Second, func() error {
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), fmt.Sprintf(`"revision":%d`, revision)) {
			err = errors.New("it is of another revision")
		}
		return err
	})
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the spec has mode %v, %v", st.Mode(), err)
	}
}

// ended fails unless the worker's end is seen soon.
func ended(t *testing.T, w app.Worker, d time.Duration) {
	t.Helper()
	select {
	case <-w.Done():
	case <-time.After(d):
		t.Fatalf("the end of the worker is not seen within %v", d)
	}
}

// answering returns the server's worker once it answers.
func answering(t *testing.T, b *runtimetest.Bench) (w app.Worker) {
	t.Helper()
	within(t, 20*time.Second, func() (err error) {
		if w, err = b.Workers.Find(b.Context(), b.Place()); err == nil && w == nil {
			err = errors.New("there is no worker")
		}
		if err == nil {
			_, err = w.Health(b.Context())
		}
		return err
	})
	return w
}

// A container that the engine starts anew while no control plane is there
// serves what it was told last, and nobody beyond a quota; what it counted is
// not lost.
func TestServesAlone(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	spec := b.Spec(7, "alice", "bob")
	spec.Grants[1].Capped = true
	b.Put(w, spec)
	before := b.Health(w)
	if _, err := b.Connect("alice").Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	kept(t, b, 7)
	if err := b.Workers.(*docker.Workers).Close(); err != nil {
		t.Fatal(err)
	}
	b.Signal(before.PID, syscall.SIGTERM)
	within(t, 20*time.Second, func() error { return b.Do("alice", "echo") })
	if b.Do("bob", "echo") == nil {
		t.Error("a user with a quota is let in without a ceiling")
	}
	next, err := openAt(theEngine.Host, b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Workers = next
	t.Cleanup(func() { next.Close() })
	after := b.Health(answering(t, b))
	if after.Epoch == before.Epoch || after.Revision != 7 || after.PID == before.PID {
		t.Errorf("it says %+v, before it said %+v", after, before)
	}
	left, err := b.Workers.Remains(b.Context(), b.Place())
	if err != nil || len(left) != 1 || left[0].Epoch != before.Epoch || len(left[0].Counters) != 1 || left[0].Counters[0].Up != 1000 {
		t.Errorf("it left %+v, %v", left, err)
	}
}

// However often a worker is killed, there is one again, and never two.
func TestKilledTwentyTimes(t *testing.T) {
	t.Parallel()
	b := bench(t)
	b.Put(b.Start(), b.Spec(1, "alice"))
	kept(t, b, 1)
	epochs := map[string]bool{}
	for range 20 {
		w := b.Find()
		h, err := w.Health(b.Context())
		if err != nil { // the engine waits longer each time: the control plane does not
			if err := w.Kill(b.Context()); err != nil {
				t.Fatal(err)
			}
			w = b.Start()
			b.Put(w, b.Spec(1, "alice"))
			kept(t, b, 1)
			h = b.Health(w)
		}
		if epochs[h.Epoch] {
			t.Fatal("a life is lived twice")
		}
		epochs[h.Epoch] = true
		within(t, 10*time.Second, func() error { return b.Do("alice", "echo") })
		b.Signal(h.PID, syscall.SIGKILL)
		ended(t, w, seen)
	}
	if w := b.Find(); w == nil {
		t.Error("there is none at last")
	}
}

func TestPaused(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	c := b.Connect("alice")
	changed := b.Workers.(*docker.Workers).Changed()
	drain(changed)
	theEngine.Must(t, "pause", nameOf(w))
	told(t, changed, b)
	if _, err := w.Health(b.Context()); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "paused") {
		t.Errorf("a paused worker says %v", err)
	}
	// A control plane that comes now finds it, and starts no second one.
	other, err := openAt(theEngine.Host, b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	found, err := other.Find(b.Context(), b.Place())
	if err != nil || found == nil {
		t.Fatalf("it finds %v, %v", found, err)
	}
	if _, err := other.Start(b.Context(), b.Server); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a second start gives %v", err)
	}
	theEngine.Must(t, "unpause", nameOf(w))
	told(t, changed, b)
	within(t, seen, func() error { _, err := w.Health(b.Context()); return err })
	bounce(t, c)
	theEngine.Must(t, "pause", nameOf(w))
	told(t, changed, b)
	if final, err := w.Stop(b.Context()); err != nil || final == nil || len(final.Counters) != 1 || final.Counters[0].Up != 5 {
		t.Errorf("a paused worker stops with %+v, %v", final, err)
	}
	ended(t, w, seen)
	w = b.Start()
	theEngine.Must(t, "pause", nameOf(w))
	if err := w.Kill(b.Context()); err != nil {
		t.Errorf("a paused worker is not killed: %v", err)
	}
	ended(t, w, seen)
}

func drain(c <-chan app.Place) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// told fails unless it is said soon that something happened to b's server.
func told(t *testing.T, changed <-chan app.Place, b *runtimetest.Bench) {
	t.Helper()
	select {
	case p := <-changed:
		if p != b.Place() {
			t.Errorf("something happened to %v, want %v", p, b.Place())
		}
	case <-time.After(seen):
		t.Fatal("it is not noticed")
	}
}

func bounce(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedByHand(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	theEngine.Must(t, "rm", "-f", nameOf(w))
	ended(t, w, seen)
	if b.Find() != nil {
		t.Error("it is found")
	}
	b.Put(b.Start(), b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
	// Stopped by hand, too, it is the control plane's to start.
	w = b.Find()
	theEngine.Must(t, "stop", nameOf(w))
	ended(t, w, seen)
	if b.Find() != nil {
		t.Error("a stopped one is found")
	}
	b.Start()
}

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	b := bench(t)
	b.Server.Container.Memory = 64 << 20
	w := b.Start()
	before := b.Health(w)
	users := make([]string, 150_000)
	for i := range users {
		users[i] = "user-" + strconv.Itoa(i)
	}
	if err := w.Put(b.Context(), b.Spec(1, users...)); err == nil {
		t.Fatal("it has room for all of them")
	}
	ended(t, w, 20*time.Second)
	if after := b.Health(answering(t, b)); after.Epoch == before.Epoch {
		t.Error("it is the same worker")
	}
	if text := theEngine.Must(t, "inspect", "-f", "{{.RestartCount}}", nameOf(w)); strings.TrimSpace(text) == "0" {
		t.Error("the engine has not started it anew")
	}
}

// A name that is somebody else's container's stays that.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	name := nameOf(w)
	if err := w.Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	image := strings.TrimSpace(theEngine.Must(t, "images", "-q", "--filter", "label=vpn.image"))
	id := theEngine.Must(t, "create", "--name", name, "--label", "vpn.server="+string(b.Server.ID), strings.Fields(image)[0], "help")
	_, err := b.Workers.Start(b.Context(), b.Server)
	if vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), name) || vpn.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if b.Find() != nil {
		t.Error("another's container is taken for ours")
	}
	if now := theEngine.Must(t, "ps", "-aq", "--no-trunc", "--filter", "name="+name); now != id {
		t.Errorf("the other container was %q and is %q", id, now)
	}
}

// Whatever a server is called, and although an engine takes fewer characters:
// no two containers want the same name.
func TestNames(t *testing.T) {
	t.Parallel()
	b := bench(t)
	for _, name := range []string{"a", "alice@example.org", "alice-example.org", "a..b--c", strings.Repeat("x", 63)} {
		other := *b // of the same store
		other.Server = bench(t).Server
		other.Server.Name = name
		other.Put(other.Start(), other.Spec(1, "alice"))
		bounce(t, other.Connect("alice"))
	}
}

// A stop that a control plane did not live to see through leaves a container
// that would not come again.
func TestRestartPolicyIsRestored(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	theEngine.Must(t, "update", "--restart", "no", nameOf(w))
	other, err := openAt(theEngine.Host, b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if found, err := other.Find(b.Context(), b.Place()); found == nil || err != nil {
		t.Fatalf("it finds %v, %v", found, err)
	}
	if policy := theEngine.Must(t, "inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", nameOf(w)); strings.TrimSpace(policy) != "unless-stopped" {
		t.Errorf("the restart policy is %s", policy)
	}
}

// What a worker writes is in the server's log, and outlives the container.
func TestLog(t *testing.T) {
	t.Parallel()
	b := bench(t)
	w := b.Start()
	if _, err := w.Stop(b.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	var text []byte
	within(t, seen, func() (err error) {
		if text, err = os.ReadFile(filepath.Join(b.Dir, string(b.Server.ID)+".log")); err == nil && !strings.Contains(string(text), "worker runs") {
			err = errors.New("what the worker said is not there")
		}
		return err
	})
	if n := strings.Count(string(text), "worker runs"); n != 1 {
		t.Errorf("it is there %d times:\n%s", n, text)
	}
}
