//go:build linux && e2e

package docker_test

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/app"
	"vpn/internal/container"
	engine "vpn/internal/docker"
	"vpn/internal/runtime/docker"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
	"vpn/internal/worker"
	"vpn/test/e2e/rig"
)

const (
	// envHost is where the tests' engine is.
	envHost = "VPN_TEST_DOCKER_HOST"
	// envAlone says that the process has a network and mounts of its own.
	envAlone = "VPN_TEST_ALONE"
	// envImage names a static build of these tests, for containers: they are
	// to run with the race detector, which is not.
	envImage = "VPN_TEST_IMAGE"
	// envHold names a store's directory, and envHeld a server of it: the
	// process talks with its worker, says so, and does nothing more.
	envHold, envHeld = "VPN_TEST_HOLD", "VPN_TEST_HELD"
)

func TestMain(m *testing.M) { os.Exit(main(m)) }

// main runs the tests where an engine can change the network and touch nobody
// else's: in namespaces of their own, as a process of its own.
func main(m *testing.M) int {
	if dir := os.Getenv(envHold); dir != "" && len(os.Args) == 1 {
		return hold(dir, app.Place{Server: vpn.ServerID(os.Getenv(envHeld)), Runtime: vpn.RuntimeDocker})
	}
	if len(os.Args) > 1 && (os.Args[1] == worker.Command || os.Args[1] == container.Command) || os.Getenv(envHost) != "" {
		return runtimetest.Main(m, open)
	}
	if os.Getenv(envAlone) == "" {
		return alone()
	}
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader("link set lo up\nroute add unreachable default\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("set up the network: %w: %s", err, out))
	}
	e, err := rig.StartEngine(startHere)
	if err != nil {
		return fail(err)
	}
	_ = os.Setenv(envHost, e.Host)
	theEngine = e
	status := runtimetest.Main(m, open)
	if status != 0 {
		fmt.Fprintln(os.Stderr, e.Output())
	}
	if err := e.Remove(); err != nil {
		return fail(err)
	}
	return status
}

// hold is a control plane that will be killed.
func hold(dir string, at app.Place) int {
	ws, err := open(dir)
	if err != nil {
		return fail(err)
	}
	w, err := ws.Find(context.Background(), at)
	if err == nil && w == nil {
		err = errors.New("there is no worker")
	}
	if err == nil {
		_, err = w.Health(context.Background())
	}
	if err != nil {
		return fail(err)
	}
	fmt.Println("held")
	select {}
}

func startHere(cmd *exec.Cmd) error { return cmd.Start() }

// theEngine is the one that all tests share but for those that stop it.
var theEngine *rig.Engine

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "docker:", err)
	return 1
}

func alone() int {
	if os.Geteuid() != 0 {
		return fail(fmt.Errorf("a Docker engine needs root"))
	}
	// The image's only file is this program.
	if info, ok := debug.ReadBuildInfo(); ok && os.Getenv(envImage) == "" {
		for _, s := range info.Settings {
			if s.Key == "CGO_ENABLED" && s.Value == "1" {
				return fail(fmt.Errorf("these tests have to be static: CGO_ENABLED=0 go test"))
			}
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), envAlone+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
			return fail(err)
		}
		return cmd.ProcessState.ExitCode()
	}
	return 0
}

// storeOf is the id of the store in a directory.
func storeOf(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// engineFile is in a store's directory if its engine is not the shared one.
const engineFile = "engine"

func open(dir string) (app.Workers, error) {
	host, err := os.ReadFile(filepath.Join(dir, engineFile))
	if errors.Is(err, fs.ErrNotExist) {
		return openAt(os.Getenv(envHost), dir)
	}
	if err != nil {
		return nil, err
	}
	return openAt(string(host), dir)
}

func openAt(host, dir string) (*docker.Workers, error) {
	return openOf(host, dir, "test", docker.Health{})
}

// openOf is openAt for a version of the program.
func openOf(host, dir, version string, h docker.Health) (*docker.Workers, error) {
	workers := filepath.Join(dir, "workers")
	if err := os.MkdirAll(workers, 0o700); err != nil {
		return nil, err
	}
	return docker.New(docker.Options{
		Store: storeOf(dir), Dir: workers, LogDir: dir,
		Engine: engine.New(engine.Options{Host: host}), Image: engine.NewImage(os.Getenv(envImage), version, storeOf(dir)), Health: h,
	})
}

func kind() runtimetest.Kind {
	return runtimetest.Kind{
		Open: open, Runtime: vpn.RuntimeDocker, Container: (*vpn.Container)(nil).Filled(),
		Revives: true, Noticed: time.Second, Kills: 12, Window: time.Second,
	}
}

func TestRuntime(t *testing.T) { runtimetest.Run(t, kind()) }
