package runtimetest

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpn/internal/container"
	"vpn/internal/engine"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// controlCommand makes the test binary a control plane that can be killed.
const controlCommand = "control"

// Stillborn is the name of a server whose worker dies at once.
const Stillborn = "stillborn"

// Version is what the suite's workers say of themselves.
const Version = "test-1"

// Main is the body of TestMain: it runs the tests, or, in the processes that
// they start, a worker or a control plane.
func Main(m *testing.M, open Open) int {
	if len(os.Args) < 2 {
		return m.Run()
	}
	var err error
	switch os.Args[1] {
	default:
		return m.Run()
	case worker.Command:
		err = beWorker()
	case container.Command:
		err = beContainer()
	case controlCommand:
		err = beControl(open, os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func beWorker() error {
	if os.Args[2] == Stillborn {
		panic("this worker cannot live")
	}
	return worker.Main(context.Background(), worker.Options{
		Engines: map[vpn.Protocol]engine.New{Echo: newEcho},
		Version: Version,
		Adjust: func(l vpn.Logging) error {
			if l.Level == vpn.LogWarn {
				return vpn.Errorf(vpn.Invalid, "this worker never warns")
			}
			return nil
		},
	})
}

// beContainer is what the product does in a container.
func beContainer() error {
	switch os.Args[2] {
	case container.HealthCheck:
		return container.Health(context.Background(), inContainer())
	case container.Stream:
		return container.Dial(context.Background(), inContainer(), os.Stdin, os.Stdout)
	}
	o := inContainer()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.StringVar(&o.Tunnel, "tunnel", "", "")
	flags.BoolVar(&o.Anywhere, "anywhere", false, "")
	if err := flags.Parse(os.Args[4:]); err != nil {
		return err
	}
	o.Name = os.Args[3]
	return container.Main(o)
}

func inContainer() container.Options {
	return container.Options{StateDir: "/var/lib/vpn", RunDir: "/run/vpn", UID: 65532}
}

// beControl starts the server's worker while it holds the directory's lock,
// says so, and waits to be killed, or for the test to end.
func beControl(open Open, dir, server string) error {
	if _, err := lock(dir); err != nil {
		return err
	}
	var s vpn.Server
	if err := json.Unmarshal([]byte(server), &s); err != nil {
		return err
	}
	ws, err := open(dir)
	if err != nil {
		return err
	}
	fmt.Println("starting")
	if _, err := ws.Start(context.Background(), s); err != nil {
		return err
	}
	fmt.Println("started")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// lock takes the directory's lock, as the one control plane of a store does.
// It is free from the moment on when its holder is dead enough.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
}

// A control is a control plane in a process of its own.
type control struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	once sync.Once
}

func startControl(t *testing.T, dir string, s vpn.Server) *control {
	t.Helper()
	server, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", controlCommand, dir, string(server))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // open as long as the test lives
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &control{cmd: cmd, out: bufio.NewReader(out)}
	t.Cleanup(func() { c.kill() })
	return c
}

// await reads until the control plane says what.
func (c *control) await(t *testing.T, what string) {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != what {
		t.Fatalf("the control plane said %q (%v), want %q", line, err, what)
	}
}

// kill ends the control plane as a crash does, and returns before the kernel
// has cleared it away.
func (c *control) kill() {
	c.once.Do(func() {
		_ = c.cmd.Process.Kill()
		go func() { _ = c.cmd.Wait() }()
	})
}

// after returns when d has passed.
func after(d time.Duration) { <-time.After(d) }
