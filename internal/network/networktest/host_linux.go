// Package networktest makes hosts for tests that change a network: namespaces
// of the kernel's, joined by links, of which nothing is left afterwards. It
// needs root, and it knows nothing of what is tested.
package networktest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Host is a network namespace with a thread in it. It ends with the test.
type Host struct {
	jobs chan func()
	path string
}

// NewHost returns a host without any link that is up. Unless the test runs as
// root it is skipped; in CI it fails.
func NewHost(t testing.TB) *Host {
	t.Helper()
	NeedRoot(t)
	h := &Host{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		h.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		if err == nil {
			for f := range h.jobs {
				f()
			}
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.jobs) })
	return h
}

// NeedRoot skips a test unless it runs as root; in CI it fails instead.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

// Path is the namespace's file, by which programs name it.
func (h *Host) Path() string { return h.path }

// Do runs f on the host's thread.
func (h *Host) Do(f func()) {
	done := make(chan bool)
	h.jobs <- func() { f(); done <- true }
	<-done
}

// Try feeds a program on the host and returns what it prints.
func (h *Host) Try(input, program string, args ...string) (string, error) {
	var out []byte
	var err error
	h.Do(func() {
		cmd := exec.Command(program, args...)
		cmd.Stdin = strings.NewReader(input)
		out, err = cmd.CombinedOutput()
	})
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, input, out)
	}
	return string(out), nil
}

// Run is Try for what has to succeed.
func (h *Host) Run(t testing.TB, input, program string, args ...string) string {
	t.Helper()
	out, err := h.Try(input, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Setting reads or, with a value, writes a setting of the host's kernel, below
// /proc/sys/net.
func (h *Host) Setting(t testing.TB, path string, value ...string) string {
	t.Helper()
	var b []byte
	var err error
	h.Do(func() {
		if len(value) > 0 {
			err = os.WriteFile("/proc/sys/net/"+path, []byte(value[0]), 0)
			return
		}
		b, err = os.ReadFile("/proc/sys/net/" + path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Accept lets everybody connect to a port of the host, and hangs up.
func (h *Host) Accept(t testing.TB, port int) {
	t.Helper()
	h.Do(func() {
		l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	})
}

// Reaches reports whether the host can connect to a port within that time.
func (h *Host) Reaches(addr string, port int, wait time.Duration) bool {
	var err error
	h.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		var c net.Conn
		if c, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(addr, fmt.Sprint(port))); err == nil {
			c.Close()
		}
	})
	return err == nil
}
