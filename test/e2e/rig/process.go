//go:build linux

package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a program that runs on a host. Its output is kept, and shown if
// the test fails.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Spawn starts a program that ends with the test at the latest. env is added
// to a bare environment.
func (h *Host) Spawn(t testing.TB, env []string, program string, args ...string) *Process {
	t.Helper()
	p := &Process{name: filepath.Base(program), done: make(chan struct{})}
	f, err := os.CreateTemp(t.TempDir(), p.name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p.log = f.Name()
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	// A session of its own, as a service has: the kernel divides processors
	// among sessions first, and a worker has one.
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := h.Start(p.cmd); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s (pid %d) said:\n%s", p.name, p.PID(), lastLines(p.Output(), 60))
		}
	})
	return p
}

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what the program has written so far.
func (p *Process) Output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Signal sends sig.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the process at once and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end, and returns its exit status.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(t, 15*time.Second)
}

// Wait waits for the end of the process and returns its exit status.
func (p *Process) Wait(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeout):
		t.Errorf("%s has not ended after %v", p.name, timeout)
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// Running returns an error once the process has ended.
func (p *Process) Running() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
	default:
		return nil
	}
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}

// processesOf returns the ids of the live processes that run the binary and
// whose first argument is verb; any, if verb is empty.
func processesOf(binary, verb string) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		exe, err := os.Readlink(dir + "/exe")
		if err != nil || strings.TrimSuffix(exe, " (deleted)") != binary {
			continue // ended, a zombie, or somebody else's
		}
		args, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue
		}
		if argv := strings.Split(string(args), "\x00"); verb == "" || len(argv) > 1 && argv[1] == verb {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

// Alive reports whether a process with that id exists and is no zombie.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

// Signal sends sig to a process by its id; it is no error if it has ended.
func Signal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("signal %d: %v", pid, err)
	}
}

// Memory returns the proportional set size of a process, in bytes.
func Memory(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kb, err := strconv.ParseUint(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no Pss in smaps_rollup")
}

// CPU returns the processor time that a process has used, in user space and in
// the kernel. It is the sum that /proc/PID/stat gives in ticks of 10 ms, which
// are too coarse for a transfer of a second.
func CPU(pid int) (time.Duration, error) {
	const scheduled = 2                        // of the kernel's posix-timers.h: CPUCLOCK_SCHED
	clock := int32(^pid)<<3 | int32(scheduled) // as clock_getcpuclockid(3) makes it
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("read the processor clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Monotonic returns the time on the clock that systemd measures with.
func Monotonic(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// Output runs a program on the host and returns what it has printed.
func (h *Host) Output(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := h.Start(cmd)
	if err == nil {
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		timer.Stop()
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}
