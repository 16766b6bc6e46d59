package logs_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/logs"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// daemon has lines to follow.
type daemon struct {
	lines   []vpn.LogLine
	err     error
	queries []vpn.LogQuery
	stream  *stream
}

func (d *daemon) Logs(ctx context.Context, q vpn.LogQuery) (logs.Stream, error) {
	d.queries = append(d.queries, q)
	if d.err != nil {
		return nil, d.err
	}
	s := &stream{}
	s.changed.L = &s.mu
	for _, l := range d.lines[max(len(d.lines)-q.Tail, 0):] {
		if !l.At.Before(q.Since) {
			s.lines = append(s.lines, l)
		}
	}
	context.AfterFunc(ctx, s.end)
	d.stream = s
	return s, nil
}

// stream is the lines of a daemon. What reads it knows when it has all.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond
	lines   []vpn.LogLine
	idle    bool // it is waited for more
	ended   bool
}

func (s *stream) Next() (vpn.LogLine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.lines) == 0 {
		s.idle = true
		s.changed.Broadcast()
		if s.ended {
			return vpn.LogLine{}, io.EOF
		}
		s.changed.Wait()
	}
	l := s.lines[0]
	s.lines = s.lines[1:]
	return l, nil
}

func (*stream) Close() error { return nil }

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

// wait waits until all lines were read.
func (s *stream) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.idle {
		s.changed.Wait()
	}
}

func (d *daemon) log(lines ...vpn.LogLine) {
	d.lines = append(d.lines, lines...)
	s := d.stream
	s.mu.Lock()
	s.lines, s.idle = append(s.lines, lines...), false
	s.changed.Broadcast()
	s.mu.Unlock()
	s.wait()
}

// timers are what a page waits for; they fire when a test says so.
type timers struct {
	d       *daemon
	fns     []func(time.Time) tea.Msg
	waits   []time.Duration
	nothing bool // no line comes at all
	typing  bool // somebody types fast: what waits for a pause waits
}

func (t *timers) After(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
	if d == 0 && !t.nothing {
		return func() tea.Msg {
			t.d.stream.wait()
			return fn(tuitest.Now())
		}
	}
	if d == 80*time.Millisecond && !t.typing {
		return func() tea.Msg { return fn(tuitest.Now()) }
	}
	t.fns, t.waits = append(t.fns, fn), append(t.waits, d)
	return nil
}

// fire lets all of them fire, and what they bring come.
func (t *timers) fire(d *tuitest.Driver) {
	fns := t.fns
	t.fns = nil
	for _, fn := range fns {
		d.Send(fn(tuitest.Now()))
	}
}

func model(o tui.Options, d *daemon, t *timers) *tui.App {
	if t == nil {
		t = &timers{}
	}
	t.d = d
	if o.Source == nil {
		o.Source = &tuitest.Fleet{N: 20}
	}
	return tuitest.Alone(o, key.Logs, func(f page.Frame) page.Page { return logs.New(f, d, t.After) })
}

func open(t *testing.T, d *daemon, w, h int) (*tuitest.Driver, *timers, *tuitest.Clock) {
	t.Helper()
	o, clock := tuitest.Options(t)
	timers := &timers{}
	return tuitest.Drive(t, model(o, d, timers), w, h).Press("5"), timers, clock
}

// written is n lines that end just before now, as a daemon of three servers
// writes them.
func written(n int) []vpn.LogLine {
	out := make([]vpn.LogLine, 0, n)
	for i := range n {
		l := vpn.LogLine{
			At: tuitest.Now().Add(time.Duration(i-n) * 1700 * time.Millisecond), Level: vpn.LogInfo, Source: [...]string{"main", "tunnel", "main", vpn.ControlPlane}[i%4],
			Message: "user is connected", Fields: map[string]string{"user": fmt.Sprintf("bob-%04d", i%300), "source": fmt.Sprintf("203.0.113.%d:%d", i%250, 40000+i%9000)},
		}
		switch {
		case i%17 == 3:
			l.Level, l.Message, l.Fields = vpn.LogWarn, "user is limited", map[string]string{"user": fmt.Sprintf("alice-%04d", i%300), "reason": "quota", "used": "50 GB"}
		case i%41 == 7:
			l.Level, l.Source, l.Message = vpn.LogError, "outline", "server does not run"
			l.Fields = map[string]string{"error": "listen tcp :8388: bind: address already in use", "hint": "find out who has it: ss -ltnp sport = :8388"}
		case i%5 == 1:
			l.Level, l.Message, l.Fields = vpn.LogDebug, "rules are applied", map[string]string{"revision": fmt.Sprint(100 + i)}
		}
		out = append(out, l)
	}
	return out
}
