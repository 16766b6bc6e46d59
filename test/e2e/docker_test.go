//go:build linux && e2e

package e2e

import (
	"encoding/json"
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

// dock makes an installation beside an engine, in which something is that is
// not ours.
func dock(t *testing.T) (*rig.Instance, *rig.Engine) {
	t.Helper()
	w := rig.NewWorld(t)
	return docked(t, w, w.Server.Docker(t))
}

func docked(t *testing.T, w *rig.World, engine *rig.Engine) (*rig.Instance, *rig.Engine) {
	t.Helper()
	engine.Must(t, "network", "create", "vpn-office")
	engine.Must(t, "volume", "create", "vpn-data")
	i := w.Instance(t)
	engine.Contain(i)
	t.Cleanup(func() { i.Run("serve", "--end-workers") })
	return i, engine
}

// shown returns what is said of a server.
func shown(i *rig.Instance, name string) vpn.ServerDetail {
	var s vpn.ServerDetail
	i.JSON(&s, "server", "show", name)
	return s
}

// The life of a server in a container, by the command line: it is made,
// carries traffic, is shown, changed, moved out of its container and back, and
// nothing of it is left when it is gone.
func TestServerInAContainer(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	before := engine.Objects(t)
	i.Serve()
	i.CreateServer("main", 8443, "--runtime", "docker", "--memory", "256MiB", "--pids", "200")
	alice := i.CreateUser("alice", "--devices", "3")
	i.World.Xray(t, rig.Login{Link: alice}).MustOpen(t, 0, true).Download(1<<20, 0)

	s := shown(i, "main")
	if s.State != vpn.Running || s.Runtime != vpn.RuntimeDocker || s.Worker == nil || s.Worker.Container == "" || s.Worker.Memory == 0 {
		t.Fatalf("it is shown as %+v, its worker as %+v", s.ServerInfo, s.Worker)
	}
	if want := (vpn.Container{Network: "host", Memory: 256 << 20, PIDs: 200}); *s.Container != want {
		t.Errorf("its container is %+v, want %+v", *s.Container, want)
	}
	for _, args := range [][]string{{"server", "show", "main"}, {"server", "list", "-o", "wide"}} {
		if out := i.Must(args...); !strings.Contains(out, s.Worker.Container) || !strings.Contains(out, "docker") {
			t.Errorf("vpn %v does not name the container %s:\n%s", args, s.Worker.Container, out)
		}
	}
	hardened(t, engine, s.Worker.Container)
	rig.Until(t, 10*time.Second, func() error { // what is logged in the container
		if out := i.Must("server", "logs", "main", "--tail", "50"); !strings.Contains(out, "worker") {
			return fmt.Errorf("the log is:\n%s", out)
		}
		return nil
	})
	rig.Until(t, 10*time.Second, func() error {
		if s := shown(i, "main"); s.Worker == nil || s.Worker.CPU == nil {
			return fmt.Errorf("nothing is known of its processor time")
		}
		return nil
	})

	if r := i.Run("server", "update", "main", "--runtime", "process"); r.Status != 5 || !strings.Contains(r.Err, "vpn server stop main") {
		t.Errorf("the runtime of one that runs changes: %d: %s", r.Status, r.Err)
	}
	i.Must("server", "update", "main", "--memory", "128MiB", "--yes")
	if got := engine.Must(t, "inspect", "--format", "{{.HostConfig.Memory}}", shown(i, "main").Worker.Container); strings.TrimSpace(got) != "134217728" {
		t.Errorf("its memory is %s", got)
	}
	i.Must("server", "stop", "main", "--yes")
	i.Must("server", "update", "main", "--runtime", "process")
	i.Must("server", "start", "main")
	if s := shown(i, "main"); s.Runtime != vpn.RuntimeProcess || s.Container != nil || s.Worker == nil || s.Worker.Container != "" {
		t.Errorf("as a process it is %+v", s.ServerInfo)
	}
	i.World.Xray(t, rig.Login{Link: alice}).MustOpen(t, 0, true).Download(1<<20, 0)
	i.Must("server", "stop", "main", "--yes")
	i.Must("server", "update", "main", "--runtime", "docker", "--network", "host")
	i.Must("server", "start", "main")
	i.World.Xray(t, rig.Login{Link: alice}).MustOpen(t, 0, true).Download(1<<20, 0)
	rig.Until(t, 10*time.Second, func() error {
		if used := i.User("alice").Used.Total(); used < 3<<20 {
			return fmt.Errorf("of three times 1 MiB are counted %d bytes", used)
		}
		return nil
	})

	bridge(t, i, engine)
	device(t, i)
	i.Must("server", "delete", "main", "--yes")
	asBefore := func() error {
		if after := engine.Objects(t); after != before {
			return fmt.Errorf("the engine had\n%s\nand has\n%s", before, after)
		}
		return nil
	}
	rig.Until(t, 10*time.Second, asBefore)

	// Servers that a daemon has left behind are ended with all that is theirs.
	i.CreateServer("main", 8443, "--runtime", "docker")
	i.CreateServer("lan", 10808, "--protocol", "socks5", "--runtime", "docker", "--network", "vpn-lan")
	i.Daemon().Kill()
	uninstall(t, i)
	if err := asBefore(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(i.Data); err == nil {
		t.Error("the data directory is left")
	}
}

// uninstall removes an installation, as on a machine that has no other and no
// service manager.
func uninstall(t *testing.T, i *rig.Instance) {
	t.Helper()
	const alone = `set -e
if [ -d /run/systemd ]; then mount -t tmpfs none /run/systemd; fi
at=$(readlink "$VPN_DATA_DIR/run")
mount -t tmpfs none /run/vpn
[ -d "$at" ] || mkdir -m 700 "$at"
exec "$0" uninstall --yes`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", alone, i.Bin)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(i.Data)}, rig.Environ(i)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := i.World.Server.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("uninstall: %v\n%s", err, &out)
	}
}

// beside is a shell on the server host, beside its engine.
type beside struct {
	*rig.Instance
	env []string
}

func (b beside) Run(args ...string) rig.Result {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append([]string{"PATH=" + filepath.Dir(b.Bin) + ":" + os.Getenv("PATH"), "HOME=/root"}, b.env...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := b.World.Server.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if cmd.ProcessState == nil {
		return rig.Result{Out: err.Error(), Status: -1}
	}
	return rig.Result{Out: out.String(), Status: cmd.ProcessState.ExitCode()}
}

// The guide's page on containers, typed on a machine with an engine.
func TestGuideOfContainers(t *testing.T) {
	t.Parallel()
	i, _ := dock(t)
	config := filepath.Join(filepath.Dir(i.Data), "config.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Setenv(i, "VPN_CONFIG="+config)
	i.Serve()
	for _, b := range readGuide(t, "docker.md") {
		if b.notRun != "" {
			continue
		}
		for _, s := range b.steps {
			s.command = strings.ReplaceAll(s.command, "vpn.tar", filepath.Join(filepath.Dir(i.Data), "vpn.tar"))
			for k := range s.prints {
				s.prints[k] = strings.ReplaceAll(s.prints[k], "vpn.tar", filepath.Join(filepath.Dir(i.Data), "vpn.tar"))
			}
			s.run(t, beside{i, rig.Environ(i)})
		}
	}
}

// bridge is about a server on a network of its own, where devices cannot be
// told apart.
func bridge(t *testing.T, i *rig.Instance, engine *rig.Engine) {
	t.Helper()
	create := []string{"server", "create", "lan", "--protocol", "socks5", "--port", "10808", "--public-host", rig.ServerAddr, "--runtime", "docker", "--network", "vpn-lan"}
	if r := i.Run(create...); r.Status != 5 || !strings.Contains(r.Err, "alice") || !strings.Contains(r.Err, "--network host") {
		t.Errorf("a bridge for who has a device limit: %d: %s", r.Status, r.Err)
	}
	i.Must("users", "update", "alice", "--server", "main")
	i.Must(create...)
	for _, args := range [][]string{
		{"users", "update", "alice", "--all-servers"},
		{"users", "create", "bob", "--devices", "2"},
	} {
		if r := i.Run(args...); r.Status != 5 || !strings.Contains(r.Err, "devices") {
			t.Errorf("vpn %v: %d: %s", args, r.Status, r.Err)
		}
	}
	if out := engine.Must(t, "network", "ls", "--format", "{{.Name}}"); !strings.Contains(out, "vpn-lan") {
		t.Errorf("its network is not there:\n%s", out)
	}
	if s := shown(i, "lan"); s.State != vpn.Running {
		t.Errorf("it is %s: %s", s.State, s.Problem)
	}
	i.Must("server", "delete", "lan", "--yes")
}

// device is about a server whose container attaches to a device of the host,
// which goes with it.
func device(t *testing.T, i *rig.Instance) {
	t.Helper()
	devices := func() string { return beside{i, nil}.Run("ip", "-brief", "link", "show", "type", "tun").Out }
	i.CreateServer("tunnel", 51820, "--protocol", "wireguard", "--runtime", "docker")
	s := shown(i, "tunnel")
	if s.State != vpn.Running || s.Worker == nil || s.Worker.Carrier != "tun" {
		t.Errorf("it is %s: %s; its worker is %+v", s.State, s.Problem, s.Worker)
	}
	if out := devices(); !strings.Contains(out, "vpn-"+string(s.ID)[:10]) {
		t.Errorf("its device is not there: %s", out)
	}
	i.Must("server", "restart", "tunnel", "--yes")
	if s := shown(i, "tunnel"); s.State != vpn.Running || s.Worker == nil || s.Worker.Carrier != "tun" {
		t.Errorf("started again it is %s: %s; its worker is %+v", s.State, s.Problem, s.Worker)
	}
	i.Must("server", "delete", "tunnel", "--yes")
	if out := devices(); strings.TrimSpace(out) != "" {
		t.Errorf("its device is left: %s", out)
	}
}

// hardened looks at what a container may do.
func hardened(t *testing.T, engine *rig.Engine, name string) {
	t.Helper()
	var all []struct {
		Config struct {
			User   string
			Labels map[string]string
		}
		HostConfig struct {
			ReadonlyRootfs bool
			CapDrop        []string
			CapAdd         []string
			SecurityOpt    []string
			Memory         int64
			PidsLimit      int64
			RestartPolicy  struct{ Name string }
			LogConfig      struct{ Config map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(engine.Must(t, "inspect", name)), &all); err != nil || len(all) != 1 {
		t.Fatalf("inspect: %v", err)
	}
	c, h := all[0].Config, all[0].HostConfig
	if c.User == "" || strings.HasPrefix(c.User, "0") || !h.ReadonlyRootfs || len(h.CapAdd) > 0 || fmt.Sprint(h.CapDrop) != "[ALL]" ||
		!strings.Contains(fmt.Sprint(h.SecurityOpt), "no-new-privileges") || h.Memory != 256<<20 || h.PidsLimit != 200 ||
		h.RestartPolicy.Name != "unless-stopped" || h.LogConfig.Config["max-size"] == "" {
		t.Errorf("the container may do more than it should: %+v", all[0])
	}
	if c.Labels["vpn.store"] == "" || c.Labels["vpn.server"] == "" {
		t.Errorf("its labels are %v", c.Labels)
	}
}

// An engine that is not there, stands still or goes away is said plainly, and
// is of no concern to servers that are processes.
func TestEngineThatFailsHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port)
	rig.Setenv(i, "DOCKER_HOST=unix:///nowhere/docker.sock") // of commands, and not of the daemon
	i.CreateServer("boxed", port+1, "--runtime", "docker")
	alice := i.CreateUser("alice")
	load := i.World.Xray(t, rig.Login{Link: alice}).Load(t, 0, 1)
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(engine.PID(), s); err != nil {
			t.Fatal(err)
		}
	}

	signal(syscall.SIGSTOP)
	for _, args := range [][]string{{"users", "create", "bob"}, {"users", "list"}, {"status"}, {"server", "list"}, {"server", "restart", "main", "--yes"}} {
		if args[1:] != nil && args[len(args)-1] == "--yes" {
			load.Stop(t)
		}
		if r := i.Run(args...); r.Status != 0 || r.Took > 5*time.Second {
			t.Errorf("while the engine hangs, vpn %v takes %s and says %d: %s", args, r.Took, r.Status, r.Err)
		}
	}
	i.World.Xray(t, rig.Login{Link: alice}).MustOpen(t, 0, true).Download(1<<20, 0)
	signal(syscall.SIGCONT)

	if err := engine.Stop(); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 20*time.Second, func() error {
		r := i.Run("status")
		if !strings.Contains(r.Out+r.Err, "boxed") || !strings.Contains(r.Out+r.Err, "Docker engine") {
			return fmt.Errorf("the status says %d:\n%s%s", r.Status, r.Out, r.Err)
		}
		return nil
	})
	if s := shown(i, "main"); s.State != vpn.Running {
		t.Errorf("the server beside it is %s: %s", s.State, s.Problem)
	}
	r := i.Run("server", "create", "more", "--runtime", "docker", "--protocol", "socks5")
	if r.Status != 6 || !strings.Contains(r.Err, "Docker") || !strings.Contains(r.Err, "hint: ") {
		t.Errorf("create without an engine says %d: %s", r.Status, r.Err)
	}
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 40*time.Second, func() error {
		if s := shown(i, "boxed"); s.State != vpn.Running {
			return fmt.Errorf("it is %s: %s", s.State, s.Problem)
		}
		return nil
	})
}

// The image can be had as a file, without an engine, and is the same each time.
func TestImageAsAFile(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.tar"), filepath.Join(dir, "two.tar")
	rig.Setenv(i, "DOCKER_HOST=unix:///nowhere/docker.sock")
	i.Must("image", "save", one)
	i.Must("image", "save", two)
	a, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(two)
	if err != nil || string(a) != string(b) {
		t.Errorf("two images of one program differ (%v)", err)
	}
	if r := i.Run("image", "build"); r.Status != 6 || !strings.Contains(r.Err, "Docker engine") {
		t.Errorf("build without an engine says %d: %s", r.Status, r.Err)
	}
	engine.Must(t, "load", "-i", one)
	rig.Setenv(i, "DOCKER_HOST="+engine.Host)
	tag := strings.TrimSpace(i.Must("image", "build", "-q"))
	if out := engine.Must(t, "run", "--rm", "--network", "none", tag, "version"); !strings.Contains(out, "vpn") {
		t.Errorf("the image says %q", out)
	}
	if n := strings.Count(engine.Must(t, "image", "ls", "-q"), "\n"); n != 1 {
		t.Errorf("the engine has %d images", n)
	}
}
