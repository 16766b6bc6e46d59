package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	progressDelay = 300 * time.Millisecond // what takes less is not worth a word
	progressTick  = time.Second
	progressWidth = 60 // no terminal is narrower, as a rule
)

// progress is a line on the terminal that says what is waited for, and goes
// before anything else is written. A nil one says nothing.
type progress struct {
	to    io.Writer
	width int
	delay time.Duration

	mu   sync.Mutex
	stop chan struct{} // closed by end
	done chan struct{} // closed once nothing is written any more
}

// newProgress returns nil where nobody would see it, or where it would be in
// the way of what is logged.
func newProgress(p *program) *progress {
	g := p.global
	people := g.output == "" || g.output == "table" || g.output == "wide"
	if !p.ErrTerminal || !people || g.quiet || g.verbose || p.Getenv("TERM") == "dumb" {
		return nil
	}
	width := progressWidth
	if p.Width > 0 {
		width = min(width, p.Width-1)
	}
	return &progress{to: p.Err, width: width, delay: p.delay}
}

// begin says what is waited for, if it takes a while.
func (g *progress) begin(what string) {
	if g == nil {
		return
	}
	g.end()
	g.mu.Lock()
	defer g.mu.Unlock()
	stop, done := make(chan struct{}), make(chan struct{})
	g.stop, g.done = stop, done
	go func() {
		defer close(done)
		g.tell(printable(what), stop)
	}()
}

func (g *progress) tell(what string, stop <-chan struct{}) {
	begun := time.Now()
	timer := time.NewTimer(g.delay)
	defer timer.Stop()
	longest := 0
	for {
		select {
		case <-stop:
			if longest > 0 {
				_, _ = io.WriteString(g.to, "\r"+strings.Repeat(" ", longest)+"\r")
			}
			return
		case <-timer.C:
			line := cut(fmt.Sprintf("%s … %d s", what, int(time.Since(begun).Seconds())), g.width)
			longest = max(longest, utf8.RuneCountInString(line))
			_, _ = io.WriteString(g.to, "\r"+line)
			timer.Reset(progressTick)
		}
	}
}

// end takes the line away. It may be called at any time.
func (g *progress) end() {
	if g == nil {
		return
	}
	g.mu.Lock()
	stop, done := g.stop, g.done
	g.stop, g.done = nil, nil
	g.mu.Unlock()
	if stop == nil {
		return
	}
	close(stop)
	<-done
}

// afterProgress is standard error for what is logged: it begins on a line of
// its own.
type afterProgress struct{ p *program }

func (w afterProgress) Write(b []byte) (int, error) {
	w.p.busy.end()
	return w.p.Err.Write(b)
}

// cut returns the first cells of s.
func cut(s string, cells int) string {
	runes := []rune(s)
	return string(runes[:max(0, min(cells, len(runes)))])
}
