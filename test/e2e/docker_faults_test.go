//go:build linux && e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Whatever becomes of a container, within two seconds of that it is known and
// told, with the cause, and shown where one looks; then it is made good.
func TestContainersAreRepaired(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port, "--runtime", "docker", "--memory", "64MiB")
	client := i.World.Xray(t, i.CreateUsers("u", 1)...)
	told := listen(t, i)
	log := i.World.Server.Spawn(t, rig.Environ(i), i.Bin, "server", "logs", "main", "-f", "--tail", "1", "--since", "1h")
	docker := func(args ...string) func(*testing.T, vpn.Worker) {
		return func(t *testing.T, w vpn.Worker) {
			t.Helper()
			engine.Must(t, append(args, w.Container)...)
		}
	}
	for _, c := range []struct {
		name   string
		do     func(*testing.T, vpn.Worker)
		action string // that is told of the server, and
		says   string // with it
		why    string // said of that worker's end afterwards
		back   time.Duration
		seen   time.Duration // 0: two seconds
	}{
		{"removed by hand", docker("rm", "-f"), "servers.ended", "was removed", "was removed", 5 * time.Second, 0},
		{"stopped by hand", docker("stop"), "servers.ended", "was stopped", "was stopped", 5 * time.Second, 0},
		{"killed by hand", docker("kill"), "servers.ended", "SIGKILL", "SIGKILL", 5 * time.Second, 0},
		{"killed", func(t *testing.T, w vpn.Worker) {
			rig.Signal(t, w.PID, syscall.SIGKILL)
		}, "servers.ended", "SIGKILL", "SIGKILL", 5 * time.Second, 0},
		{"out of memory", starve, "servers.ended", "ran out of the memory", "ran out of the memory", 5 * time.Second, 0},
		// It is given ten seconds, as any worker that does not answer.
		{"paused", docker("pause"), "servers.unresponsive", "paused", "paused", 40 * time.Second, 0},
		// It is asked each second, and has nearly one to answer; the engine would call it unhealthy in a minute.
		{"hangs", docker("kill", "--signal", "STOP"), "servers.unresponsive", "", "", 40 * time.Second, 3 * time.Second},
		{"the engine stops", func(t *testing.T, _ vpn.Worker) {
			if err := engine.Stop(); err != nil {
				t.Fatal(err)
			}
		}, "servers.failed", "Docker engine", "was stopped", 15 * time.Second, 0},
	} {
		before := shown(i, "main")
		if err := works(t, client, 0); err != nil {
			t.Fatalf("%s: before: %v", c.name, err)
		}
		from := told.now()
		c.do(t, *before.Worker)
		began := time.Now()
		at := told.wait(t, from, c.action, c.says)
		if took := at.Sub(began); took > cmp.Or(c.seen, 2*time.Second) && !rig.Slow() {
			t.Errorf("%s: it is told after %v", c.name, took)
		}
		if c.action != "servers.ended" { // it lasts, so people see it
			if out := i.Must("server", "list"); !strings.Contains(out, strings.TrimPrefix(c.action, "servers.")) {
				t.Errorf("%s: the list shows\n%s", c.name, out)
			}
			if s := shown(i, "main"); !strings.Contains(s.Problem, c.says) {
				t.Errorf("%s: its problem is %q", c.name, s.Problem)
			}
		}
		if c.name == "the engine stops" {
			if err := engine.Start(); err != nil {
				t.Fatal(err)
			}
			began = time.Now()
		}
		rig.Until(t, 60*time.Second, func() error {
			s := shown(i, "main")
			if s.State != vpn.Running || s.Worker == nil || s.Worker.Epoch == before.Worker.Epoch {
				return fmt.Errorf("%s: it is %s: %s", c.name, s.State, s.Problem)
			}
			if s.Worker.Before == nil || !strings.Contains(s.Worker.Before.Why, c.why) {
				return fmt.Errorf("%s: of the worker before it says %+v", c.name, s.Worker.Before)
			}
			return works(t, client, 0)
		})
		took := time.Since(began)
		t.Logf("%s: told after %v, serves again after %v", c.name, at.Sub(began).Round(time.Millisecond), took.Round(time.Millisecond))
		if took > c.back && !rig.Slow() {
			t.Errorf("%s: serves again after %v", c.name, took)
		}
	}
	if out := engine.Must(t, "ps", "-aq", "--filter", "label=vpn.server"); strings.Count(out, "\n") != 1 {
		t.Errorf("the containers are %q", out)
	}
	rig.Until(t, 10*time.Second, func() error { // one follows the log of all of them
		if n := strings.Count(log.Output(), "worker runs"); n < 8 || n > 9 {
			return fmt.Errorf("who follows the log has seen %d lives:\n%s", n, log.Output())
		}
		return nil
	})
	if out := i.Must("server", "logs", "main", "--tail", "1"); strings.Count(out, "\n") != 1 {
		t.Errorf("one line of the log is\n%s", out)
	}
	if out := i.Must("server", "logs", "main", "--since", "1s"); strings.Count(out, "worker runs") > 2 {
		t.Errorf("the log of a second is\n%s", out)
	}
	if out := i.Must("server", "show", "main"); !strings.Contains(out, "was stopped") {
		t.Errorf("of the last end a person is told nothing:\n%s", out)
	}

	// Who does it again and again has to wait longer and longer, and is told.
	rig.Until(t, time.Minute, func() error {
		s := shown(i, "main")
		if strings.Contains(s.Problem, "times in a row, the last time: its container was removed; the next try is in") {
			return nil
		}
		if s.Worker != nil && s.Worker.Container != "" {
			_, _ = engine.Docker("rm", "-f", s.Worker.Container)
		}
		return fmt.Errorf("it is %s: %s", s.State, s.Problem)
	})
	rig.Until(t, 30*time.Second, func() error { return works(t, client, 0) })
}

// starve makes a worker's container one that has no memory left: somebody in
// it takes all, and the kernel ends the worker.
func starve(t *testing.T, w vpn.Worker) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", w.PID))
	if err != nil {
		t.Fatal(err)
	}
	group := ""
	for line := range strings.Lines(string(text)) {
		switch f := strings.SplitN(strings.TrimSpace(line), ":", 3); {
		case f[1] == "memory":
			group = filepath.Join("/sys/fs/cgroup/memory", f[2])
		case f[1] == "" && group == "":
			group = filepath.Join("/sys/fs/cgroup", f[2])
		}
	}
	// Of two the kernel takes the one that is pointed out to it.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", w.PID), []byte("1000"), 0); err != nil {
		t.Fatal(err)
	}
	hog := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && head -c 200m /dev/zero | tail >/dev/null`, group)
	var said strings.Builder
	hog.Stderr = &said
	if err := hog.Run(); err != nil && strings.Contains(said.String(), "cgroup.procs") {
		t.Fatalf("%v: %s", err, said.String())
	}
}

// A listener follows what is told of an installation.
type listener struct{ *rig.Process }

func listen(t *testing.T, i *rig.Instance) listener {
	t.Helper()
	l := listener{i.World.Server.Spawn(t, rig.Environ(i), i.Bin, "monitor", "events", "-f", "-n", "1", "-o", "json")}
	rig.Until(t, 10*time.Second, func() error { // the last one shows that it listens
		if len(l.events()) == 0 {
			return errors.New("it tells nothing")
		}
		return nil
	})
	return l
}

func (l listener) events() (all []vpn.Event) {
	for line := range strings.Lines(l.Output()) {
		var e vpn.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// now is how many events have been told.
func (l listener) now() int { return len(l.events()) }

// wait waits for an event after the first from, and returns when that was.
func (l listener) wait(t *testing.T, from int, action, says string) (at time.Time) {
	t.Helper()
	rig.Until(t, 20*time.Second, func() error {
		for _, e := range l.events()[from:] {
			if e.Action == action && strings.Contains(e.Detail, says) {
				at = e.At
				return nil
			}
		}
		return fmt.Errorf("of %s, %q is told nothing, but %+v", action, says, l.events()[from:])
	})
	return at
}

// An engine that is stopped takes its containers' connections with it, every
// byte of which is counted, and those of no process; when it comes again, so
// do they.
func TestEngineRestarted(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port, "--runtime", "docker")
	i.CreateServer("other", 8443)
	logins := i.CreateUsers("u", 2)
	var change []vpn.Access
	i.JSON(&change, "users", "link", "u1", "--server", "other")
	inContainer, inProcess := i.World.Xray(t, logins[0]), i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, change[0].Link)})
	load := inProcess.Load(t, 0, 1)
	conn := inContainer.MustOpen(t, 0, false)
	if err := errors.Join(conn.Download(3<<20, 0), conn.Upload(t.Context(), 1<<20, 0)); err != nil {
		t.Fatal(err)
	}
	if err := engine.Stop(); err != nil {
		t.Fatal(err)
	}
	if !conn.Ended(5 * time.Second) {
		t.Error("a connection outlives the container of its server")
	}
	rig.Until(t, 15*time.Second, func() error {
		if s := shown(i, "main"); s.State == vpn.Running {
			return errors.New("it is said to run")
		}
		return nil
	})
	if s := shown(i, "other"); s.State != vpn.Running {
		t.Errorf("the server without a container is %s: %s", s.State, s.Problem)
	}
	i.CreateUsers("meanwhile", 1)
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 15*time.Second, func() error { return works(t, inContainer, 0) })
	rig.Until(t, 15*time.Second, func() error {
		if s := shown(i, "main"); s.State != vpn.Running {
			return fmt.Errorf("it is %s: %s", s.State, s.Problem)
		}
		return nil
	})
	if used := i.User("u0").Used; used.Up < conn.Sent() || used.Down < conn.Received() || used.Total() > conn.Sent()+conn.Received()+10_000 {
		t.Errorf("%d and %d bytes had moved, and %+v is counted", conn.Sent(), conn.Received(), used)
	}
	load.Stop(t)
}
