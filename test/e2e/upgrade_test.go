//go:build linux && e2e

package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// oldVersion is what instances of these tests begin with.
const oldVersion = "1.11.1"

// installVersion is install with a program of a version of its own.
func installVersion(t *testing.T, users int) (*rig.Instance, []rig.Login) {
	t.Helper()
	i := rig.NewWorld(t).Instance(t)
	i.SetVersion(oldVersion)
	i.CreateServer("main", port)
	i.Serve()
	return i, i.CreateUsers("u", users)
}

// The daemon goes over to another version ten times under traffic, while
// others ask it things all the time. No connection drops, no request fails,
// no byte is lost or counted twice, and the process and the worker are the
// same all the time.
func TestUpgradesUnderTraffic(t *testing.T) {
	const users, upgrades = 20, 10
	i, logins := installVersion(t, users)
	versions := []string{rig.Version(t, "2.22.2"), rig.Version(t, "3.33.3")}
	load := i.World.Xray(t, logins...).Load(t, 0, users)
	worker, daemon := i.OneWorker(), i.Daemon().PID()
	hammer := newHammer(t, i)
	for k := range upgrades {
		before := daemonStatus(t, i)
		i.Must("upgrade", versions[k%2], "--dry-run")
		if tried := daemonStatus(t, i); tried.Version != before.Version || !tried.Since.Equal(before.Since) {
			t.Fatalf("a dry run has gone over to %s", tried.Version)
		}
		took := i.Run("upgrade", versions[k%2])
		if took.Status != 0 || !strings.Contains(took.Out, "upgraded from ") {
			t.Fatalf("upgrade %d: %+v", k, took)
		}
		status := daemonStatus(t, i)
		if want := []string{"2.22.2", "3.33.3"}[k%2]; !strings.HasPrefix(status.Version, want) || status.PID != daemon {
			t.Fatalf("upgrade %d: version %s and pid %d, want %s and %d", k, status.Version, status.PID, want, daemon)
		}
		if err := errors.Join(load.Err(), hammer.err()); err != nil {
			t.Fatalf("upgrade %d: %v", k, err)
		}
		if pids := i.Workers(); len(pids) != 1 || pids[0] != worker {
			t.Fatalf("upgrade %d: workers %v, it was %d", k, pids, worker)
		}
		pause(t.Context(), rand.N(600*time.Millisecond)) // long enough to sample, or not
	}
	asked := hammer.stop()
	if asked < 10*upgrades {
		t.Errorf("only %d requests were made meanwhile", asked)
	}
	t.Logf("%d requests", asked)
	moved := load.Stop(t)
	for k, want := range moved {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
	if all := sum(moved); all.Up < 5<<20 {
		t.Errorf("only %+v has moved meanwhile", all)
	}
	wantWarning(t, i, "server main still runs version "+oldVersion)
	i.Must("server", "restart", "main", "--yes")
	rig.Until(t, 10*time.Second, func() error {
		s := daemonStatus(t, i)
		if w := s.Servers[0].Worker; w == nil || w.Version != s.Version {
			return fmt.Errorf("worker %+v", w)
		}
		return nil
	})
	// The worker before was a child of the process, though not of the program
	// that it runs now.
	rig.Until(t, 5*time.Second, func() error { return zombies(daemon) })
	if locks, programs := opened(t, daemon, "/lock"), opened(t, daemon, "/vpn"); locks != 2 || programs != 0 {
		t.Errorf("after %d upgrades %d locks and %d programs are open", upgrades, locks, programs)
	}
	i.Must("upgrade", "--back")
	if s := daemonStatus(t, i); !strings.HasPrefix(s.Version, "2.22.2") {
		t.Errorf("after --back: version %s", s.Version)
	}
	if status := i.Daemon().Stop(t); status != 0 || len(i.Workers()) > 0 {
		t.Errorf("SIGTERM after upgrades: status %d, workers %v", status, i.Workers())
	}
}

// SIGUSR2 makes the daemon go over to what is installed by then. Two at once do
// not end it, and whoever follows a log does not hold it up.
func TestUpgradeBySignal(t *testing.T) {
	t.Parallel()
	i, logins := installVersion(t, 2)
	load := i.World.Xray(t, logins...).Load(t, 0, 2)
	worker := i.OneWorker()
	for _, version := range []string{"2.22.2", "3.33.3"} {
		if err := os.Rename(rig.Version(t, version), i.Bin); err != nil {
			t.Fatal(err)
		}
		follower := i.World.Server.Spawn(t, []string{"VPN_DATA_DIR=" + i.Data}, i.Bin, "server", "logs", "main", "-f")
		rig.Until(t, 10*time.Second, func() error { return printed(follower, "worker runs") })
		start := time.Now()
		i.Daemon().Signal(syscall.SIGUSR2)
		i.Daemon().Signal(syscall.SIGUSR2)
		rig.Until(t, 15*time.Second, func() error {
			if err := i.Daemon().Running(); err != nil {
				t.Fatal(err)
			}
			if s := daemonStatus(t, i); !strings.HasPrefix(s.Version, version) {
				return fmt.Errorf("version %s", s.Version)
			}
			return nil
		})
		if took := time.Since(start); took > 5*time.Second && !rig.Slow() {
			t.Errorf("an upgrade took %v while a log was followed", took)
		}
		if status := follower.Wait(t, 5*time.Second); status != 0 {
			t.Errorf("whoever followed a log ended with status %d", status)
		}
	}
	load.Stop(t)
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
}

// What is not fit to take over is refused, and everything is as it was: the
// file, the process, and what it answers.
func TestUpgradesThatAreRefused(t *testing.T) {
	t.Parallel()
	i, logins := installVersion(t, 2)
	load := i.World.Xray(t, logins...).Load(t, 0, 2)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(i.Bin)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := daemonStatus(t, i)
	for _, c := range []struct{ name, file, says string }{
		{"no file", filepath.Join(dir, "nothing"), "there is no file"},
		{"a text", file("text", "hello"), "not a program of this product"},
		{"a script", file("script", "#!/bin/sh\nexit 1\n"), "not a program of this product"},
		{"half of it", file("half", string(whole[:len(whole)/2])), "vpn-"}, // one of several reasons; see below
		{"another program", self, "is another program"},
	} {
		r := i.Run("upgrade", c.file)
		if r.Status == 0 || c.name != "half of it" && !strings.Contains(r.Err, c.says) {
			t.Errorf("%s: %+v", c.name, r)
		}
		now, err := os.ReadFile(i.Bin)
		if err != nil || string(now) != string(whole) {
			t.Fatalf("%s: the installed program is another (%v)", c.name, err)
		}
	}

	// The daemon looks for itself: what somebody else has installed there.
	aside := i.Bin + ".aside"
	if err := os.Rename(i.Bin, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file("broken", "#!/bin/sh\nexit 1\n"), i.Bin); err != nil {
		t.Fatal(err)
	}
	if err := i.API(t.Context(), "POST", "/v1/upgrade", nil, nil); err == nil || !strings.Contains(err.Error(), "not a program of this product") {
		t.Errorf("a script that is installed: %v", err)
	}
	i.Daemon().Signal(syscall.SIGUSR2)
	rig.Until(t, 10*time.Second, func() error { return printed(i.Daemon(), "upgrade refused") })
	if err := os.Rename(aside, i.Bin); err != nil {
		t.Fatal(err)
	}

	left, err := filepath.Glob(filepath.Join(filepath.Dir(i.Bin), ".vpn*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if now := daemonStatus(t, i); !now.Since.Equal(before.Since) {
		t.Errorf("the daemon is another: since %v, it was %v", now.Since, before.Since)
	}
	load.Stop(t)
}

// A version that says that it can take over, and cannot, gives everything
// back to the one before.
func TestAnUpgradeThatFailsIsTakenBack(t *testing.T) {
	t.Parallel()
	i, logins := installVersion(t, 4)
	load := i.World.Xray(t, logins...).Load(t, 0, 4)
	worker, daemon := i.OneWorker(), i.Daemon().PID()
	hammer := newHammer(t, i)
	for range 3 {
		r := i.Run("upgrade", rig.Lame(t, "2.22.2"))
		if r.Status != 6 || !strings.Contains(r.Err, "the upgrade to version 2.22.2") {
			t.Fatalf("%+v", r)
		}
	}
	s := daemonStatus(t, i)
	if !strings.HasPrefix(s.Version, oldVersion) || s.PID != daemon {
		t.Errorf("version %s and pid %d, want %s and %d", s.Version, s.PID, oldVersion, daemon)
	}
	if v := i.Must("version", "-q"); !strings.HasPrefix(v, oldVersion) {
		t.Errorf("the installed program is version %s", v)
	}
	wantWarning(t, i, "the upgrade to version 2.22.2")
	hammer.stop()
	if err := hammer.err(); err != nil {
		t.Error(err)
	}
	for k, want := range load.Stop(t) {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
	i.Must("upgrade", rig.Version(t, "3.33.3"))
	for _, w := range daemonStatus(t, i).Warnings {
		if strings.Contains(w, "the upgrade to version 2.22.2") {
			t.Errorf("after a good upgrade: %s", w)
		}
	}
}

// A version that dies in the middle of an upgrade, and that nobody starts
// again, leaves the installed program as it was, and the servers at work.
func TestAnUpgradeThatDiesIsTakenBack(t *testing.T) {
	t.Parallel()
	i, logins := installVersion(t, 2)
	load := i.World.Xray(t, logins...).Load(t, 0, 2)
	worker := i.OneWorker()
	done := make(chan rig.Result, 1)
	go func() { done <- i.Run("upgrade", rig.Version(t, "2.22.2")) }()
	rig.Until(t, 20*time.Second, func() error { return printed(i.Daemon(), "going over to another program") })
	i.Daemon().Kill()
	r := <-done
	if r.Status != 6 || !strings.Contains(r.Err, "has ended at its start") || !strings.Contains(r.Err, "no daemon is running") {
		t.Errorf("%+v", r)
	}
	if v := i.Must("version", "-q"); !strings.HasPrefix(v, oldVersion) {
		t.Errorf("the installed program is version %s", v)
	}
	i.Serve()
	for k, want := range load.Stop(t) {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
}

// What could not read its configuration is refused before anything ends.
func TestUpgradeWithABrokenConfiguration(t *testing.T) {
	t.Parallel()
	i, _ := installVersion(t, 1)
	i.Daemon().Stop(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log_level: info\n")
	i.Serve("serve", "--config", config)
	before := daemonStatus(t, i)
	write("log_level: info\npublic_hots: x\n")
	err := i.API(t.Context(), "POST", "/v1/upgrade", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "config.yaml:2: unknown key") {
		t.Errorf("got %v", err)
	}
	write("log_level: debug\n")
	if err := i.API(t.Context(), "POST", "/v1/upgrade", nil, nil); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 10*time.Second, func() error {
		if s := daemonStatus(t, i); s.Since.Equal(before.Since) {
			return errors.New("it is the same")
		}
		return nil
	})
}

// A control plane that is killed in the middle of an upgrade is one that was
// killed: the next one finds everything.
func TestKilledInTheMiddleOfAnUpgrade(t *testing.T) {
	t.Parallel()
	const users = 6
	i, logins := installVersion(t, users)
	versions := []string{"2.22.2", "3.33.3"}
	load := i.World.Xray(t, logins...).Load(t, 0, users)
	worker := i.OneWorker()
	for k := range 12 {
		if err := os.Rename(rig.Version(t, versions[k%2]), i.Bin); err != nil {
			t.Fatal(err)
		}
		log := len(i.Daemon().Output())
		i.Daemon().Signal(syscall.SIGUSR2)
		rig.Until(t, 15*time.Second, func() error {
			if !strings.Contains(i.Daemon().Output()[log:], "going over to another program") {
				return errors.New("it is still being checked")
			}
			return nil
		})
		pause(t.Context(), rand.N(40*time.Millisecond))
		i.Daemon().Kill()
		i.Serve()
		if err := load.Err(); err != nil {
			t.Fatalf("kill %d: %v", k, err)
		}
		if pids := i.Workers(); len(pids) != 1 || pids[0] != worker {
			t.Fatalf("kill %d: workers %v, it was %d", k, pids, worker)
		}
	}
	for k, want := range load.Stop(t) {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
}

// Without a daemon only the file is replaced, and a program that is older than
// the store is refused.
func TestUpgradeWithoutADaemon(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.SetVersion(oldVersion)
	is := func(version string) {
		t.Helper()
		if v := i.Must("version", "-q"); !strings.HasPrefix(v, version) {
			t.Errorf("the installed program is version %s, want %s", v, version)
		}
	}
	i.Must("upgrade", rig.Version(t, "2.22.2"))
	is("2.22.2")
	i.Must("users", "create", "alice")
	i.Must("upgrade", rig.Version(t, "3.33.3"))
	is("3.33.3")
	i.Must("upgrade", "--back")
	is("2.22.2")

	db, err := sql.Open("sqlite", filepath.Join(i.Data, "vpn.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	r := i.Run("upgrade", rig.Version(t, "3.33.3"))
	if r.Status != 5 || !strings.Contains(r.Err, "vpn.db has version 99999, and this program knows versions up to") {
		t.Errorf("a program that is older than the store: %+v", r)
	}
	is("2.22.2")
}

// "vpn up" can be upgraded too, and still ends with its terminal.
func TestUpIsUpgraded(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.SetVersion(oldVersion)
	up := i.Launch("up", "--target", "self")
	rig.Until(t, 20*time.Second, func() error { return printed(up, "vless://") })
	worker := i.OneWorker()
	i.Must("upgrade", rig.Version(t, "2.22.2"))
	if s := daemonStatus(t, i); !strings.HasPrefix(s.Version, "2.22.2") || i.OneWorker() != worker {
		t.Errorf("after the upgrade: version %s, worker %d, it was %d", s.Version, i.OneWorker(), worker)
	}
	up.Signal(syscall.SIGHUP)
	up.Wait(t, 20*time.Second)
	if left := i.Workers(); len(left) > 0 {
		t.Errorf("after SIGHUP: workers %v", left)
	}
}

// A worker is given nothing that is the control plane's: no descriptor, and
// nothing of its environment that a service manager or an upgrade put there.
func TestWorkersInheritNothing(t *testing.T) {
	t.Parallel()
	i, _ := installVersion(t, 1)
	i.Must("upgrade", rig.Version(t, "2.22.2"))
	i.Must("server", "restart", "main", "--yes") // a worker that was born after the handover
	pid := i.OneWorker()
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_", "VPN_HANDOVER", "VPN_DATA_DIR"} {
		if strings.Contains(string(env), name) {
			t.Errorf("the worker has %s in its environment", name)
		}
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fd)
		if strings.Contains(to, "/lock") || strings.Contains(to, "vpn.db") || strings.HasSuffix(to, "/vpn") || strings.HasSuffix(to, "(deleted)") {
			t.Errorf("the worker has %s open", to)
		}
	}
}

// opened counts the descriptors of a process that are of files whose path has an
// end like that.
func opened(t *testing.T, pid int, end string) int {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("process %d has nothing open: %v", pid, err)
	}
	n := 0
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasSuffix(strings.TrimSuffix(to, " (deleted)"), end) {
			n++
		}
	}
	return n
}

// zombies returns an error if a child of the process has ended and was not
// waited for.
func zombies(pid int) error {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		return fmt.Errorf("process %d has no tasks: %w", pid, err)
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range strings.FieldsSeq(string(children)) {
			if stat, err := os.ReadFile("/proc/" + child + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
				return fmt.Errorf("child %s is a zombie", child)
			}
		}
	}
	return nil
}

func daemonStatus(t *testing.T, i *rig.Instance) vpn.Status {
	t.Helper()
	s, err := i.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantWarning(t *testing.T, i *rig.Instance, text string) {
	t.Helper()
	s := daemonStatus(t, i)
	for _, w := range s.Warnings {
		if strings.Contains(w, text) {
			return
		}
	}
	t.Errorf("no warning says %q: %q", text, s.Warnings)
}

// A hammer asks the daemon things without a pause, and changes something now
// and then.
type hammer struct {
	quit  chan struct{}
	wg    sync.WaitGroup
	asked atomic.Int64
	mu    sync.Mutex
	errs  []error
}

func newHammer(t *testing.T, i *rig.Instance) *hammer {
	h := &hammer{quit: make(chan struct{})}
	for k := range 4 {
		h.wg.Go(func() {
			user := fmt.Sprint("hammer", k)
			for n := 0; ; n++ {
				select {
				case <-h.quit:
					return
				default:
				}
				var err error
				switch n % 4 {
				case 0:
					err = i.API(context.WithoutCancel(t.Context()), "POST", "/v1/users", vpn.NewUser{Name: user}, nil)
				case 1, 2:
					_, err = i.Users()
				case 3:
					err = i.API(context.WithoutCancel(t.Context()), "DELETE", "/v1/users/"+user, nil, nil)
				}
				h.asked.Add(1)
				if err != nil {
					h.mu.Lock()
					h.errs = append(h.errs, fmt.Errorf("request %d of %d: %w", n, k, err))
					h.mu.Unlock()
					return
				}
				pause(t.Context(), 5*time.Millisecond)
			}
		})
	}
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *hammer) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.errs...)
}

func (h *hammer) stop() int {
	select {
	case <-h.quit:
	default:
		close(h.quit)
	}
	h.wg.Wait()
	return int(h.asked.Load())
}
