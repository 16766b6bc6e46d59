package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/vpn"
)

// manager is a service manager's end of sd_notify, on a real socket.
type manager struct {
	conn *net.UnixConn
	mu   sync.Mutex
	said []string
}

func newManager(t *testing.T, address string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, strings.Split(string(b[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close() })
	return m
}

// has reports whether a line with this beginning was said.
func (m *manager) has(prefix string) bool { return m.find(prefix) != "" }

func (m *manager) find(prefix string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.said {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}

func (m *manager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = nil
}

func TestNotifyOnAnAbstractSocket(t *testing.T) {
	address := "@vpn-test-" + strconv.Itoa(os.Getpid())
	m := newManager(t, address)
	notifier{address}.send("READY=1", status("one\ntwo"))
	until(t, "READY=1", func() bool { return m.has("READY=1") })
	if !m.has("STATUS=one; two") {
		t.Errorf("said: %q", m.said)
	}
	notifier{"@nobody-is-there"}.send("READY=1") // is no error
	notifier{}.send("READY=1")
}

// plant is a daemon in this process.
type plant struct {
	manager *manager
	signals chan os.Signal
	client  *client.Client
	end     func() error

	mu     sync.Mutex
	config config.Config
	err    error
	level  slog.Level // as Adjust was told
}

func (p *plant) load() (config.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config, p.err
}

func (p *plant) set(c config.Config, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config, p.err = c, err
}

func configured(t *testing.T, dir string, lines ...string) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Sources{File: file, Flags: map[string]string{"data_dir": dir}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newPlant(t *testing.T, dir string) *plant {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	env := map[string]string{"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000", "XDG_RUNTIME_DIR": t.TempDir()}
	p := &plant{manager: newManager(t, address), signals: make(chan os.Signal), config: configured(t, dir)}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan http.Handler, 1)
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, Options{
			Config: p.config, Version: "1", Log: slog.New(slog.DiscardHandler), StopWorkers: true,
			Environ: func(k string) string { return env[k] },
			Ready:   func(h http.Handler) { ready <- h },
			Load:    p.load, Signals: p.signals,
			Adjust: func(c config.Config) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.level = c.LogLevel
			},
			Executable: "/nonexistent/vpn", Args: []string{"serve"},
		})
	}()
	select {
	case h := <-ready:
		p.client = client.InProcess(h)
	case err := <-done:
		t.Fatal(err)
	}
	p.end = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		_ = p.end()
		if run, err := os.Readlink(filepath.Join(dir, "run")); err == nil {
			_ = os.RemoveAll(run)
		}
	})
	return p
}

func (p *plant) events(t *testing.T) []vpn.Event {
	t.Helper()
	es, err := p.client.System.Events(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func (p *plant) warnings(t *testing.T) string {
	t.Helper()
	s, err := p.client.System.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(s.Warnings, "\n")
}

// What a service manager hears in the life of a daemon.
func TestServeTellsTheServiceManager(t *testing.T) {
	p := newPlant(t, t.TempDir())
	for _, line := range []string{"READY=1", "STATUS=0 of 0 servers running, 0 users online", "WATCHDOG=1"} {
		until(t, line, func() bool { return p.manager.has(line) })
	}
	p.manager.forget()
	p.signals <- syscall.SIGHUP
	for _, line := range []string{"RELOADING=1", "MONOTONIC_USEC=", "READY=1"} {
		until(t, line, func() bool { return p.manager.has(line) })
	}
	usec, err := strconv.ParseInt(strings.TrimPrefix(p.manager.find("MONOTONIC_USEC="), "MONOTONIC_USEC="), 10, 64)
	if err != nil || usec <= 0 {
		t.Errorf("the time is %d, %v", usec, err)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	until(t, "STOPPING=1", func() bool { return p.manager.has("STOPPING=1") })
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	p := newPlant(t, dir)
	next := configured(t, dir, "log_level: debug", "public_host: vpn.example.org", "worker_uids: 5000-5009")
	p.set(next, nil)
	before := p.events(t)
	if r, err := p.client.DryRun().System.Reload(t.Context()); err != nil || len(r.Changed) != 3 || !r.DryRun {
		t.Errorf("a dry run: %+v, %v", r, err)
	}
	if p.level == slog.LevelDebug || len(p.events(t)) != len(before) {
		t.Error("a dry run has changed something")
	}
	r, err := p.client.System.Reload(t.Context())
	if err != nil || !slices.Equal(r.Changed, []string{"public_host", "log_level", "worker_uids"}) {
		t.Errorf("a change: %+v, %v", r, err)
	}
	if p.level != slog.LevelDebug {
		t.Error("the log does not follow")
	}
	if e := p.events(t)[0]; e.Action != "system.reload" || e.Detail != "changed public_host, log_level, worker_uids" || !strings.HasPrefix(e.Actor, "uid ") {
		t.Errorf("the event is %+v", e)
	}

	// A broken file changes nothing, and is not forgotten, unless somebody only
	// wanted to see.
	p.set(config.Config{}, vpn.Errorf(vpn.Invalid, "config.yaml:3: no such key").WithHint("remove it"))
	if _, err := p.client.DryRun().System.Reload(t.Context()); vpn.KindOf(err) != vpn.Invalid || p.warnings(t) != "" {
		t.Errorf("a dry run of a broken file: %v, warnings %q", err, p.warnings(t))
	}
	if _, err := p.client.System.Reload(t.Context()); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a broken file: %v", err)
	}
	if w := p.warnings(t); !strings.Contains(w, "config.yaml:3: no such key") || p.level != slog.LevelDebug {
		t.Errorf("after a broken file the warnings are %q", w)
	}
	until(t, "STATUS", func() bool { return p.manager.has("STATUS=the configuration was refused") })
	if e := p.events(t)[0]; !strings.Contains(e.Detail, "refused: config.yaml:3") {
		t.Errorf("the event is %+v", e)
	}

	// Another data directory is refused, and what comes with it too.
	p.set(configured(t, t.TempDir(), "log_level: error"), nil)
	p.signals <- syscall.SIGHUP
	until(t, "a refusal", func() bool { return strings.Contains(p.warnings(t), "data_dir cannot change") })
	if p.level != slog.LevelDebug {
		t.Error("a part of a refused configuration is in force")
	}

	p.manager.forget()
	p.set(next, nil)
	until(t, "the end of the reload before", func() bool {
		r, err = p.client.System.Reload(t.Context())
		return vpn.KindOf(err) != vpn.Conflict // the one by signal warns before it is over
	})
	if err != nil || len(r.Changed) != 0 {
		t.Errorf("what is in force already: %+v, %v", r, err)
	}
	if w := p.warnings(t); w != "" {
		t.Errorf("after a good reload: %q", w)
	}
	until(t, "STATUS", func() bool { return p.manager.has("STATUS=0 of 0 servers running") })
}

// An upgrade to nothing is refused, and the daemon goes on.
func TestUpgradeToNothing(t *testing.T) {
	p := newPlant(t, t.TempDir())
	if _, err := p.client.System.Upgrade(t.Context()); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("got %v", err)
	}
	if e := p.events(t)[0]; e.Action != "system.upgrade" || !strings.HasPrefix(e.Detail, "refused: there is no file") {
		t.Errorf("the event is %+v", e)
	}
}

// A local control plane is no daemon: there is nothing to reload.
func TestNothingToReloadWithoutADaemon(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(t.Context(), Options{Config: configured(t, dir), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if run, err := os.Readlink(filepath.Join(dir, "run")); err == nil {
			_ = os.RemoveAll(run)
		}
	}()
	defer l.Close()
	c := client.InProcess(l.Handler())
	_, err = c.System.Reload(t.Context())
	_, err2 := c.System.Upgrade(t.Context())
	if vpn.KindOf(err) != vpn.Unavailable || vpn.KindOf(err2) != vpn.Unavailable {
		t.Errorf("got %v", errors.Join(err, err2))
	}
}

// Only the process that a handover names takes it, and the variable goes.
func TestHandoverIsForOneProcess(t *testing.T) {
	env := func(text string) func(string) string {
		return func(string) string { return text }
	}
	for _, text := range []string{"", "nonsense", `{"pid":1,"lock":3}`} {
		if h := TakeOver(env(text)); h != nil || h.Open() {
			t.Errorf("%q: %+v", text, h)
		}
	}
	t.Setenv(handoverVar, "x")
	h := TakeOver(env(`{"pid":` + strconv.Itoa(os.Getpid()) + `,"lock":-1,"run_lock":-1,"api":100000,"program":-1,"path":"/usr/bin/vpn"}`))
	if h == nil || h.Path() != "/usr/bin/vpn" || h.Open() || h.api != nil || os.Getenv(handoverVar) != "" {
		t.Errorf("%+v", h)
	}
}
