//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/compose"
	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// The Compose of today, a plug-in of docker, takes a project and brings it up;
// a tunnel in it carries packets; another version takes the place of the one
// before; and an uninstallation leaves nothing of all that.
func TestComposeOfToday(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	engine := w.Server.Docker(t)
	home := filepath.Dir(i.Data)
	plugins := filepath.Join(home, ".docker", "cli-plugins")
	if err := errors.Join(os.MkdirAll(plugins, 0o755), os.Symlink(rig.CacheFile(t, "bin/docker-compose"), filepath.Join(plugins, "docker-compose"))); err != nil {
		t.Fatal(err)
	}
	rig.Setenv(i, "DOCKER_HOST="+engine.Host)
	before := engine.Objects(t)
	i.SetVersion(oldVersion)
	i.CreateServer("main", port)
	i.CreateServer("wg", 51820, "--protocol", "wireguard")
	alice := rig.Login{Link: i.CreateUser("alice", "--server", "main")}
	bob := rig.Login{Link: i.CreateUser("bob", "--server", "wg")}

	i.Must("compose", "generate")
	own := i.File("compose/" + compose.LocalFile)
	if err := os.WriteFile(own, []byte("services: {main: {volumes: [\"extra:/extra\"]}}\nvolumes: {extra: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := func() {
		t.Helper()
		var done struct {
			By         string
			Synced     bool
			Containers []struct{ Service, State string }
		}
		i.JSON(&done, "compose", "up")
		if !done.Synced || len(done.Containers) != 3 || !strings.HasPrefix(done.By, "docker compose 5.") {
			t.Fatalf("%+v", done)
		}
	}
	told := i.Run("compose", "up") // as a person sees it, whose Compose shows nothing before the end
	for _, service := range []string{"control", "main", "wg"} {
		if told.Status != 0 || strings.Count(told.Err, "created "+service+"\n") != 1 {
			t.Errorf("of %s it does not tell once that it is made: %+v", service, told)
		}
	}
	up()
	ids := engine.Must(t, "ps", "-q", "--no-trunc")
	if told := i.Run("compose", "up"); strings.Contains(told.Err, "created") {
		t.Errorf("it tells what was not done: %+v", told)
	}
	if now := engine.Must(t, "ps", "-q", "--no-trunc"); now != ids {
		t.Errorf("what was as it should be is made anew: %s, %s", ids, now)
	}
	rig.Until(t, 10*time.Second, func() error {
		if s := shown(i, "wg"); s.State != vpn.Running || s.Worker == nil || s.Worker.Carrier != "userspace" {
			return fmt.Errorf("the tunnel is %+v, its worker %+v", s.ServerInfo, s.Worker)
		}
		return nil
	})
	c := w.Xray(t, alice).WithWireGuard(t, bob)
	moved := []vpn.Traffic{{}, {}}
	transfer := func() {
		t.Helper()
		for k, name := range []string{"alice", "bob"} {
			moved[k] = moved[k].Add(moveSome(t, c, k))
			wantUsed(t, i, name, moved[k])
		}
	}
	transfer()
	testColours(t, i)

	// Another version: its containers, and only its image. What somebody has
	// named otherwise is somebody's.
	tags := func() string { return engine.Must(t, "images", "--format", "{{.Repository}}:{{.Tag}}") }
	engine.Must(t, "tag", strings.TrimSpace(tags()), "others:1")
	i.SetVersion("2.22.2")
	up()
	if now := tags(); strings.Contains(now, oldVersion) || !strings.Contains(now, "2.22.2") || !strings.Contains(now, "others:1") {
		t.Errorf("after another version there are\n%s", now)
	}
	for k, name := range []string{"alice", "bob"} {
		rig.Until(t, 40*time.Second, func() error { return works(t, c, k) }) // a device begins anew after 15 s
		// What the worker before has counted last is read from its file.
		rig.Until(t, 10*time.Second, func() error {
			if used := i.User(name).Used; used.Up < moved[k].Up || used.Down < moved[k].Down {
				return fmt.Errorf("of %s's %+v are counted %+v", name, moved[k], used)
			}
			return nil
		})
	}

	engine.Must(t, "rmi", "others:1")
	if r := i.Run("uninstall", "--dry-run"); r.Status != 0 || strings.Count(r.Out+r.Err, "container vpn-") != 3 || !strings.Contains(r.Out+r.Err, "_extra") {
		t.Errorf("it would remove %+v", r)
	}
	uninstall(t, i)
	if after := engine.Objects(t); after != before {
		t.Errorf("the engine had\n%s\nand has\n%s", before, after)
	}
	if _, err := os.Stat(i.Data); err == nil {
		t.Error("the data directory is left")
	}
}

// testColours looks at what services log on a terminal: each has a colour of
// its own, unless nobody wants any.
func testColours(t *testing.T, i *rig.Instance) {
	t.Helper()
	logs := func(env ...string) *rig.PTY {
		t.Helper()
		return rig.OpenPTY(t, 200, 50, append(rig.Environ(i), env...), i.Bin, "compose", "logs", "--since", "1h", "--tail", "200")
	}
	p := logs()
	for service, colour := range map[string]string{"control": "36", "main": "35", "wg": "34"} {
		p.Wrote(fmt.Sprintf("\x1b[%sm%s\x1b[0m", colour, service))
	}
	p = logs("NO_COLOR=1")
	p.Wrote("  wg")
	if text := p.Text(); strings.Contains(text, "\x1b[3") {
		t.Errorf("with NO_COLOR it shows %q", text)
	}
}
