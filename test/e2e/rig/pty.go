//go:build linux

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A PTY is a program on a pseudo-terminal that answers nothing: what is
// measured there has no emulator in the way.
type PTY struct {
	t       testing.TB
	master  *os.File
	cmd     *exec.Cmd
	Started time.Time

	mu    sync.Mutex
	got   bytes.Buffer
	fresh chan struct{} // something was written
	last  time.Time
}

// OpenPTY runs args on a pseudo-terminal of that size.
func OpenPTY(t testing.TB, width, height int, env []string, args ...string) *PTY {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	err = errors.Join(err,
		unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)}))
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	p := &PTY{t: t, master: master, cmd: exec.Command(args[0], args[1:]...), fresh: make(chan struct{}, 1)}
	p.cmd.Env = append([]string{"TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.Started = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = master.Close()
	})
	return p
}

func (p *PTY) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.got.Write(buf[:n])
		p.last = time.Now()
		p.mu.Unlock()
		select {
		case p.fresh <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// PID returns the program's process.
func (p *PTY) PID() int { return p.cmd.Process.Pid }

// Press writes keys as a terminal sends them, and returns when.
func (p *PTY) Press(keys string) time.Time {
	p.t.Helper()
	p.mu.Lock()
	p.got.Reset()
	p.mu.Unlock()
	now := time.Now()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
	return now
}

// Wrote waits until the program has written text since the last key, and
// returns when. Empty text is anything.
func (p *PTY) Wrote(text string) time.Time {
	p.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		ok, at := p.got.Len() > 0 && bytes.Contains(p.got.Bytes(), []byte(text)), p.last
		got := p.got.String()
		p.mu.Unlock()
		if ok {
			return at
		}
		select {
		case <-p.fresh:
		case <-deadline:
			p.t.Fatalf("%q was not written, but %q", text, got)
		}
	}
}

// Text returns what the program has written since the last key.
func (p *PTY) Text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.String()
}
