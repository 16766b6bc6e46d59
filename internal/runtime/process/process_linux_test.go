package process_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"vpn/internal/app"
	"vpn/internal/runtime/process"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
)

// uids are what workers of the tests get when the tests are root.
var uids = vpn.UIDRange{Base: 200_000, Count: 10}

func TestMain(m *testing.M) { os.Exit(runtimetest.Main(m, open)) }

func open(dir string) (app.Workers, error) {
	return process.New(process.Options{RunDir: dir, LogDir: dir, UIDs: uids})
}

func TestRuntime(t *testing.T) { runtimetest.Run(t, runtimetest.Processes(open)) }

func socketOf(b *runtimetest.Bench) string {
	return filepath.Join(b.Dir, string(b.Server.ID)+".sock")
}

func logOf(b *runtimetest.Bench) string { return filepath.Join(b.Dir, string(b.Server.ID)+".log") }

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", path, got, want)
	}
}

func kill(t *testing.T, b *runtimetest.Bench, w app.Worker) {
	t.Helper()
	if err := w.Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	b.Start()
	wantMode(t, socketOf(b), 0o600)
	wantMode(t, logOf(b), 0o600)
	wantMode(t, filepath.Join(b.Dir, string(b.Server.ID)+".final"), 0o600)
}

func TestLogGoesOnOverStarts(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	for _, reason := range []string{"first-reason", "second-reason"} {
		w := b.Start()
		s := b.Spec(1)
		s.Server.Settings = fmt.Appendf(nil, `{"fail":%q}`, reason)
		if w.Put(b.Context(), s) == nil {
			t.Fatal("the spec was applied")
		}
		kill(t, b, w)
	}
	log, err := os.ReadFile(logOf(b))
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(log), "second-reason")
	if !strings.Contains(first, "first-reason") || second == "" {
		t.Errorf("the log is:\n%s", log)
	}
}

func TestLogThatIsLargeBeginsAnew(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	if err := os.WriteFile(logOf(b), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(logOf(b), 11<<20); err != nil {
		t.Fatal(err)
	}
	b.Start()
	if st, err := os.Stat(logOf(b)); err != nil || st.Size() > 1<<20 {
		t.Errorf("the new log is %v, %v", st, err)
	}
	if st, err := os.Stat(logOf(b) + ".1"); err != nil || st.Size() != 11<<20 {
		t.Errorf("the old log is %v, %v", st, err)
	}
}

func TestStaleSocketIsRemoved(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	// A control plane was killed before it had a worker.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketOf(b), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if w := b.Find(); w != nil {
		t.Fatal("a socket that nobody serves is a worker")
	}
	if _, err := os.Stat(socketOf(b)); !os.IsNotExist(err) {
		t.Errorf("the stale socket is still there: %v", err)
	}
	b.Start()
}

// Somebody empties the run directory: what this process holds can be ended all
// the same.
func TestLostSocket(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	w := b.Start()
	if err := os.Remove(socketOf(b)); err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Workers.List(b.Context()); err != nil || len(ids) != 1 || ids[0].Server != b.Server.ID {
		t.Errorf("List = %v, %v", ids, err)
	}
	if _, err := w.Stop(b.Context()); err != nil {
		t.Error(err)
	}
	<-w.Done()
	if ids, err := b.Workers.List(b.Context()); err != nil || len(ids) != 0 {
		t.Errorf("after its end: List = %v, %v", ids, err)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	w := b.Start()
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	b.Put(w, b.Spec(1, "alice")) // a living worker's socket and file are not remains
	if _, err := os.Stat(filepath.Join(b.Dir, string(b.Server.ID)+".final")); err != nil {
		t.Error(err)
	}
	kill(t, b, w)
	<-w.Done()
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(b.Dir, string(b.Server.ID)+".[sf]*")) // all but its log
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOtherSocketsAreLeftAlone(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	api := filepath.Join(b.Dir, "api.sock")
	l, err := net.Listen("unix", api)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ids, err := b.Workers.List(b.Context())
	if err != nil || len(ids) != 0 {
		t.Errorf("list gives %v, %v", ids, err)
	}
	if _, err := os.Stat(api); err != nil {
		t.Error(err)
	}
}

func TestPathTooLongForASocket(t *testing.T) {
	_, err := process.New(process.Options{RunDir: "/run/" + strings.Repeat("x", 90)})
	if vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("got %v", err)
	}
	if _, err := process.New(process.Options{RunDir: "/run/" + strings.Repeat("x", 107-5-1-21)}); err != nil {
		t.Errorf("the longest path that fits: %v", err)
	}
}

func TestCountersThatCannotBeRead(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	final := filepath.Join(b.Dir, string(b.Server.ID)+".final")
	for _, content := range []string{"", "{", `{"epoch":""}`, "[]", `{"epoch":"e","counters":[{"credential":"c"`} {
		if err := os.WriteFile(final, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if cs, err := b.Workers.Remains(b.Context(), b.Place()); cs != nil || err != nil {
			t.Errorf("%q is read as %+v, %v", content, cs, err)
		}
	}
}

func TestEnvironmentIsNotPassedOn(t *testing.T) {
	t.Setenv("VPN_TEST_PASSED", "1")
	t.Setenv("VPN_DATA_DIR", "/secret")
	t.Setenv("PGPASSWORD", "secret")
	b := runtimetest.NewBench(t, func(dir string) (app.Workers, error) {
		return process.New(process.Options{RunDir: dir, LogDir: dir, UIDs: uids, Memory: 64 << 20})
	})
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	for name, want := range map[string]bool{
		"PATH": true, "VPN_TEST_PASSED": true, "GOMEMLIMIT": true,
		"VPN_DATA_DIR": false, "PGPASSWORD": false, "HOME": false, "VPN_WORKER_CONFINED": false,
	} {
		if got := b.Do("alice", "environ "+name) == nil; got != want {
			t.Errorf("the worker has %s: %v, want %v", name, got, want)
		}
	}
}

func TestWorkerHoldsNothingOfItsMaker(t *testing.T) {
	// The control plane was started with a pipe that it knows nothing of.
	var stray [2]int
	if err := syscall.Pipe(stray[:]); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(stray[0])
	defer syscall.Close(stray[1])
	b := runtimetest.NewBench(t, open)
	w := b.Start()
	pid := b.Health(w).PID
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		needRoot(t) // a worker's files are hidden from its own uid
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink(filepath.Join(dir, fd.Name()))
		known := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "socket:") ||
			strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/fs/cgroup/") ||
			target == "/dev/null" || target == logOf(b) || strings.HasSuffix(target, ".final")
		if !known {
			t.Errorf("the worker has %s open", target)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	b := runtimetest.NewBench(t, open)
	before := goleak.IgnoreCurrent()
	for _, end := range []func(context.Context, app.Worker) error{
		func(ctx context.Context, w app.Worker) error { return w.Kill(ctx) },
		func(ctx context.Context, w app.Worker) error { _, err := w.Stop(ctx); return err },
	} {
		w := b.Start()
		b.Put(w, b.Spec(1))
		if err := end(b.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	goleak.VerifyNone(t, before)

	w := b.Start()
	b.Health(w)
	before = goleak.IgnoreCurrent()
	for range 3 { // the same worker is found, not one more held each time
		b.Health(b.Find())
	}
	goleak.VerifyNone(t, before)

	// Who has not started the worker leaves nothing at all.
	other, err := process.New(process.Options{RunDir: b.Dir, LogDir: b.Dir})
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := other.Find(b.Context(), b.Place())
	if err != nil {
		t.Fatal(err)
	}
	b.Health(adopted)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
	select {
	case <-adopted.Done():
		t.Error("a worker that was let go is reported to have ended")
	default:
	}
	b.Health(w)
}

// needRoot skips a test unless it runs as root; in CI it fails instead.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}
