//go:build linux && e2e

package e2e

import (
	"database/sql"
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

// A whole installation goes into containers and comes back, by the Docker API
// alone and by the Compose that is installed: the same users with the same
// links, every byte counted, and nothing but the image left in the engine.
func TestCompose(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	engine := w.Server.Docker(t)
	rig.Setenv(i, "DOCKER_HOST="+engine.Host)
	i.CreateServer("main", 443)
	i.CreateServer("ss", 8388, "--protocol", "shadowsocks")
	alice := rig.Login{Link: i.CreateUser("alice", "--server", "main")}
	dave := rig.Login{Link: i.CreateUser("dave", "--server", "main")}
	c := w.Xray(t, alice, dave)

	i.Serve()
	var moved vpn.Traffic
	transfer := func(t *testing.T) {
		t.Helper()
		moved = moved.Add(moveSome(t, c, 0))
		wantUsed(t, i, "alice", moved)
	}
	transfer(t)
	if r := i.Run("compose", "up"); r.Status != 5 || !strings.Contains(r.Err, "a second time") {
		t.Fatalf("beside a daemon: %+v", r)
	}
	i.Daemon().Stop(t)
	before := engine.Objects(t)

	testComposeGuide(t, i, engine)

	for _, way := range []struct{ name, by, path, user string }{
		{"by the API", "the Docker API", "/nonexistent", "bob"},
		{"by Compose", "docker", os.Getenv("PATH"), "carol"},
	} {
		t.Run(way.name, func(t *testing.T) {
			i.Must("compose", "up") // by the one before, or anew: containers are taken over
			rig.Setenv(i, "PATH="+way.path)
			var up struct {
				By         string
				Synced     bool
				Containers []struct{ Service, State, Server string }
			}
			i.JSON(&up, "compose", "up", "--env", "development")
			if !up.Synced || len(up.Containers) != 3 || !strings.HasPrefix(up.By, way.by) {
				t.Fatalf("%+v", up)
			}
			if pids := i.Workers(); len(pids) != 0 {
				t.Fatalf("workers outside of containers: %v", pids)
			}
			transfer(t)
			testComposed(t, i, engine, c, &moved, way.user)
			if r := i.Run("compose", "down", "--yes"); r.Status != 0 {
				t.Fatalf("%+v", r)
			}
			after := engine.Objects(t)
			var left []string
			for line := range strings.Lines(after) {
				if !strings.Contains(before, line) && !strings.HasPrefix(line, "image ") {
					left = append(left, line)
				}
			}
			if len(left) > 0 {
				t.Errorf("left in the engine:\n%s", strings.Join(left, ""))
			}
			if used := i.User("alice").Used; used != moved {
				t.Errorf("after down %+v are counted of %+v", used, moved)
			}
			i.Serve()
			transfer(t)
			i.Daemon().Stop(t)
		})
	}
}

// onServer is the server host as a person has it: with the program in PATH.
type onServer struct {
	*testing.T
	i      *rig.Instance
	engine *rig.Engine
}

// Run implements [typist].
func (s onServer) Run(command ...string) rig.Result {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{
		"PATH=" + filepath.Dir(s.i.Bin) + ":" + os.Getenv("PATH"), "HOME=" + filepath.Dir(s.i.Data),
		"VPN_DATA_DIR=" + s.i.Data, "DOCKER_HOST=" + s.engine.Host,
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.i.World.Server.Start(cmd); err != nil {
		s.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // the status says it
	return rig.Result{Out: out.String(), Status: cmd.ProcessState.ExitCode()}
}

// testComposeGuide does what the guide tells people to.
func testComposeGuide(t *testing.T, i *rig.Instance, engine *rig.Engine) {
	t.Helper()
	for _, b := range readGuide(t, "compose.md") {
		for _, s := range b.steps {
			s.run(t, onServer{t, i, engine})
		}
	}
}

// moveSome moves bytes both ways and returns how many.
func moveSome(t *testing.T, c *rig.Client, login int) vpn.Traffic {
	t.Helper()
	conn := c.MustOpen(t, login, true)
	if err := conn.Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	if err := conn.Upload(t.Context(), 1<<20, 0); err != nil {
		t.Fatal(err)
	}
	return vpn.Traffic{Up: conn.Sent(), Down: conn.Received()}
}

// testComposed does in a composed installation what people do.
func testComposed(t *testing.T, i *rig.Instance, engine *rig.Engine, c *rig.Client, moved *vpn.Traffic, user string) {
	t.Helper()
	// A user is created live, and what is open stays open over a restart of
	// the control plane.
	conn := c.MustOpen(t, 0, true)
	bob := rig.Login{Link: i.CreateUser(user, "--server", "main")}
	if err := i.World.Xray(t, bob).MustOpen(t, 0, true).Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	// In development all is logged, by workers too.
	applied := func() int {
		return strings.Count(i.Must("compose", "logs", "main", "--tail", "100000"), "spec applied")
	}
	logsMore := func(than int) {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error { // the engine takes lines over a little later
			if n := applied(); n <= than {
				return fmt.Errorf("the worker has logged %d changes at debug", n)
			}
			return nil
		})
	}
	logsMore(0)
	i.Must("compose", "restart", "control", "--yes")
	if err := conn.Download(1<<20, 0); err != nil {
		t.Fatalf("over a restart of the control plane: %v", err)
	}
	*moved = moved.Add(vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
	rig.Until(t, 20*time.Second, func() error { _, err := i.Status(); return err })
	wantUsed(t, i, "alice", *moved)

	// A worker that is killed comes back by itself, and serves.
	pid := 0
	id := strings.TrimSpace(engine.Must(t, "ps", "-q", "--filter", "label=com.docker.compose.service=main"))
	if _, err := fmt.Sscan(engine.Must(t, "inspect", "-f", "{{.State.Pid}}", id), &pid); err != nil {
		t.Fatal(err)
	}
	rig.Signal(t, pid, syscall.SIGKILL)
	rig.Until(t, 20*time.Second, func() error { return works(t, c, 1) })
	*moved = moved.Add(moveSome(t, c, 0))
	wantUsed(t, i, "alice", *moved)
	before := applied()
	i.Must("users", "disable", user)
	logsMore(before) // though it is another worker, that the engine has started

	// A server is stopped and started as everywhere; a new one needs its
	// container first, and says so.
	i.Must("server", "stop", "main", "--yes")
	if err := c.Refused(t.Context(), 0); err != nil {
		t.Errorf("a server that was stopped: %v", err)
	}
	i.Must("server", "start", "main")
	*moved = moved.Add(moveSome(t, c, 0))
	wantUsed(t, i, "alice", *moved)
	if r := i.Run("server", "create", "late", "--port", "8444", "--protocol", "shadowsocks", "--public-host", rig.ServerAddr); r.Status != 7 {
		t.Errorf("a server without a container: %+v", r)
	}
	var server vpn.ServerDetail
	rig.Until(t, 10*time.Second, func() error {
		i.JSON(&server, "server", "show", "late")
		if server.State != vpn.Failed || !strings.Contains(server.Problem, "vpn compose up late") {
			return fmt.Errorf("it is %s: %s", server.State, server.Problem)
		}
		return nil
	})
	i.Must("compose", "up", "late")
	i.JSON(&server, "server", "show", "late")
	if server.State != vpn.Running {
		t.Errorf("the new server is %s: %s", server.State, server.Problem)
	}
	i.Must("server", "delete", "late", "--yes")
	i.Must("compose", "up")
	wantComposed(t, i, engine)
}

// wantComposed fails unless the project's containers are as they should be
// and tell so.
func wantComposed(t *testing.T, i *rig.Instance, engine *rig.Engine) {
	t.Helper()
	rig.Until(t, time.Minute, func() error {
		var list []struct{ Service, State, Health string }
		i.JSON(&list, "compose", "ps")
		if len(list) != 3 || list[0].Service != "control" {
			return fmt.Errorf("%+v", list)
		}
		for _, one := range list {
			if one.State != "running" || one.Health != "healthy" {
				return fmt.Errorf("%+v", list)
			}
		}
		return nil
	})
	for _, args := range [][]string{{"compose", "logs", "main"}, {"compose", "logs", "--level", "info", "--since", "1h"}} {
		if out := i.Must(args...); !strings.Contains(out, "worker runs") || !strings.Contains(out, "  main") {
			t.Errorf("vpn %s:\n%s", strings.Join(args, " "), out)
		}
	}
	if out := i.Must("compose", "logs", "main"); strings.Contains(out, "control plane runs") {
		t.Errorf("the log of one server has another's:\n%s", out)
	}
	testFollow(t, i, engine)
	for id := range strings.FieldsSeq(engine.Must(t, "ps", "-q")) {
		out := engine.Must(t, "inspect", "-f", "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}} {{.HostConfig.NetworkMode}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", id)
		if strings.TrimSpace(out) != "true [ALL] [no-new-privileges] false host 536870912 512" {
			t.Errorf("a container is %s", out)
		}
	}
	wantNoSecret(t, i)
}

// testFollow follows the log of one server over a restart of its container.
func testFollow(t *testing.T, i *rig.Instance, engine *rig.Engine) {
	t.Helper()
	follows := i.World.Server.Spawn(t, []string{"VPN_DATA_DIR=" + i.Data, "DOCKER_HOST=" + engine.Host}, i.Bin,
		"compose", "logs", "main", "-f", "--tail", "1", "--level", "info", "-o", "json")
	rig.Until(t, 20*time.Second, func() error {
		if follows.Output() == "" {
			return errors.New("it shows nothing")
		}
		return nil
	})
	i.Must("compose", "restart", "main", "--yes")
	rig.Until(t, 20*time.Second, func() error {
		out := follows.Output()
		_, next, found := strings.Cut(out, "worker ends")
		if !found || !strings.Contains(next, "worker runs") || strings.Contains(out, `"control"`) {
			return fmt.Errorf("it shows\n%s", out)
		}
		return nil
	})
	follows.Signal(os.Interrupt)
	if status := follows.Wait(t, 10*time.Second); status != 130 {
		t.Errorf("it ends with status %d", status)
	}
}

// wantNoSecret fails if a secret of a user's or a server's is in a project's
// file, or somebody else may read one.
func wantNoSecret(t *testing.T, i *rig.Instance) {
	t.Helper()
	secrets := secretsOf(t, i)
	files, err := filepath.Glob(i.File("compose/*.yaml"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range append(files, i.File("compose/.env")) {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, st.Mode(), err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for of, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds the secret of %s", path, of)
			}
		}
	}
}

// secretsOf returns all that the store holds of users' and servers' secrets.
func secretsOf(t *testing.T, i *rig.Instance) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+i.File("vpn.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT 'a user by ' || id, secret FROM credentials UNION ALL SELECT 'server ' || name, private FROM servers`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	kinds := map[bool]int{}
	for rows.Next() {
		var of string
		var text []byte
		if err := rows.Scan(&of, &text); err != nil {
			t.Fatal(err)
		}
		for k, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(`{}[]":, `, r) }) {
			if len(word) >= 16 { // others are the names of these
				out[fmt.Sprint(of, ", ", k)] = word
				kinds[strings.HasPrefix(of, "server ")]++
			}
		}
	}
	if err := rows.Err(); err != nil || kinds[true] == 0 || kinds[false] < 2 {
		t.Fatalf("the store holds %d secrets of servers and %d of users, %v", kinds[true], kinds[false], err)
	}
	return out
}
