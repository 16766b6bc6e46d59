//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// An Instance is one installation of the product on the server host: a data
// directory, and a name of its own for the binary, by which its processes are
// told from those of every other.
type Instance struct {
	World *World
	Bin   string
	Data  string // the data directory
	t     testing.TB
	env   []string
	proc  *Process // the daemon; nil before the first start
	boxes *Engine  // in whose containers workers may live, too; or nil
	disk  *os.File // the data directory, if only the server host has it mounted
}

// Instance makes an installation in which nothing is stored yet.
func (w *World) Instance(t testing.TB) *Instance {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	// Workers run as users of their own; the way to them has to be open.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	i := &Instance{World: w, Bin: filepath.Join(dir, "vpn"), Data: filepath.Join(dir, "data"), t: t}
	if err := os.Link(os.Getenv(envBinary), i.Bin); err != nil {
		t.Fatalf("%v\nhint: TestMain calls rig.Main", err)
	}
	i.env = []string{"VPN_DATA_DIR=" + i.Data, "GORACE=" + os.Getenv("GORACE")}
	if cover := os.Getenv(envCover); cover != "" {
		i.env = append(i.env, "GOCOVERDIR="+cover)
	}
	t.Cleanup(func() {
		i.cleanUp()
		os.RemoveAll(dir)
	})
	return i
}

// cleanUp ends what still runs, and looks for what nobody should find.
func (i *Instance) cleanUp() {
	if i.proc != nil && i.proc.Running() == nil {
		i.proc.Signal(syscall.SIGTERM)
		select {
		case <-i.proc.done:
		case <-time.After(10 * time.Second):
			i.t.Error("the daemon does not end on SIGTERM")
		}
	}
	// One that is just being born may be missed once, not twice.
	for quiet := 0; quiet < 2; quiet++ {
		for _, pid := range processesOf(i.Bin, "") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			quiet = 0
		}
	}
	logs, _ := filepath.Glob(i.File("logs/*"))
	if i.proc != nil {
		logs = append(logs, i.proc.log)
	}
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		for _, bad := range []string{"panic:", "fatal error:"} {
			if _, after, found := strings.Cut(string(text), bad); found {
				i.t.Errorf("in %s: %s%s", filepath.Base(path), bad, firstLines(after, 60))
			}
		}
		wantNoRaces(i.t, filepath.Base(path), string(text))
		if i.t.Failed() {
			i.t.Logf("%s:\n%s", path, lastLines(string(text), 40))
		}
	}
	if run, err := os.Readlink(i.File("run")); err == nil {
		os.RemoveAll(run)
	}
	if i.disk != nil {
		i.disk.Close()
	}
}

// Setenv adds to the environment, such as DOCKER_HOST=…, of the daemons and
// commands that follow.
func Setenv(i *Instance, env ...string) { i.env = append(i.env, env...) }

// Environ returns the environment of the instance's daemons and commands.
func Environ(i *Instance) []string { return i.env }

// Result is what a command has said.
type Result struct {
	Out, Err string
	Status   int
	Took     time.Duration
}

// Run runs the command line on the server host.
func (i *Instance) Run(args ...string) Result {
	i.t.Helper()
	return i.World.Server.Run(i.t, append([]string{"HOME=" + filepath.Dir(i.Data)}, i.env...), i.Bin, args...)
}

// Run runs a program on the host to its end, for a minute at most. env is added
// to a bare environment.
func (h *Host) Run(t testing.TB, env []string, program string, args ...string) Result {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := h.Start(cmd); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("run %s: %v", program, err)
	}
	return Result{out.String(), errs.String(), cmd.ProcessState.ExitCode(), time.Since(start)}
}

// Must is Run for a command that has to succeed. It returns what the command
// has printed.
func (i *Instance) Must(args ...string) string {
	i.t.Helper()
	r := i.Run(args...)
	if r.Status != 0 {
		i.t.Fatalf("vpn %s: status %d\n%s%s", strings.Join(args, " "), r.Status, r.Out, r.Err)
	}
	return r.Out
}

// JSON is Must with -o json, decoded into out.
func (i *Instance) JSON(out any, args ...string) {
	i.t.Helper()
	text := i.Must(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), out); err != nil {
		i.t.Fatalf("vpn %s: %v\n%s", strings.Join(args, " "), err, text)
	}
}

// CreateServer creates a server; if flags name no protocol, one that hides
// behind the world's site.
func (i *Instance) CreateServer(name string, port int, flags ...string) {
	i.t.Helper()
	if !slices.Contains(flags, "--protocol") {
		flags = append([]string{"--target", i.World.Site.Addr, "--server-name", SiteName}, flags...)
	}
	i.Must(append([]string{
		"server", "create", name, "--port", strconv.Itoa(port), "--public-host", ServerAddr,
	}, flags...)...)
}

// CreateUser creates a user by the command line, and returns the first link.
func (i *Instance) CreateUser(name string, flags ...string) Link {
	i.t.Helper()
	var c vpn.UserChange
	i.JSON(&c, append([]string{"users", "create", name}, flags...)...)
	return i.link(c)
}

func (i *Instance) link(c vpn.UserChange) Link {
	i.t.Helper()
	if len(c.Access) == 0 {
		i.t.Fatalf("user %s has no access", c.User.Name)
	}
	return LinkOf(i.t, c.Access[0])
}

// CreateUsers creates n users by the running daemon's API, named prefix and a
// number from 0, and returns their logins.
func (i *Instance) CreateUsers(prefix string, n int) []Login {
	i.t.Helper()
	logins := make([]Login, n)
	for k := range logins {
		var c vpn.UserChange
		if err := i.API(i.t.Context(), "POST", "/v1/users", vpn.NewUser{Name: prefix + strconv.Itoa(k)}, &c); err != nil {
			i.t.Fatal(err)
		}
		logins[k].Link = i.link(c)
	}
	return logins
}

// User returns what the product says of a user.
func (i *Instance) User(name string) vpn.UserDetail {
	i.t.Helper()
	var u vpn.UserDetail
	i.JSON(&u, "users", "show", name)
	return u
}

// Users returns all users by name, from the running daemon.
func (i *Instance) Users() (map[string]vpn.UserInfo, error) {
	var list []vpn.UserInfo
	if err := i.API(i.t.Context(), "GET", "/v1/users", nil, &list); err != nil {
		return nil, err
	}
	m := make(map[string]vpn.UserInfo, len(list))
	for _, u := range list {
		m[u.Name] = u
	}
	return m, nil
}

// Launch starts a daemon, by "serve" or the arguments, and does not wait.
func (i *Instance) Launch(args ...string) *Process {
	i.t.Helper()
	if len(args) == 0 {
		args = []string{"serve"}
	}
	i.proc = i.World.Server.Spawn(i.t, i.env, i.Bin, args...)
	return i.proc
}

// LaunchBy is Launch by a shell, which does something before.
func LaunchBy(i *Instance, before string, args ...string) *Process {
	i.t.Helper()
	i.proc = i.World.Server.Spawn(i.t, i.env, "/bin/sh", append([]string{"-c", before + `; exec "$0" "$@"`, i.Bin}, args...)...)
	return i.proc
}

// Daemon returns the daemon that was started last.
func (i *Instance) Daemon() *Process { return i.proc }

// Serve starts a daemon and waits until every server runs.
func (i *Instance) Serve(args ...string) *Process {
	i.t.Helper()
	p := i.Launch(args...)
	i.Ready()
	return p
}

// Ready waits until the daemon answers and every server runs.
func (i *Instance) Ready() time.Duration {
	i.t.Helper()
	return Until(i.t, 15*time.Second, func() error {
		if err := i.proc.Running(); err != nil {
			i.t.Fatalf("%v\n%s", err, i.proc.Output())
		}
		s, err := i.Status()
		if err != nil {
			return err
		}
		for _, server := range s.Servers {
			if server.State != vpn.Running && server.State != vpn.Stopped {
				return fmt.Errorf("server %s is %s: %s", server.Name, server.State, server.Problem)
			}
		}
		return nil
	})
}

// Status asks the daemon for the state of everything.
func (i *Instance) Status() (vpn.Status, error) {
	var s vpn.Status
	err := i.API(i.t.Context(), "GET", "/v1/status", nil, &s)
	return s, err
}

// Workers returns the ids of this instance's live worker processes, in
// containers or not.
func (i *Instance) Workers() []int {
	pids := processesOf(i.Bin, "worker")
	if i.boxes != nil {
		pids = append(pids, i.boxes.workers()...)
	}
	return pids
}

// OneWorker waits until the instance has exactly one worker, and returns it.
func (i *Instance) OneWorker() int {
	i.t.Helper()
	var pid int
	Until(i.t, 10*time.Second, func() error {
		pids := i.Workers()
		if len(pids) != 1 {
			return fmt.Errorf("there are %d workers: %v", len(pids), pids)
		}
		pid = pids[0]
		return nil
	})
	return pid
}

// API calls the daemon over its socket.
func (i *Instance) API(ctx context.Context, method, path string, in, out any) error {
	run, err := os.Readlink(i.File("run"))
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true, // the daemon may be another one next time
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(run, "api.sock"))
		},
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://vpn"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s\n%s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}
