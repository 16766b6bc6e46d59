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
	"testing"
	"time"
)

// A Terminal is a program in a real terminal emulator: tmux, with a server of
// its own.
type Terminal struct {
	t             testing.TB
	socket        string
	width, height int
}

// OpenTerminal runs args in a terminal of that size. env are additions to a
// plain environment.
func OpenTerminal(t testing.TB, width, height int, env []string, args ...string) *Terminal {
	t.Helper()
	// Paths of sockets are short.
	dir, err := os.MkdirTemp("", "tmux-")
	if err != nil {
		t.Fatal(err)
	}
	tm := &Terminal{t: t, socket: filepath.Join(dir, "s"), width: width, height: height}
	t.Cleanup(func() {
		if t.Failed() {
			if screen, err := tm.tmux("capture-pane", "-p"); err == nil {
				t.Logf("the terminal showed:\n%s", screen)
			}
		}
		_, _ = tm.tmux("kill-server")
		os.RemoveAll(dir)
	})
	words := make([]string, 0, len(args))
	for _, a := range append(append([]string{"env", "-u", "CI", "-u", "TMUX", "TERM=tmux-256color", "COLORTERM=truecolor", "LANG=C.UTF-8"}, env...), args...) {
		words = append(words, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	if out, err := tm.tmux("-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height), strings.Join(words, " ")+"; echo $? >'"+tm.status()+"'",
		";", "set", "-g", "remain-on-exit", "on", ";", "set", "-g", "status", "off", ";", "set", "-g", "set-clipboard", "on"); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	return tm
}

func (tm *Terminal) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", tm.socket}, args...)...).CombinedOutput()
	return string(out), err
}

func (tm *Terminal) must(args ...string) string {
	tm.t.Helper()
	out, err := tm.tmux(args...)
	if err != nil {
		tm.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// Press presses keys, as tmux names them: Enter, Escape, C-c, j.
func (tm *Terminal) Press(keys ...string) *Terminal {
	tm.t.Helper()
	for _, k := range keys {
		tm.must("send-keys", k)
		if k == "Escape" {
			<-time.After(escape)
		}
	}
	return tm
}

// escape is how long nothing follows the escape key: a program cannot tell it
// from the beginning of another but by time.
const escape = 100 * time.Millisecond

// Type types text.
func (tm *Terminal) Type(text string) *Terminal {
	tm.t.Helper()
	tm.must("send-keys", "-l", text)
	return tm
}

// Resize makes the terminal another size.
func (tm *Terminal) Resize(width, height int) *Terminal {
	tm.t.Helper()
	tm.width, tm.height = width, height
	tm.must("resize-window", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height))
	return tm
}

// Close closes the terminal, whatever runs in it.
func (tm *Terminal) Close() {
	tm.t.Helper()
	tm.must("kill-server")
}

// Text returns what is on the screen.
func (tm *Terminal) Text() string {
	tm.t.Helper()
	return tm.must("capture-pane", "-p")
}

// Clipboard returns what the program has sent to the clipboard last.
func (tm *Terminal) Clipboard() string {
	out, err := tm.tmux("show-buffer")
	if err != nil {
		return ""
	}
	return out
}

// Want waits until all texts are on the screen.
func (tm *Terminal) Want(texts ...string) *Terminal {
	tm.t.Helper()
	Until(tm.t, 10*time.Second, func() error {
		screen := tm.Text()
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return fmt.Errorf("the screen lacks %q:\n%s", text, screen)
			}
		}
		return nil
	})
	return tm
}

// Gone waits until a text is on the screen no more.
func (tm *Terminal) Gone(text string) *Terminal {
	tm.t.Helper()
	Until(tm.t, 10*time.Second, func() error {
		if screen := tm.Text(); strings.Contains(screen, text) {
			return fmt.Errorf("the screen has %q:\n%s", text, screen)
		}
		return nil
	})
	return tm
}

// PID returns the process that runs in the terminal.
func (tm *Terminal) PID() int {
	tm.t.Helper()
	shell := strings.TrimSpace(tm.must("display-message", "-p", "#{pane_pid}"))
	children, err := os.ReadFile("/proc/" + shell + "/task/" + shell + "/children")
	if err != nil {
		tm.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		tm.t.Fatal(err)
	}
	return pid
}

// status is the file for the status with which the program ends: of one whose
// terminal is closed first, tmux does not always learn it.
func (tm *Terminal) status() string { return filepath.Join(filepath.Dir(tm.socket), "status") }

// Ended waits for the program to end and returns its status.
func (tm *Terminal) Ended() string {
	tm.t.Helper()
	status := ""
	Until(tm.t, 10*time.Second, func() error {
		b, err := os.ReadFile(tm.status())
		if status = strings.TrimSpace(string(b)); status == "" {
			return errors.Join(errors.New("it runs on"), err)
		}
		return nil
	})
	return status
}

// Codes returns what is on the screen with the codes that colour it.
func (tm *Terminal) Codes() string {
	tm.t.Helper()
	return tm.must("capture-pane", "-e", "-p")
}
