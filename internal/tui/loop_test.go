//go:build linux

package tui_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"vpn/internal/tui"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// terminal is the person's end of a pseudo-terminal on which the real loop
// runs: the library's input, renderer, signals and timers, and ours.
type terminal struct {
	t      *testing.T
	app    *tui.App
	master *os.File
	slave  *os.File
	before unix.Termios
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	wrote bytes.Buffer
	read  chan struct{} // closed when nothing more comes
	seen  int           // how much of it was waited for
}

func openTerminal(t *testing.T, w, h int, env ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, slave: slave, ended: make(chan error, 1), read: make(chan struct{})}
	x.size(w, h)
	x.before = x.modes()

	o, _ := tuitest.Options(t)
	o.After, o.Now, o.Source = nil, time.Now, &tuitest.Fleet{N: 40}
	o.Look.Refresh = 50 * time.Millisecond
	o.Watch = func(ctx context.Context, _ func(vpn.Event)) error {
		<-ctx.Done()
		return ctx.Err()
	}
	o.Pages = func(f page.Frame) []page.Page {
		var pages []page.Page
		for range 6 {
			pages = append(pages, &door{frame: f})
		}
		return pages
	}
	x.app = tui.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	x.cancel = cancel
	go x.listen()
	env = append([]string{"TERM=xterm-256color", "COLORTERM=truecolor"}, env...)
	getenv := func(name string) string {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	go func() { x.ended <- tui.Run(ctx, x.app, tui.Terminal{In: slave, Out: slave, Getenv: getenv, Env: env}) }()
	return x
}

func (x *terminal) listen() {
	defer close(x.read)
	buf := make([]byte, 16<<10)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.wrote.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) modes() unix.Termios {
	x.t.Helper()
	m, err := unix.IoctlGetTermios(int(x.slave.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *m
}

// size makes it so large, and tells, as a terminal does.
func (x *terminal) size(w, h int) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(w), Row: uint16(h)}); err != nil {
		x.t.Fatal(err)
	}
	if x.app == nil {
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) send(keys string) {
	x.t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.wrote.String()
}

// want waits until text is written, after what was waited for before.
func (x *terminal) want(text string) {
	x.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := x.text()[x.seen:]
		if i := strings.Index(got, text); i >= 0 {
			x.seen += i + len(text)
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("nothing is written with %q in it: %q", text, got)
		}
		select {
		case err := <-x.ended:
			x.t.Fatalf("it has ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// gone waits until the UI has ended, and returns with what.
func (x *terminal) gone() error {
	x.t.Helper()
	select {
	case err := <-x.ended:
		if now := x.modes(); now != x.before {
			x.t.Errorf("the terminal's modes are not as before: %+v, %+v", now, x.before)
		}
		x.cancel()
		_ = x.slave.Close()
		<-x.read // everything that was written is read; with the last slave the master ends
		_ = x.master.Close()
		return err
	case <-time.After(20 * time.Second):
		x.t.Fatal("it does not end")
		return nil
	}
}

// screen is what the UI shows at its end.
func (x *terminal) screen() string { return ansi.Strip(x.app.View().Content) }

// nothingLeft waits until no goroutine is left but those before. The timers of
// the library end when they fire.
func nothingLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}

// The whole in a terminal: it asks for the other screen, answers keys, follows
// the size however often that changes, takes pastes and keys that are held
// down, ends when it is asked to, and leaves nothing behind.
func TestTheRealLoop(t *testing.T) {
	defer nothingLeft(t, goleak.IgnoreCurrent())
	x := openTerminal(t, 80, 24)
	x.want("\x1b[?1049h") // the other screen
	x.want("2/3 up")      // servers that run: the control plane was asked
	x.send("2")
	x.want("Users") // the tab is written out
	x.send(strings.Repeat("j", 3000))
	x.send("\x1b[200~\x1b[2J\x1b]52;c;ZXZpbA==\a:q\r\n" + strings.Repeat("x", 5000) + "\x1b[201~")
	x.send("\x1b[<64;10;10M\x1b[<0;500;500M\x1b[999;999R\x1b]11;rgb:ffff/ffff\x1b\\")
	for i := range 60 {
		x.size(1+i*7%99, 1+i*5%60)
	}
	x.size(100, 30)
	x.want("4 Monitor") // which is written out only where there is room
	x.send("q")
	if err := x.gone(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	out := x.text()
	if !strings.Contains(out, "\x1b[?1049l") {
		t.Errorf("the screen of before is not back: %q", out)
	}
	lines := strings.Split(x.screen(), "\n")
	if len(lines) != 30 || ansi.StringWidth(lines[0]) != 100 {
		t.Errorf("it ends with %d lines of %d cells:\n%s", len(lines), ansi.StringWidth(lines[0]), x.screen())
	}
}

// Whoever ends the program from outside gets the terminal back too.
func TestTheRealLoopIsEnded(t *testing.T) {
	defer nothingLeft(t, goleak.IgnoreCurrent())
	x := openTerminal(t, 80, 24)
	x.want("2/3 up")
	x.cancel()
	if err := x.gone(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if out := x.text(); !strings.Contains(out, "\x1b[?1049l") {
		t.Errorf("the screen of before is not back: %q", out)
	}
}

// What is copied goes to the terminal's clipboard, and without colours there
// are none, but what is under the cursor can be told.
func TestTheRealLoopWithoutColours(t *testing.T) {
	defer nothingLeft(t, goleak.IgnoreCurrent())
	x := openTerminal(t, 80, 24, "NO_COLOR=1")
	x.want("2/3 up")
	x.send("\x1b[Z") // shift+tab, which copies in this test
	x.want("\x1b]52;c;dmxlc3M6Ly9zZWNyZXQ=")
	x.send(":")
	x.want("▌")
	x.send("\x03")
	if err := x.gone(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if out := x.text(); strings.Contains(out, "38;") || strings.Contains(out, "48;") {
		t.Errorf("there are colours: %q", out)
	}
}

// A frame that nothing has changed is not drawn anew, and what is asked for
// at one tick is drawn once.
func TestDrawsWhenSomethingHasChanged(t *testing.T) {
	o, clock := tuitest.Options(t)
	o.Source = &tuitest.Fleet{N: 10}
	frames := 0
	o.Pages = func(f page.Frame) []page.Page {
		var pages []page.Page
		for range 6 {
			pages = append(pages, &drawn{n: &frames})
		}
		return pages
	}
	d := tuitest.Drive(t, each{tui.New(o)}, 80, 24)
	before := frames
	for range 10 {
		d.Later(clock, time.Second)
	}
	if n := frames - before; n != 10 {
		t.Errorf("ten seconds are %d frames", n)
	}
}

// each is a UI of which each state is looked at, as the real loop does.
type each struct{ *tui.App }

func (e each) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	_, cmd := e.App.Update(msg)
	e.View()
	return e, cmd
}

// drawn is a page that needs most, and counts how often it is drawn.
type drawn struct {
	tuitest.Blank
	n *int
}

func (*drawn) Needs() feed.Topic { return feed.Status | feed.Host | feed.Rates | feed.Top }

func (d *drawn) Render(w, h int) []string {
	*d.n++
	return make([]string, h)
}
