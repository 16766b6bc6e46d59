package cli

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/store/sqlite"
)

// runReal runs a command that looks for its control plane as in real life.
func runReal(t *testing.T, dataDir string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"HOME": t.TempDir(), "VPN_DATA_DIR": dataDir}
	p := newProgram(IO{
		In: strings.NewReader(""), Out: &out, Err: &errs,
		Getenv: func(k string) string { return env[k] }, Now: time.Now,
	})
	status := p.run(t.Context(), args)
	return result{status, out.String(), errs.String()}
}

// daemonIn makes a data directory whose daemon is h.
func daemonIn(t *testing.T, h http.Handler) string {
	t.Helper()
	dir, run := t.TempDir(), t.TempDir()
	if err := os.Symlink(run, filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(run, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return dir
}

func TestTheDaemonIsUsed(t *testing.T) {
	f := newFakePlane()
	f.synced = false
	dir := daemonIn(t, f.handler())
	if got := runReal(t, dir, "users", "list", "-q"); got.status != 0 || got.out != "alice\nbob\n" {
		t.Errorf("got %+v", got)
	}
	if got := runReal(t, dir, "users", "create", "carol", "-q"); got.status != 7 || !strings.HasPrefix(got.out, "vless://") {
		t.Errorf("got %+v", got)
	}
	if got := runReal(t, dir, "serve"); got.status != 5 || !strings.Contains(got.err, "a daemon runs already on "+dir+" (pid 42)\nhint: ") {
		t.Errorf("got %+v", got)
	}
	if got := runReal(t, dir, "up", "-q"); got.status != 0 || got.out != "vless://main?a=1&b=2\n" {
		t.Errorf("got %+v", got)
	}
}

// TestLookingMakesNothing: a command that only looks, or changes what must be
// there, leaves no data directory behind.
func TestLookingMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, args := range []string{
		"status", "users list", "users show alice", "users delete alice -y", "users disable alice", "users kick alice",
		"users link alice", "server list", "server start main", "server delete main -y", "server logs main", "server status",
	} {
		got := runReal(t, dir, strings.Fields(args)...)
		if got.status != 6 || got.out != "" || got.err != "vpn: there is nothing in "+dir+" yet\nhint: begin with: vpn up\n" {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory is there: %v", err)
	}
}

// TestStrangeDataDirs: whatever stands there, the answer is an error with a
// hint.
func TestStrangeDataDirs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a file":      file,
		"in a file":   filepath.Join(file, "data"),
		"empty":       dir,
		"a loop":      loop(t),
		"run no link": noLink(t),
	} {
		got := runReal(t, path, "users", "list")
		if got.status != 6 || got.out != "" || !strings.Contains(got.err, "\nhint: ") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func loop(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func noLink(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBadConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("# mine\npublic_hots: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"serve"}, {"serve", "--check"}, {"up"}, {"users", "create", "a"}} {
		got := runReal(t, t.TempDir(), append(args, "--config", file)...)
		want := "vpn: " + file + ":2: unknown key \"public_hots\"\nhint: did you mean public_host?"
		if args[0] != "serve" {
			want += "; a daemon that runs goes on with what it read before, and is reached with --config /dev/null"
		}
		if got.status != 2 || got.err != want+"\n" {
			t.Errorf("%v: got %+v", args, got)
		}
	}
	if got := runReal(t, t.TempDir(), "version", "--config", file); got.status != 0 {
		t.Errorf("version needs no configuration: got %+v", got)
	}
}

// TestDaemonComesMeanwhile: a command that waits for the data directory, which
// a daemon has just taken, is answered by that daemon as soon as it can.
func TestDaemonComesMeanwhile(t *testing.T) {
	dir := t.TempDir()
	if got := runReal(t, dir, "users", "create", "zoe"); got.status != 0 {
		t.Fatalf("got %+v", got)
	}
	link := filepath.Join(dir, "run")
	run, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	lock, err := sqlite.Lock(t.Context(), dir, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()

	listed := make(chan result)
	go func() { listed <- runReal(t, dir, "users", "list", "-q") }()
	select {
	case got := <-listed:
		t.Fatalf("it did not wait: %+v", got)
	case <-time.After(3 * lookAgain):
	}
	l, err := net.Listen("unix", filepath.Join(run, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: newFakePlane().handler()}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	select {
	case got := <-listed:
		if got.status != 0 || got.out != "alice\nbob\n" {
			t.Errorf("got %+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the daemon is not found")
	}
}

// TestInterruptedConnect: ^C works before there is an answer.
func TestInterruptedConnect(t *testing.T) {
	asked := make(chan struct{}, 1)
	dir := daemonIn(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	var out, errs bytes.Buffer
	p := newProgram(IO{Out: &out, Err: &errs, Getenv: func(string) string { return "" }, Now: time.Now})
	if status := p.run(ctx, []string{"users", "list", "--data-dir", dir}); status != 130 {
		t.Errorf("got %d, %s", status, &errs)
	}
}
