package cli

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		args, input string
		tty         bool
		status      int
		deleted     bool
	}{
		"yes":               {"users delete alice", "y\n", true, 0, true},
		"YES":               {"users delete alice", "YES\n", true, 0, true},
		"no":                {"users delete alice", "n\n", true, 2, false},
		"nothing":           {"users delete alice", "\n", true, 2, false},
		"end of input":      {"users delete alice", "", true, 2, false},
		"no terminal":       {"users delete alice", "y\n", false, 2, false},
		"no input":          {"users delete alice --no-input", "y\n", true, 2, false},
		"flag":              {"users delete alice --yes", "", false, 0, true},
		"the server's name": {"server delete main", "main\n", true, 0, true},
		"y for a server":    {"server delete main", "y\n", true, 2, false},
		"server by flag":    {"server delete main -y", "", true, 0, true},
	} {
		r := newRunner()
		r.tty, r.input = c.tty, c.input
		got := r.run(t, strings.Fields(c.args)...)
		_, user := r.plane.users["alice"]
		_, server := r.plane.servers["main"]
		if deleted := !user || !server; got.status != c.status || deleted != c.deleted {
			t.Errorf("%s: got %+v, deleted %v", name, got, deleted)
		}
		asked := strings.Contains(got.err, "Delete user alice, and close 2 connections? [y/N] ") || strings.Contains(got.err, "Type main to go on: ")
		if asked != (c.tty && !strings.Contains(c.args, " -")) {
			t.Errorf("%s: asked %v: %q", name, asked, got.err)
		}
		if c.status != 0 && !asked && !strings.Contains(got.err, "--yes") {
			t.Errorf("%s: the flag is not named: %q", name, got.err)
		}
		if got.out != "" {
			t.Errorf("%s: the question is in the data: %q", name, got.out)
		}
	}
}

// TestConfirmInterrupted: ^C works while the question stands there.
func TestConfirmInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	asked := make(chan struct{})
	p := newProgram(IO{
		In: in, Out: io.Discard, Err: signalWriter{asked}, Getenv: func(string) string { return "" },
		InTerminal: true, OutTerminal: true, ErrTerminal: true,
	})
	p.dial = newRunner().dial
	done := make(chan int)
	go func() { done <- p.run(ctx, []string{"users", "delete", "alice"}) }()
	<-asked
	cancel()
	if status := <-done; status != 130 {
		t.Errorf("got status %d", status)
	}
}

// signalWriter tells when somebody begins to write.
type signalWriter struct{ begun chan struct{} }

func (w signalWriter) Write(b []byte) (int, error) {
	select {
	case <-w.begun:
	default:
		close(w.begun)
	}
	return len(b), nil
}
