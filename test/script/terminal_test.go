package script

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A session is a command at a terminal: its controlling terminal, and its
// standard input, output and error.
type session struct {
	cmd  *exec.Cmd
	ours *os.File // the side that a person sits at
	done chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

// begin runs vpn with args at a new terminal. All that it writes is seen.
func begin(env []string, dir string, args ...string) (*session, error) {
	return beginAs("leader", env, dir, args...)
}

// leaderMain runs vpn, says with which status it ended, and stays. Whatever
// has not been read yet of a terminal is thrown away when the leader of its
// session ends.
func leaderMain() {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // that is for vpn, which it reaches too
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = "vpn"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run() // how it ended is in cmd.ProcessState
	fmt.Printf("\x00%d\x00", cmd.ProcessState.ExitCode())
	select {} // until it is killed
}

var lastWord = regexp.MustCompile(`\x00(-?[0-9]+)\x00$`)

// beginAs is begin with another program than the leader.
func beginAs(name string, env []string, dir string, args ...string) (*session, error) {
	ours, theirs, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	s := &session{ours: ours, done: make(chan struct{}), grew: make(chan struct{}, 1), cmd: exec.Command("/proc/self/exe", args...)}
	s.cmd.Args[0] = name
	s.cmd.Env, s.cmd.Dir = env, dir
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = theirs, theirs, theirs
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, err
	}
	go s.copy()
	return s, nil
}

func openTerminal() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = ours.Close()
		}
	}()
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		return nil, nil, err
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	mode, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err == nil {
		mode.Oflag &^= unix.OPOST
		err = unix.IoctlSetTermios(int(theirs.Fd()), unix.TCSETS, mode)
	}
	return ours, theirs, err
}

func (s *session) copy() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, err := s.ours.Read(buf)
		s.mu.Lock()
		s.text.Write(buf[:n])
		s.mu.Unlock()
		select {
		case s.grew <- struct{}{}:
		default:
		}
		if err != nil { // EIO: the other side is closed
			return
		}
	}
}

func (s *session) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

const patience = 20 * time.Second

// await waits until what was written from offset on matches, and returns
// where the match ends.
func (s *session) await(offset int, pattern *regexp.Regexp) (int, error) {
	deadline := time.After(patience)
	for {
		if at := pattern.FindStringIndex(s.written()[offset:]); at != nil {
			return offset + at[1], nil
		}
		select {
		case <-s.grew:
		case <-s.done:
			return 0, fmt.Errorf("it ended without %s: %q", pattern, s.written())
		case <-deadline:
			return 0, fmt.Errorf("waited too long for %s: %q", pattern, s.written())
		}
	}
}

// end waits for the end of the command and returns its status.
func (s *session) end() (int, error) {
	defer s.ours.Close()
	_, err := s.await(0, lastWord)
	_ = s.cmd.Process.Kill() // and so whoever runs at the terminal gets SIGHUP
	_ = s.cmd.Wait()
	<-s.done
	if err != nil {
		return 0, fmt.Errorf("it waits for something: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	word := lastWord.FindSubmatchIndex(s.text.Bytes())
	status, err := strconv.Atoi(string(s.text.Bytes()[word[2]:word[3]]))
	s.text.Truncate(word[0])
	return status, err
}

// wait waits for the end of a command that has no leader.
func (s *session) wait() error {
	defer s.ours.Close()
	defer time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() }).Stop()
	err := s.cmd.Wait()
	<-s.done
	return err
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// onlyText returns an error if anything was written to a terminal that is
// neither text nor a colour: a query would be.
func onlyText(written string) error {
	rest := colours.ReplaceAllString(written, "")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r != '\n' && r != '\r' && unicode.IsControl(r) }); i >= 0 {
		return fmt.Errorf("the terminal is told %q", rest[i:min(len(rest), i+20)])
	}
	return nil
}

// shown is what stands on the terminal in the end: what was written over (by
// progress, on a slow machine) is gone.
func shown(written string) string {
	var b strings.Builder
	for line := range strings.Lines(written) {
		var cells []rune
		at := 0
		for _, r := range strings.TrimSuffix(line, "\n") {
			if r == '\r' {
				at = 0
				continue
			}
			if at == len(cells) {
				cells = append(cells, r)
			}
			cells[at] = r
			at++
		}
		b.WriteString(strings.TrimRight(string(cells), " ") + "\n")
	}
	return b.String()
}

// terminal runs a command at a terminal. Each line of the dialogue is a
// pattern that is waited for, " -> ", and what is typed then; ^C is the key.
// What the terminal shows becomes stdout:
//
//	terminal 0 dialogue vpn users show
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[2] != "vpn" {
		ts.Fatalf("usage: terminal STATUS DIALOGUE vpn [ARGS]")
	}
	env := []string{"TERM=xterm-256color"}
	for _, name := range []string{"HOME", "VPN_DATA_DIR", "NO_COLOR", "TMPDIR", "PATH", "VPN_OUTPUT", "VPN_NO_INPUT", "GORACE", "GOCOVERDIR"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	s, err := begin(env, ts.Getenv("WORK"), args[3:]...)
	ts.Check(err)
	at := 0
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		pattern, typed, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " -> ")
		if !ok {
			ts.Fatalf("%q is no line of a dialogue", line)
		}
		at, err = s.await(at, regexp.MustCompile(pattern))
		ts.Check(err)
		if typed == "^C" {
			typed = "\x03"
		} else {
			typed += "\n"
		}
		_, err := io.WriteString(s.ours, typed)
		ts.Check(err)
	}
	status, err := s.end()
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), shown(s.written()))
	ts.Check(err)
	ts.Check(onlyText(s.written()))
	if itoa(status) != args[0] {
		ts.Fatalf("the exit status is %d, not %s: %s", status, args[0], s.written())
	}
}

// atHome runs vpn for a test that is no script: with a home of its own, in
// which there is a server and a user.
func atHome(t *testing.T) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	env = append(os.Environ(), "HOME="+dir, "VPN_DATA_DIR="+filepath.Join(dir, "data"), "TERM=xterm-256color", "NO_COLOR=", "CI=")
	for _, args := range [][]string{
		{"users", "create", "alice", "--quota", "1GB"},
		{"server", "create", "--target", "self", "--no-check"},
	} {
		if out, err := atFile(env, dir, args...); err != nil {
			t.Fatalf("vpn %v: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if run, err := os.Readlink(filepath.Join(dir, "data", "run")); err == nil {
			_ = os.RemoveAll(run)
		}
	})
	return env, dir
}

// atFile runs vpn with its output to a file.
func atFile(env []string, dir string, args ...string) (string, error) {
	f, err := os.CreateTemp(dir, "out")
	if err != nil {
		return "", err
	}
	defer f.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "vpn"
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, dir, f, f
	err = cmd.Run()
	out, _ := os.ReadFile(f.Name())
	return string(out), err
}

// atTerminals are the commands that a person looks at.
var atTerminals = [][]string{
	{"--help"},
	{"users", "create", "--help"},
	{"version"},
	{"status"},
	{"users", "list"},
	{"users", "list", "-o", "wide"},
	{"users", "list", "-o", "json"},
	{"users", "show", "alice"},
	{"users", "link", "alice"},
	{"users", "qr", "alice"},
	{"users", "update", "alice", "--quota", "2GB", "--dry-run"},
	{"users", "kick", "alice"},
	{"server", "list"},
	{"server", "show", "main"},
	{"server", "status"},
	{"server", "logs", "main"},
	{"users", "device", "list", "alice"},
	{"users", "rotate", "alice", "--dry-run"},
	{"proxy", "list"},
	{"monitor", "top"},
	{"monitor", "connections"},
	{"monitor", "traffic"},
	{"monitor", "events"},
	{"logs"},
	{"config", "show", "--origin"},
	{"serve", "--check"},
	{"up", "--dry-run", "--target", "self"},
	{"completions", "bash"},
	{"users", "show", "nobody"},
	{"usres"},
	{"users", "delete", "alice", "--no-input"},
}

// TestNothingIsAskedOfTheTerminal: a terminal that never answers (a pipe of a
// build server, a serial line) keeps no command waiting, and nothing but text
// and colours reaches it.
func TestNothingIsAskedOfTheTerminal(t *testing.T) {
	t.Parallel()
	env, dir := atHome(t)
	painted := false
	for _, args := range atTerminals {
		s, err := begin(env, dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.end(); err != nil {
			t.Errorf("vpn %v: %v", args, err)
		}
		if err := onlyText(s.written()); err != nil {
			t.Errorf("vpn %v: %v", args, err)
		}
		if s.written() == "" && args[len(args)-1] != "main" {
			t.Errorf("vpn %v wrote nothing", args)
		}
		painted = painted || colours.MatchString(s.written())
	}
	if !painted {
		t.Error("there are no colours: was this a terminal?")
	}
}

// TestTheFaceIsCheap: at a terminal a command takes hardly longer than with
// its output in a file. The fastest of several runs of each is what it costs,
// and of more if the machine has other work.
func TestTheFaceIsCheap(t *testing.T) {
	env, dir := atHome(t)
	const most = 100 * time.Millisecond
	for _, args := range [][]string{{"users", "list"}, {"users", "show", "alice"}, {"status"}, {"users", "create", "--help"}} {
		file, terminal := time.Hour, time.Hour
		for round := range 40 {
			if round >= 7 && terminal-file <= most {
				break
			}
			begun := time.Now()
			if _, err := atFile(env, dir, args...); err != nil {
				t.Fatal(err)
			}
			file = min(file, time.Since(begun))
			begun = time.Now()
			s, err := beginAs("vpn", env, dir, args...)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.wait(); err != nil {
				t.Fatalf("vpn %v: %v", args, err)
			}
			terminal = min(terminal, time.Since(begun))
		}
		t.Logf("vpn %s: %v to a file, %v at a terminal", strings.Join(args, " "), file.Round(time.Millisecond), terminal.Round(time.Millisecond))
		if terminal-file > most {
			t.Errorf("vpn %s: the terminal costs %v", strings.Join(args, " "), terminal-file)
		}
	}
}
