//go:build linux

package compose_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/engine"
	"vpn/internal/runtime/compose"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

const patience = 20 * time.Second

// TestMain makes the test binary a container's worker where it is told to.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		if err := serve(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve is what an engine starts in a container.
func serve(socket, state string) error {
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	final, err := os.CreateTemp(state, "new")
	if err != nil {
		return err
	}
	fmt.Println("up")
	return worker.Serve(context.Background(), l, final, worker.Options{Version: "test", Engines: map[vpn.Protocol]engine.New{"none": newNone}})
}

// none is an engine that carries nothing.
type none struct{}

func newNone(engine.Config) (engine.Engine, error) { return none{}, nil }
func (none) Apply(context.Context, vpn.Spec) error { return nil }
func (none) Close() error                          { return nil }

// A bench is a project's directory with one server, and the workers in it as
// a control plane sees them.
type bench struct {
	*testing.T
	dir     string
	paths   compose.Paths
	server  vpn.Server
	workers *compose.Workers
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, dir: dir, server: vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: "main", Protocol: "none", Runtime: vpn.RuntimeProcess}}
	b.paths = b.options().Paths(b.server.ID)
	b.workers = b.open()
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) options() compose.Options {
	return compose.Options{
		Dir: b.dir,
		Paths: func(id vpn.ServerID) compose.Paths {
			return compose.Paths{Socket: filepath.Join(b.dir, string(id), "run", "control.sock"), State: filepath.Join(b.dir, string(id), "state")}
		},
		Runtimes: func(context.Context) (map[vpn.ServerID]string, error) {
			return map[vpn.ServerID]string{b.server.ID: b.server.Runtime}, nil
		},
	}
}

// open is another control plane.
func (b *bench) open() *compose.Workers {
	w := compose.New(b.options())
	b.Cleanup(func() { _ = w.Close() })
	return w
}

func (b *bench) place() app.Place { return app.Place{Server: b.server.ID, Runtime: b.server.Runtime} }

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.Cleanup(cancel)
	return ctx
}

// up does what an engine does to start the container once.
func (b *bench) up() *exec.Cmd {
	b.Helper()
	for _, dir := range []string{filepath.Dir(b.paths.Socket), b.paths.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "serve", b.paths.Socket, b.paths.State)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return cmd
}

func (b *bench) start() app.Worker {
	b.Helper()
	w, err := b.workers.Start(b.context(), b.server)
	if err != nil {
		b.Fatal(err)
	}
	return w
}

func (b *bench) put(w app.Worker) {
	b.Helper()
	err := w.Put(b.context(), vpn.Spec{Generation: "g", Revision: 1, Server: vpn.ServerSpec{ID: b.server.ID, Name: b.server.Name, Protocol: "none"}})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) find(w *compose.Workers) app.Worker {
	b.Helper()
	found, err := w.Find(b.context(), b.place())
	if err != nil {
		b.Fatal(err)
	}
	return found
}

func (b *bench) wantEnd(w app.Worker) {
	b.Helper()
	select {
	case <-w.Done():
	case <-time.After(patience):
		b.Fatal("the end of the worker was not seen")
	}
}

func (b *bench) wantLives(w app.Worker) {
	b.Helper()
	select {
	case <-w.Done():
		b.Fatal("a worker that lives is reported to have ended")
	default:
	}
	if _, err := w.Health(b.context()); err != nil {
		b.Fatal(err)
	}
}

// A server without a container is told how it gets one, at once.
func TestNoContainer(t *testing.T) {
	b := newBench(t)
	if w := b.find(b.workers); w != nil {
		t.Fatal("there is a worker")
	}
	begun := time.Now()
	_, err := b.workers.Start(b.context(), b.server)
	if vpn.KindOf(err) != vpn.Unavailable || vpn.HintOf(err) != "vpn compose up main" {
		t.Errorf("%v, hint %q", err, vpn.HintOf(err))
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("that took %s", took)
	}
	if list, err := b.workers.List(b.context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// A container that is up and has nothing to do is no worker, until it has.
func TestIdleUntilStarted(t *testing.T) {
	b := newBench(t)
	b.up()
	if w := b.find(b.workers); w != nil {
		t.Fatal("an idle worker is found")
	}
	if list, err := b.workers.List(b.context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	w := b.start()
	b.put(w)
	if found := b.find(b.workers); found != w {
		t.Errorf("it finds %v", found)
	}
	if _, err := b.workers.Start(b.context(), b.server); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a second start: %v", err)
	}
	list, err := b.workers.List(b.context())
	if err != nil || len(list) != 1 || list[0] != b.place() {
		t.Errorf("%v, %v", list, err)
	}
}

// The next control plane finds what the one before has left.
func TestAdoption(t *testing.T) {
	b := newBench(t)
	b.up()
	first := b.start()
	b.put(first)
	before, err := first.Health(b.context())
	if err != nil {
		t.Fatal(err)
	}
	next := b.open()
	if err := b.workers.Close(); err != nil {
		t.Fatal(err)
	}
	w := b.find(next)
	if w == nil {
		t.Fatal("the worker is not found")
	}
	after, err := w.Health(b.context())
	if err != nil || after.Epoch != before.Epoch || after.Revision != 1 {
		t.Errorf("%+v, %v", after, err)
	}
	b.wantLives(w)
}

// The end of a worker is seen at once, whichever it is; who still holds it
// does not reach the next one in the same container.
func TestEndIsSeen(t *testing.T) {
	b := newBench(t)
	cmd := b.up()
	w := b.start()
	b.put(w)
	b.wantLives(w)
	begun := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	b.wantEnd(w)
	t.Logf("seen after %s", time.Since(begun))
	_ = cmd.Wait()
	if found := b.find(b.workers); found != nil {
		t.Fatal("a dead worker is found")
	}
	b.up() // as the engine does by itself
	if err := w.Put(b.context(), vpn.Spec{Server: vpn.ServerSpec{ID: b.server.ID, Protocol: "none"}}); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("a dead worker takes a spec: %v", err)
	}
	if found := b.find(b.workers); found != nil {
		t.Error("the next worker was given the spec of the one before")
	}
	if err := w.Kill(b.context()); err != nil {
		t.Errorf("to kill what has ended: %v", err)
	}
}

// A container that is restarted quicker than anybody looks has another worker
// all the same.
func TestQuickRestart(t *testing.T) {
	b := newBench(t)
	cmd := b.up()
	w := b.start()
	b.put(w)
	socket := b.paths.Socket
	// The next listens before the first has ended: no moment without one.
	if err := os.Rename(socket, socket+".old"); err != nil {
		t.Fatal(err)
	}
	b.up()
	b.wantLives(w) // on the connection that it has
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	b.wantEnd(w)
	if found := b.find(b.workers); found != nil {
		t.Error("the next worker, which has nothing to do yet, is taken for the first")
	}
}

// An orderly stop returns what was counted, and leaves an idle container.
func TestStop(t *testing.T) {
	b := newBench(t)
	b.up()
	w := b.start()
	b.put(w)
	health, err := w.Health(b.context())
	if err != nil {
		t.Fatal(err)
	}
	final, err := w.Stop(b.context())
	if err != nil || final == nil || final.Epoch != health.Epoch {
		t.Fatalf("%+v, %v", final, err)
	}
	b.wantEnd(w)
	b.up() // as the engine does by itself
	if found := b.find(b.workers); found != nil {
		t.Error("it is not idle")
	}
	b.put(b.start())
}

// A start waits for a container that is on its way, as after a stop.
func TestStartWaits(t *testing.T) {
	b := newBench(t)
	cmd := b.up()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	started := make(chan error, 1)
	go func() {
		_, err := b.workers.Start(context.Background(), b.server)
		started <- err
	}()
	b.up()
	select {
	case err := <-started:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it waits on")
	}
}

// A worker that does not answer is there all the same, cannot be ended from
// here, and goes on as the one that it was.
func TestSuspended(t *testing.T) {
	b := newBench(t)
	cmd := b.up()
	w := b.start()
	b.put(w)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next := b.open() // has never seen it
	found := b.find(next)
	if found == nil {
		t.Fatal("it is not found")
	}
	if _, err := found.Health(b.context()); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("it says %v", err)
	}
	err := found.Kill(b.context())
	if vpn.KindOf(err) != vpn.Unavailable || vpn.HintOf(err) != "vpn compose restart "+string(b.server.ID) {
		t.Errorf("%v, hint %q", err, vpn.HintOf(err))
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.wantLives(found)
	b.wantLives(w)
}

// What lies in a container's directory leads nowhere else.
func TestALinkIsNoSocket(t *testing.T) {
	b := newBench(t)
	b.up()
	other := newBench(t)
	if err := os.MkdirAll(filepath.Dir(other.paths.Socket), 0o700); err != nil {
		t.Fatal(err)
	}
	err := os.Symlink(b.paths.Socket, other.paths.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.workers.Find(other.context(), other.place()); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("%v", err)
	}
}

// What a project's workers counted is there for whoever runs the servers next,
// until it is discarded.
func TestRemains(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(b.paths.State, 0o700); err != nil {
		t.Fatal(err)
	}
	epochs := []string{"0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"}
	for _, epoch := range epochs {
		err := os.WriteFile(filepath.Join(b.paths.State, "final-"+epoch+".json"), []byte(`{"epoch":"`+epoch+`"}`), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []app.Workers{b.workers, compose.Beside(empty{}, b.options())} {
		left, err := w.Remains(b.context(), b.place())
		if err != nil || len(left) != 2 {
			t.Errorf("%v, %v", left, err)
		}
	}
	if err := compose.Beside(empty{}, b.options()).Discard(b.context(), b.place(), epochs[0]); err != nil {
		t.Fatal(err)
	}
	left, err := b.workers.Remains(b.context(), b.place())
	if err != nil || len(left) != 1 || left[0].Epoch != epochs[1] {
		t.Errorf("%v, %v", left, err)
	}
}

// empty is a runtime without workers.
type empty struct{ app.Workers }

func (empty) Remains(context.Context, app.Place) ([]vpn.Counters, error)     { return nil, nil }
func (empty) Discard(_ context.Context, _ app.Place, epochs ...string) error { return nil }

func TestIDs(t *testing.T) {
	b := newBench(t)
	if _, err := b.workers.Find(b.context(), app.Place{Server: "../../etc"}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.workers.Start(ended, b.server); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
