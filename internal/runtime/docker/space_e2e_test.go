//go:build linux && e2e

package docker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/app"
	"vpn/internal/runtime/docker"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// smallDisk makes a file system of that many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0711"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// fill leaves so many bytes free on a disk, and returns what gives the others
// back.
func fill(t *testing.T, dir string, free int64) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	rig.FillDisk(t, path)
	st, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, st.Size()-free)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// An engine whose disk is full takes no image and makes no container, and says
// so; what runs goes on, and what was refused is made once there is room.
func TestEngineWithoutSpace(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "400m")
	e := ownEngineOn(t, disk)
	b := benchAt(t, e.Host)
	refused := func(b *runtimetest.Bench, what string) {
		t.Helper()
		_, err := b.Workers.Start(b.Context(), b.Server)
		if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "is full") ||
			!strings.Contains(err.Error(), disk) || !strings.Contains(vpn.HintOf(err), "docker system df") {
			t.Errorf("it says %v, with the hint %q", err, vpn.HintOf(err))
		}
		if list := e.Must(t, "ps", "-aq", "--filter", "label=vpn.server="+string(b.Server.ID)); list != "" {
			t.Errorf("the container %q is left", list)
		}
	}
	empty := fill(t, disk, 4<<20)
	refused(b, "load the image")
	empty()
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	c := b.Connect("alice")

	empty = fill(t, disk, 0)
	other := new(*b) // of the same installation, which has an image
	other.Server = benchAt(t, e.Host).Server
	refused(other, "make a container")
	bounce(t, c)
	if _, err := w.Usage(b.Context(), 0); err != nil {
		t.Error(err)
	}
	next := b.Spec(2, "alice", "bob")
	b.Put(w, next)
	bounce(t, b.Connect("bob"))
	empty()
	other.Put(other.Start(), other.Spec(1, "carol"))
	bounce(t, other.Connect("carol"))
	bounce(t, c)

	// It ends in order, even so.
	empty = fill(t, disk, 0)
	defer empty()
	before := b.Health(w)
	if _, err := w.Stop(b.Context()); err != nil {
		t.Errorf("it does not stop: %v", err)
	}
	ended(t, w, 5*time.Second)
	if left, err := b.Workers.Remains(b.Context(), b.Place()); err != nil || len(left) != 1 || left[0].Epoch != before.Epoch {
		t.Errorf("it left %+v, %v", left, err)
	}
}

// A worker that hangs is one that its own container calls unhealthy; it is
// known at once then, and whoever starts another one gets it.
func TestUnhealthy(t *testing.T) {
	t.Parallel()
	often := docker.Health{Interval: 300 * time.Millisecond, Timeout: 300 * time.Millisecond, Retries: 2}
	b := benchWith(t, theEngine.Host, often)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	is := func(want string) {
		t.Helper()
		within(t, 20*time.Second, func() error {
			out, err := theEngine.Docker("inspect", "-f", "{{.State.Health.Status}}", nameOf(w))
			if err == nil && strings.TrimSpace(out) != want {
				err = errors.New("it is " + out)
			}
			return err
		})
	}
	is("healthy") // the image's own check, by the program in it
	changed := b.Workers.(*docker.Workers).Changed()
	drain(changed)
	h := b.Health(w)
	b.Signal(h.PID, syscall.SIGSTOP)
	is("unhealthy")
	told(t, changed, b)
	began := time.Now()
	if _, err := w.Health(b.Context()); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "unhealthy") || time.Since(began) > time.Second {
		t.Errorf("an unhealthy worker says %v after %v", err, time.Since(began))
	}
	// It goes on, and is well again.
	b.Signal(h.PID, syscall.SIGCONT)
	is("healthy")
	within(t, seen, func() error { _, err := w.Health(b.Context()); return err })
	bounce(t, b.Connect("alice"))
	// It does not, and is replaced.
	b.Signal(h.PID, syscall.SIGSTOP)
	is("unhealthy")
	if err := w.Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
	ended(t, w, seen)
	w = b.Start()
	b.Put(w, b.Spec(2, "alice"))
	bounce(t, b.Connect("alice"))
	is("healthy")
}

// What is left of an earlier version goes when nobody uses it any more, and
// what is not this installation's stays: of another one, too, though nobody
// uses it just then.
func TestEarlierImages(t *testing.T) {
	t.Parallel()
	e := ownEngine(t)
	tags := func(b *runtimetest.Bench) string {
		t.Helper()
		return e.Must(t, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=vpn.store="+storeOf(b.Dir))
	}
	one, two := benchAt(t, e.Host), benchAt(t, e.Host)
	other := *one // server of the same installation
	other.Server = benchAt(t, e.Host).Server
	for _, b := range []*runtimetest.Bench{one, &other, two} {
		b.Start()
	}
	if err := two.Find().Kill(two.Context()); err != nil {
		t.Fatal(err)
	}
	if err := two.Workers.Discard(two.Context(), two.Place()); err != nil {
		t.Fatal(err)
	}
	old, others := strings.TrimSpace(tags(one)), tags(two)
	if strings.Count(others, "\n") != 1 || strings.Contains(others, old) {
		t.Fatalf("two installations have the images %s and %s", old, others)
	}
	e.Must(t, "tag", old, "others:1")
	ws, err := openOf(e.Host, one.Dir, "later", docker.Health{}) // another version of the program takes over
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	one.Workers, other.Workers = ws, ws
	again := func(b *runtimetest.Bench) {
		t.Helper()
		if _, err := b.Find().Stop(b.Context()); err != nil {
			t.Fatal(err)
		}
		b.Start()
	}
	again(one)
	within(t, seen, func() error {
		if now := tags(one); !strings.Contains(now, old) || !strings.Contains(now, "later") {
			return errors.New("while one server has the version before, there are " + now)
		}
		return nil
	})
	again(&other)
	within(t, 10*time.Second, func() error {
		if now := tags(one); strings.Contains(now, old) || !strings.Contains(now, "later") || !strings.Contains(now, "others:1") {
			return errors.New("there are " + now)
		}
		return nil
	})
	if now := tags(two); now != others {
		t.Errorf("another installation had %s and has %s", others, now)
	}
	// An image that went away in between is no matter.
	e.Must(t, "rmi", strings.TrimSpace(others))
	two.Put(two.Start(), two.Spec(1, "alice"))
	bounce(t, two.Connect("alice"))
}

// benchWith is benchAt where the engine asks after workers that often.
func benchWith(t *testing.T, host string, h docker.Health) *runtimetest.Bench {
	t.Helper()
	b := runtimetest.NewBench(t, func(dir string) (app.Workers, error) { return openOf(host, dir, "test", h) })
	b.Server.Runtime, b.Server.Container = vpn.RuntimeDocker, (*vpn.Container)(nil).Filled()
	return b
}
