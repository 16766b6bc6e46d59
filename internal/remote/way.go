package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// greeting is the line after which requests and answers begin. What comes
// before it has been said by what a shell runs at each login.
const greeting = "vpn " + Command + " 1"

const (
	maxBefore  = 64 << 10               // bytes before the greeting
	endWait    = 2 * time.Second        // how long ssh may take to end before it is killed
	loginWait  = time.Minute            // how long a login may take for which nobody is asked anything
	signalWait = 200 * time.Millisecond // how much earlier than this process ssh may end of ^C, which both get
	aliveWait  = 15 * time.Second       // how long nothing may come before it is asked for, and how long that may take
	maxPause   = 16 * time.Second       // between logins that fail
)

// A Way leads to a daemon elsewhere. It may be used concurrently.
type Way struct {
	place Place
	done  <-chan struct{} // closed when nobody wants it any more

	mu    sync.Mutex
	first net.Conn // has been opened and nobody uses it yet

	// How the last login failed, and when the next is tried: a screen asks each
	// second, and machines shut those out who fail often.
	failed error
	pause  time.Duration
	next   time.Time
}

// Open logs in. ssh may ask its user something meanwhile if ask says so: it is
// at the terminal itself. Should the connection break, requests open another
// one, for which nothing is asked.
//
// The error is of kind [vpn.Unavailable] if nobody answers, else of what ssh,
// or vpn over there, found in the way.
func Open(ctx context.Context, place Place, ask bool) (*Way, error) {
	w := &Way{place: place, done: ctx.Done()}
	first, err := w.dial(ctx, ask)
	if err != nil {
		return nil, err
	}
	w.first = first
	return w, nil
}

// Transport returns what carries HTTP requests along the way.
func (w *Way) Transport() *http.Transport {
	t := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return w.conn(ctx) },
		MaxConnsPerHost: 1, // requests that find none wait for the same login
		Protocols:       new(http.Protocols),
		// Only what asks for an answer finds out that a process over there is
		// stopped, or that the master of a shared connection has lost it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: aliveWait, PingTimeout: aliveWait},
	}
	t.Protocols.SetUnencryptedHTTP2(true) // it is in ssh's hands
	return t
}

// conn returns the first connection, or opens another one.
func (w *Way) conn(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if conn := w.first; conn != nil {
		w.first = nil
		return conn, nil
	}
	if time.Now().Before(w.next) {
		return nil, w.failed
	}
	conn, err := w.dial(ctx, false)
	if err != nil {
		w.pause = min(max(2*w.pause, time.Second), maxPause)
		w.failed, w.next = err, time.Now().Add(w.pause)
		return nil, err
	}
	w.pause = 0
	return conn, nil
}

// dial starts ssh and returns when the other side is ready for requests.
func (w *Way) dial(ctx context.Context, ask bool) (net.Conn, error) {
	place := w.place
	late := vpn.Errorf(vpn.Unavailable, "nothing came of a login to %s within %s", place.destination(), loginWait).
		WithHint("does this work? ssh %s vpn version", place.words())
	if !ask { // else a person looks on, and may think
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, loginWait, late)
		defer cancel()
	}
	cmd := exec.Command("ssh", place.args(ask)...) // it outlives ctx, which is about the login
	said := &tail{}
	cmd.Stderr = said
	cmd.WaitDelay = endWait
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to ssh: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe from ssh: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, vpn.Errorf(vpn.Unavailable, "ssh cannot be started: %w", err).WithHint("install its client; what is done with it: ssh %s vpn version", place.words())
	}
	r := bufio.NewReader(out)
	c := &conn{stream: stream{r, in}, to: place.destination(), done: w.done, cmd: cmd, in: in, said: said}
	stop := context.AfterFunc(ctx, c.terminate)
	err = greeted(r)
	if stop() && err == nil {
		return c, nil
	}
	if !errors.Is(err, io.EOF) {
		c.kill() // it writes on, maybe
	}
	ended := c.Close()
	switch {
	case interrupted(ended):
		return nil, context.Canceled // ctx ends as well, in a moment
	case soon(ctx.Done()):
		return nil, context.Cause(ctx)
	}
	if !errors.Is(err, io.EOF) {
		return nil, vpn.Errorf(vpn.Unavailable, "%s does not answer as vpn does: %w", place.destination(), err).
			WithHint("what does it say to this? ssh %s vpn version", place.words())
	}
	return nil, place.refused(ended, said)
}

// greeted reads up to the greeting. The error is io.EOF if there is none.
func greeted(r *bufio.Reader) error {
	for left := maxBefore; left > 0; {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if strings.HasSuffix(strings.TrimRight(string(line), "\r\n"), greeting) { // a shell may leave a line open
			return nil
		}
		left -= len(line)
	}
	return errors.New("it says something else, and does not stop")
}

// interrupted reports that ssh was: ^C at a terminal goes to all that run
// there.
func interrupted(ended error) bool {
	e, ok := errors.AsType[*exec.ExitError](ended)
	if !ok {
		return false
	}
	status, ok := e.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// kindOf returns what an exit status of vpn stands for; see package cli.
func kindOf(status int) vpn.Kind {
	return map[int]vpn.Kind{2: vpn.Invalid, 3: vpn.NotFound, 4: vpn.Denied, 5: vpn.Conflict}[status]
}

// refused tells why ssh ended before anything was asked.
func (p Place) refused(ended error, said *tail) error {
	status := -1
	if e, ok := errors.AsType[*exec.ExitError](ended); ok {
		status = e.ExitCode()
	}
	message, hint, last := "", "", said.last()
	for line := range strings.Lines(said.String()) {
		line = strings.TrimSpace(line)
		if m, ok := strings.CutPrefix(line, "vpn: "); ok {
			message = m
		}
		if h, ok := strings.CutPrefix(line, "hint: "); ok {
			hint = "over there: " + h
		}
	}
	to := p.destination()
	switch {
	case status == 127: // POSIX: there is no such command
		return vpn.Errorf(vpn.Unavailable, "there is no vpn on %s, or not where its shell looks: %s", to, last).
			WithHint("put it into /usr/local/bin over there")
	case status == 2 && strings.Contains(message, Command):
		return vpn.Errorf(vpn.Unavailable, "vpn on %s is older than what it is asked: %s", to, message).WithHint("over there: vpn upgrade")
	case message != "" && status != 255:
		e := vpn.Errorf(vpn.Unavailable, "%s: %s", to, message)
		if kind := kindOf(status); kind != "" {
			e.Kind = kind
		}
		return e.WithHint("%s", hint)
	case last == "":
		last = "it says no more"
	}
	if status >= 0 && status != 255 { // ssh itself ends with no other
		return vpn.Errorf(vpn.Unavailable, "the shell on %s ends with status %d before vpn answers: %s", to, status, last).
			WithHint("does this work? ssh %s vpn version", p.words())
	}
	return vpn.Errorf(vpn.Unavailable, "ssh does not get to %s: %s", to, last).WithHint("does this work? ssh %s vpn version", p.words())
}

// words is what a person types after ssh to get there.
func (p Place) words() string {
	if p.Port != "" {
		return "-p " + p.Port + " " + p.destination()
	}
	return p.destination()
}

// conn is a running ssh.
type conn struct {
	stream
	done <-chan struct{} // of the [Way]
	to   string
	cmd  *exec.Cmd
	in   io.Closer
	said *tail

	once  sync.Once
	ended error
}

// soon reports whether done is closed, or will be in a moment: ssh and this
// process both get ^C, and ssh may be the first that ends of it.
func soon(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(signalWait):
		return false
	}
}

// Read tells of an end what ssh says of it.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	if n == 0 && errors.Is(err, io.EOF) {
		_ = c.Close()
		if soon(c.done) {
			return 0, context.Canceled
		}
		why := ""
		if last := c.said.last(); last != "" {
			why = ": " + last
		}
		return 0, vpn.Errorf(vpn.Unavailable, "the connection to %s broke%s", c.to, why).WithHint("try again; a change may have been made: look first")
	}
	return n, err
}

// Close ends ssh, and waits for it. The error is how it ended.
func (c *conn) Close() error {
	c.once.Do(func() {
		_ = c.in.Close() // vpn over there sees the end of what it is asked, and ends; so does ssh
		late := time.AfterFunc(endWait, c.kill)
		defer late.Stop()
		c.ended = c.cmd.Wait()
	})
	return c.ended
}

// terminate ends ssh, which leaves its terminal as it found it: it may be
// reading a password there.
func (c *conn) terminate() {
	if c.cmd.Process.Signal(syscall.SIGTERM) != nil { // not on Windows
		c.kill()
	}
}

func (c *conn) kill() { _ = c.cmd.Process.Kill() }

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const maxTail = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// last returns the last line that says something.
func (t *tail) last() string {
	lines := strings.FieldsFunc(t.String(), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
