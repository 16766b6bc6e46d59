//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// somebody is not root, and may use the engine of these tests.
const somebody, dockerGroup = 65534, 4242

// A person is somebody at a shell of the server host.
type person struct{ *rig.Instance }

func (p person) Run(args ...string) rig.Result {
	as := []string{"setpriv", fmt.Sprint("--reuid=", somebody), fmt.Sprint("--regid=", somebody), fmt.Sprint("--groups=", dockerGroup), "vpn"}
	return beside{p.Instance, rig.Environ(p.Instance)}.Run(append(as, args...)...)
}

func (p person) Must(t *testing.T, args ...string) {
	t.Helper()
	if r := p.Run(args...); r.Status != 0 {
		t.Fatalf("vpn %v: %d: %s", args, r.Status, r.Out)
	}
}

// Two installations share an engine and know nothing of each other: root's, and
// that of somebody who is in the engine's group and nothing else. They have
// servers of the same name, and versions of their own; what one updates and
// removes is its own.
func TestTwoInstallationsOnOneEngine(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	engine := w.Server.Docker(t, "--group", strconv.Itoa(dockerGroup))
	engine.Must(t, "network", "create", "office")
	root, other := w.Instance(t), person{w.Instance(t)}
	for _, i := range []*rig.Instance{root, other.Instance} {
		rig.Setenv(i, "DOCKER_HOST="+engine.Host, "HOME="+filepath.Dir(i.Data))
		t.Cleanup(func() { i.Run("serve", "--end-workers") })
	}
	root.SetVersion(oldVersion)
	root.Serve()
	root.CreateServer("main", 8443, "--protocol", "socks5", "--runtime", "docker")
	clients := []*rig.Direct{rig.NewDirect(w, root.CreateUser("alice", "--server", "main"))}
	clients = append(clients, rig.NewDirect(w, withoutRoot(t, other, engine)))
	served := func() {
		t.Helper()
		for _, c := range clients {
			rig.Until(t, 20*time.Second, func() error { return reached(t, c) })
		}
	}
	served()

	// A port that somebody else's container has, on the host's network.
	if r := root.Run("server", "create", "taken", "--protocol", "socks5", "--port", "9443", "--public-host", rig.ServerAddr, "--runtime", "docker"); r.Status == 0 ||
		!strings.Contains(r.Err, "9443") || !strings.Contains(r.Err, "hint: ") {
		t.Errorf("a port that is taken: %d: %s", r.Status, r.Err)
	}
	root.Run("server", "delete", "taken", "--yes")

	images := func() string {
		return engine.Must(t, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=vpn.image")
	}
	if n := strings.Count(images(), "\n"); n != 2 {
		t.Errorf("of two versions there are the images\n%s", images())
	}
	root.Must("upgrade", rig.Version(t, "2.22.2"))
	if !strings.Contains(images(), oldVersion) {
		t.Error("the image of a server that runs is removed")
	}
	root.Must("server", "restart", "main", "--yes")
	rig.Until(t, 10*time.Second, func() error {
		if now := images(); strings.Count(now, "\n") != 2 || strings.Contains(now, oldVersion) || !strings.Contains(now, "2.22.2") {
			return fmt.Errorf("after an upgrade there are the images\n%s", now)
		}
		return nil
	})
	served()
	networksOfOthers(t, root, engine)

	root.Must("server", "delete", "main", "--yes")
	if now := images(); strings.Count(now, "\n") != 1 || strings.Contains(now, "2.22.2") {
		t.Errorf("there is left\n%s", now)
	}
	clients = clients[1:]
	served()
	other.Must(t, "server", "delete", "main", "--yes")
	other.Must(t, "server", "delete", "low", "--yes")
	if now := images() + engine.Must(t, "ps", "-aq"); now != "" {
		t.Errorf("there is left\n%s", now)
	}
}

func reached(t *testing.T, c opener) error {
	t.Helper()
	conn, err := c.Open(within(t, 2*time.Second), 0, false)
	if err == nil {
		conn.Close()
	}
	return err
}

// withoutRoot lets somebody do what people do, and returns a link.
func withoutRoot(t *testing.T, p person, engine *rig.Engine) rig.Link {
	t.Helper()
	if err := errors.Join(os.Mkdir(p.Data, 0o700), os.Chown(p.Data, somebody, somebody)); err != nil {
		t.Fatal(err)
	}
	launch := func() {
		t.Helper()
		rig.LaunchBy(p.Instance, fmt.Sprintf(`exec setpriv --reuid=%d --regid=%[1]d --groups=%d "$0" "$@"`, somebody, dockerGroup), "serve")
		p.Ready()
	}
	launch()
	create := func(name string, port int, flags ...string) rig.Result {
		return p.Run(append([]string{"server", "create", name, "--protocol", "socks5", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr, "--runtime", "docker"}, flags...)...)
	}
	if r := create("main", 9443); r.Status != 0 {
		t.Fatalf("it is not created: %d: %s", r.Status, r.Out)
	}
	// Ports below 1024 are not theirs, but for those that the engine publishes.
	if r := create("low", 443); r.Status == 0 || !strings.Contains(r.Out, "443") || !strings.Contains(r.Out, "hint: ") {
		t.Errorf("a low port on the host's network: %d: %s", r.Status, r.Out)
	}
	p.Run("server", "delete", "low", "--yes")
	if r := create("low", 443, "--network", "vpn-low"); r.Status != 0 {
		t.Errorf("a low port that the engine publishes: %d: %s", r.Status, r.Out)
	}
	link := p.CreateUser("bob", "--server", "main")
	low := rig.NewDirect(p.World, p.CreateUser("carol", "--server", "low"))
	rig.Until(t, 10*time.Second, func() error { return reached(t, low) })
	p.Must(t, "users", "delete", "carol", "--yes")
	if err := reached(t, low); err == nil {
		t.Error("a user who was deleted is let in")
	}

	before := shown(p.Instance, "main")
	out := engine.Must(t, "inspect", "-f", "{{.Config.User}} {{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}", before.Worker.Container)
	if strings.TrimSpace(out) != fmt.Sprintf("%d:%[1]d [] [ALL]", somebody) {
		t.Errorf("its container is %s", out)
	}
	p.Daemon().Kill()
	launch()
	if now := shown(p.Instance, "main"); now.Worker == nil || now.Worker.Epoch != before.Worker.Epoch {
		t.Errorf("the next daemon has another worker: %+v", now.Worker)
	}
	err := filepath.WalkDir(p.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if st, err := e.Info(); err == nil && st.Sys().(*syscall.Stat_t).Uid != somebody {
			t.Errorf("%s is not theirs", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return link
}

// networksOfOthers has servers on networks that somebody else has made, or
// that cannot be one's.
func networksOfOthers(t *testing.T, i *rig.Instance, engine *rig.Engine) {
	t.Helper()
	create := func(network string) rig.Result {
		return i.Run("server", "create", "lan", "--protocol", "socks5", "--port", "9444", "--public-host", rig.ServerAddr, "--runtime", "docker", "--network", network)
	}
	for _, name := range []string{"none", "container:vpn", "a b", "../up", "-rm", "ns:/proc/1/ns/net", strings.Repeat("n", 64), "büro"} {
		if r := create(name); r.Status != 2 || !strings.Contains(r.Err, "hint: ") {
			t.Errorf("the network %q: %d: %s", name, r.Status, r.Err)
		}
	}
	engine.Must(t, "network", "create", "--driver", "macvlan", "--opt", "parent=to-outside", "--subnet", "10.61.0.0/16", "flat")
	if r := create("flat"); r.Status == 0 || !strings.Contains(r.Err, "macvlan") || !strings.Contains(r.Err, "hint: ") {
		t.Errorf("a network of another kind: %d: %s", r.Status, r.Err)
	}
	i.Run("server", "delete", "lan", "--yes")
	if r := create("office"); r.Status != 0 {
		t.Errorf("a network of somebody else's: %d: %s", r.Status, r.Err)
	}
	i.Must("server", "delete", "lan", "--yes")
	networks := engine.Must(t, "network", "ls", "--format", "{{.Name}}")
	if !strings.Contains(networks, "office") || !strings.Contains(networks, "flat") {
		t.Errorf("the networks are\n%s", networks)
	}
	if s := shown(i, "main"); s.State != vpn.Running {
		t.Errorf("the server beside it is %s: %s", s.State, s.Problem)
	}
}
