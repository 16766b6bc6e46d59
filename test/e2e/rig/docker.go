//go:build linux

package rig

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An Engine is a real Docker engine, dockerd and containerd, of one test: its
// data, its sockets and its network are nobody else's.
type Engine struct {
	Dir  string // its data and its sockets
	Host string // what DOCKER_HOST is to be

	disk       string // where it keeps images and containers
	start      func(*exec.Cmd) error
	flags      []string
	containers *part // containerd, which outlives the daemon, as it does where both are services
	daemon     *part
}

// A part is one of an engine's processes.
type part struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

// dockerParts are the programs that an engine needs, and Debian's package of
// each; test/deps installs them.
var dockerParts = [][2]string{{"dockerd", "docker.io"}, {"containerd", "docker.io"}, {"runc", "docker.io"}, {"iptables", "iptables"}}

// dockerPatience is how long an engine may take to come up, or to end, on a
// machine that does many other things.
const dockerPatience = 60 * time.Second

// Docker runs an engine on the host until the test ends. The containers that
// have the host's network have this host's; ports that are published are
// published here. flags are dockerd's.
func (h *Host) Docker(t testing.TB, flags ...string) *Engine {
	t.Helper()
	return untilEnd(t, h.Start, flags...)
}

// DockerApart is [Host.Docker] for an engine that sees none of the directories
// that tests have.
func DockerApart(t testing.TB, h *Host, flags ...string) *Engine {
	t.Helper()
	return untilEnd(t, Apart(h.Start), flags...)
}

func untilEnd(t testing.TB, start func(*exec.Cmd) error, flags ...string) *Engine {
	t.Helper()
	e, err := StartEngine(start, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the Docker engine said:\n%s", lastLines(e.Output(), 40))
		}
		if Slow() {
			findRaces(t, e)
		}
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// findRaces looks for what the race detector says in the containers that are
// left. The logs of servers in containers are the instance's, too.
func findRaces(t testing.TB, e *Engine) {
	t.Helper()
	select {
	case <-e.daemon.ended:
		return
	default:
		_ = e.daemon.cmd.Process.Signal(syscall.SIGCONT)
	}
	ids, err := e.Docker("ps", "-aq")
	if err != nil {
		t.Error(err)
	}
	for id := range strings.FieldsSeq(ids) {
		logs := exec.Command("docker", "-H", e.Host, "logs", id)
		logs.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.Dir}
		text, err := logs.CombinedOutput()
		if err != nil {
			t.Errorf("docker logs: %v\n%s", err, text)
		}
		wantNoRaces(t, "container "+id, string(text))
	}
}

// StartEngine starts an engine by start, which decides where it runs, and
// returns once it answers. [Engine.Remove] ends it.
func StartEngine(start func(*exec.Cmd) error, flags ...string) (*Engine, error) {
	return StartEngineOn("", start, flags...)
}

// StartEngineOn is [StartEngine] for an engine that keeps images and
// containers in a directory on a disk of their own.
func StartEngineOn(disk string, start func(*exec.Cmd) error, flags ...string) (*Engine, error) {
	for _, part := range dockerParts {
		if _, err := exec.LookPath(part[0]); err != nil {
			return nil, fmt.Errorf("a Docker engine needs %s: install %s, or run: make deps", part[0], part[1])
		}
	}
	// Not t.TempDir: a socket's path must be short.
	dir, err := os.MkdirTemp("", "dk")
	if err != nil {
		return nil, err
	}
	// Workers in containers are users of their own, and reach their volumes below it.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	e := &Engine{Dir: dir, Host: "unix://" + dir + "/docker.sock", disk: cmp.Or(disk, dir), start: start, flags: flags}
	if err := e.Start(); err != nil {
		return nil, errors.Join(err, e.Remove())
	}
	return e, nil
}

// hide makes the directory of temporary files an empty one in a mount
// namespace of the process, but for the engine's own.
const hide = `set -e
mount --bind "$TMPDIR" /mnt
mount -t tmpfs -o mode=1777 tmpfs "$0"
mkdir -m 711 "$TMPDIR"
mount --move /mnt "$TMPDIR"
exec "$@"`

// Apart returns a start for [StartEngine] by which the engine sees nothing of
// what tests have in their directories, as one that runs in another machine
// or in a container.
func Apart(start func(*exec.Cmd) error) func(*exec.Cmd) error {
	first := 0
	return func(cmd *exec.Cmd) error {
		args := []string{"nsenter", "--mount=/proc/" + strconv.Itoa(first) + "/ns/mnt"}
		if first == 0 {
			args = []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", hide, os.TempDir()}
		}
		there := exec.Command(args[0], append(args[1:], cmd.Args...)...)
		cmd.Path, cmd.Args, cmd.Err = there.Path, there.Args, there.Err
		err := start(cmd)
		if first == 0 && err == nil {
			first = cmd.Process.Pid // of each program in turn
		}
		return err
	}
}

// containerdConfig keeps it from what only Kubernetes needs, and from the
// configuration of this machine.
const containerdConfig = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"

// Start starts the daemon, which is not running, and returns once it answers.
func (e *Engine) Start() (err error) {
	if e.containers == nil {
		config := e.Dir + "/containerd.toml"
		if err := os.WriteFile(config, []byte(containerdConfig), 0o600); err != nil {
			return err
		}
		e.containers, err = e.run("containerd", "--config", config,
			"--root", e.disk+"/containerd", "--state", e.Dir+"/state", "--address", e.Dir+"/c.sock")
		if err != nil {
			return err
		}
		if err := e.await(e.containers, "containerd", func() bool { return dialUnix(e.Dir + "/c.sock") }); err != nil {
			return err
		}
	}
	// A daemon that was killed leaves it behind, and its number may be somebody's by now.
	_ = os.Remove(e.Dir + "/pid")
	e.daemon, err = e.run("dockerd", append([]string{
		"--data-root", e.disk + "/data", "--exec-root", e.Dir + "/exec", "--pidfile", e.Dir + "/pid",
		"--containerd", e.Dir + "/c.sock", "-H", e.Host,
	}, e.flags...)...)
	if err != nil {
		return err
	}
	return e.await(e.daemon, "dockerd", e.answers)
}

// run starts one of the engine's processes.
func (e *Engine) run(program string, args ...string) (*part, error) {
	log, err := os.OpenFile(filepath.Join(e.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &part{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.Dir, "TMPDIR=" + e.Dir}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := e.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop ends the process in order, or else by force.
func (p *part) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // a test may have suspended it
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(dockerPatience):
		p.kill()
		return fmt.Errorf("%s did not stop", p.cmd.Path)
	}
}

func (p *part) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func dialUnix(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// await waits until up says that p is.
func (e *Engine) await(p *part, name string, up func() bool) error {
	late := time.After(dockerPatience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if up() {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended at its start:\n%s", name, lastLines(e.Output(), 20))
		case <-late:
			return fmt.Errorf("%s does not come up:\n%s", name, lastLines(e.Output(), 20))
		case <-tick.C:
		}
	}
}

// answers reports whether the daemon takes requests.
func (e *Engine) answers() bool {
	c, err := net.Dial("unix", e.Dir+"/docker.sock")
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("GET /_ping HTTP/1.0\r\n\r\n")); err != nil {
		return false
	}
	b := make([]byte, 64)
	n, _ := c.Read(b)
	return bytes.Contains(b[:n], []byte(" 200 "))
}

// PID returns the process of the daemon.
func (e *Engine) PID() int { return e.daemon.cmd.Process.Pid }

// Stop stops the daemon in order. Containers end with it, unless it runs with
// --live-restore.
func (e *Engine) Stop() error { return e.daemon.stop() }

// Kill ends the daemon at once.
func (e *Engine) Kill() { e.daemon.kill() }

// Output returns what the daemon has written.
func (e *Engine) Output() string {
	b, err := os.ReadFile(filepath.Join(e.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Docker runs the docker command on the engine, and returns what it has
// printed.
func (e *Engine) Docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dockerPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", append([]string{"-H", e.Host}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.Dir}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// Contain makes an instance one that uses the engine, which nobody else does.
func (e *Engine) Contain(i *Instance) {
	i.boxes = e
	Setenv(i, "DOCKER_HOST="+e.Host)
}

// workers returns the processes of the containers of servers.
func (e *Engine) workers() (pids []int) {
	ids, err := e.Docker("ps", "-q", "--filter", "label=vpn.server")
	if err != nil || ids == "" {
		return nil
	}
	// Of those that have gone meanwhile it says nothing, and fails.
	out, _ := e.Docker(append([]string{"inspect", "--format", "{{.State.Pid}}"}, strings.Fields(ids)...)...)
	for _, field := range strings.Fields(out) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Must is Docker for what has to succeed.
func (e *Engine) Must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := e.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Remove ends the engine and every container of it, and removes its data.
func (e *Engine) Remove() error {
	var errs []error
	if e.daemon != nil {
		errs = append(errs, e.empty(), e.daemon.stop())
	}
	if e.containers != nil {
		errs = append(errs, e.containers.stop())
	}
	// What it has mounted, where it was this process's mounts.
	if mounts, err := os.ReadFile("/proc/self/mounts"); err == nil {
		for line := range strings.Lines(string(mounts)) {
			if f := strings.Fields(line); strings.HasPrefix(f[1], e.Dir+"/") {
				_ = unix.Unmount(f[1], unix.MNT_DETACH)
			}
		}
	}
	errs = append(errs, os.RemoveAll(e.Dir))
	return errors.Join(errs...)
}

// empty removes every container: a container outlives the daemon if that was
// killed, or runs with --live-restore.
func (e *Engine) empty() error {
	select {
	case <-e.daemon.ended:
		if err := e.Start(); err != nil {
			return err
		}
	default:
		_ = e.daemon.cmd.Process.Signal(syscall.SIGCONT) // a test may have suspended it
	}
	ids, err := e.Docker("ps", "-aq")
	if err != nil || strings.TrimSpace(ids) == "" {
		return err
	}
	_, err = e.Docker(append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...)
	return err
}

// Objects returns all that the engine holds, a line each, in order: what
// somebody compares before and after.
func (e *Engine) Objects(t testing.TB) string {
	t.Helper()
	var all []string
	for _, args := range [][]string{
		{"ps", "-a", "--no-trunc", "--format", "container {{.ID}} {{.Names}} {{.Image}} {{.State}} {{.Labels}}"},
		{"volume", "ls", "--format", "volume {{.Name}} {{.Labels}}"},
		{"network", "ls", "--no-trunc", "--format", "network {{.ID}} {{.Name}} {{.Labels}}"},
		{"image", "ls", "-a", "--no-trunc", "--format", "image {{.ID}} {{.Repository}}:{{.Tag}}"},
	} {
		for line := range strings.Lines(e.Must(t, args...)) {
			at := strings.LastIndexByte(strings.TrimSpace(line), ' ') + 1
			labels := strings.Split(strings.TrimSpace(line[at:]), ",")
			slices.Sort(labels) // which come in any order
			all = append(all, line[:at]+strings.Join(labels, ",")+"\n")
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
