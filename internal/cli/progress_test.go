package cli

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"vpn/internal/client"
)

// screen is what a terminal shows: it knows text, new lines and \r, and
// remembers what it was sent.
type screen struct {
	mu   sync.Mutex
	sent strings.Builder
	grew chan struct{}
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Write(b)
	select {
	case s.grew <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.String()
}

// lines is what stands there in the end.
func (s *screen) lines() string {
	var out []string
	for line := range strings.SplitSeq(s.text(), "\n") {
		var cells []rune
		at := 0
		for _, r := range line {
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
		out = append(out, strings.TrimRight(string(cells), " "))
	}
	return strings.Join(out, "\n")
}

// slowly runs a command whose control plane answers once the terminal has
// been told something, or, if nothing is to be told, when a while has passed.
func slowly(t *testing.T, errs *screen, tell bool, env map[string]string, tty bool, args ...string) int {
	t.Helper()
	r := newRunner()
	p := newProgram(IO{
		In: strings.NewReader(""), Out: &strings.Builder{}, Err: errs, Getenv: func(k string) string { return env[k] },
		Now: r.now, ErrTerminal: tty, InTerminal: tty, OutTerminal: tty,
	})
	p.dial = func(ctx context.Context, i intent) (*connection, error) {
		if tell {
			select {
			case <-errs.grew:
			case <-time.After(10 * time.Second):
				t.Error("waited 10 s for a word")
			}
		} else {
			<-time.After(2 * progressDelay)
		}
		c, err := r.dial(ctx, i)
		if c != nil {
			c.Client = client.InProcess(r.plane.handler())
		}
		return c, err
	}
	return p.run(t.Context(), args)
}

// TestProgress: who waits is told for what, and finds no trace of it later.
func TestProgress(t *testing.T) {
	t.Parallel()
	errs := &screen{grew: make(chan struct{}, 1)}
	begun := time.Now()
	if status := slowly(t, errs, true, nil, true, "users", "disable", "alice"); status != 0 {
		t.Errorf("got %d", status)
	}
	if time.Since(begun) < progressDelay {
		t.Error("it came at once")
	}
	if sent := errs.text(); !strings.HasPrefix(sent, "\rvpn users disable … 0 s\r") {
		t.Errorf("got %q", sent)
	}
	if left := errs.lines(); left != "disabled user alice, and closed 2 connections\n" {
		t.Errorf("what is left: %q", left)
	}
	errs = &screen{grew: make(chan struct{}, 1)}
	slowly(t, errs, true, nil, true, "server", "create", "paris", "--quiet=false")
	if !strings.Contains(errs.text(), "\rmaking the server, and checking its target … 0 s") {
		t.Errorf("got %q", errs.text())
	}
	errs = &screen{grew: make(chan struct{}, 1)}
	if slowly(t, errs, true, nil, true, "users", "show", "nobody"); !strings.HasPrefix(errs.lines(), "\x1b[31mvpn:\x1b[0m there is no user") {
		t.Errorf("what is left: %q", errs.lines())
	}
}

// TestNoProgress: nobody reads it, or it would be in the way.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tty  bool
		env  map[string]string
		args string
	}{
		"no terminal":   {false, nil, "users list"},
		"dumb terminal": {true, map[string]string{"TERM": "dumb"}, "users list"},
		"json":          {true, nil, "users list -o json"},
		"fields":        {true, nil, "users list --json name"},
		"name":          {true, nil, "users list -o name"},
		"quiet":         {true, nil, "users list -q"},
		"environment":   {true, map[string]string{"VPN_OUTPUT": "yaml"}, "users list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := &screen{grew: make(chan struct{}, 1)}
			if status := slowly(t, errs, false, c.env, c.tty, strings.Fields(c.args)...); status != 0 || errs.text() != "" {
				t.Errorf("got %d, %q", status, errs.text())
			}
		})
	}
}
