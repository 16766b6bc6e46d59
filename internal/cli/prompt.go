package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"vpn/internal/vpn"
)

// prompter asks the person at the terminal. It writes text to standard error
// and reads lines: nothing is asked of the terminal itself.
type prompter struct {
	able bool // there is somebody to ask
	in   *bufio.Reader
	out  io.Writer
	busy *progress
}

func (p *program) prompter() *prompter {
	if p.asking == nil {
		p.asking = &prompter{in: bufio.NewReader(p.In), out: p.Err}
	}
	p.asking.able = !p.global.noInput && p.InTerminal && p.ErrTerminal
	p.asking.busy = p.busy
	return p.asking
}

// line asks for one line and returns it without the space around it, or gives
// up when ctx ends. The end of input is an error: no answer will come.
func (q *prompter) line(ctx context.Context, prompt string) (string, error) {
	q.busy.end()
	if _, err := io.WriteString(q.out, printable(prompt)+" "); err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // a read cannot be interrupted; the process ends soon
		text, err := q.in.ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		q.say("")
		return "", ctx.Err()
	case l := <-read:
		text := strings.TrimSpace(l.text)
		switch {
		case l.err == nil, text != "" && errors.Is(l.err, io.EOF):
			return text, nil
		case errors.Is(l.err, io.EOF):
			q.say("")
			return "", vpn.Errorf(vpn.Invalid, "the input ended before an answer; nothing was changed")
		}
		return "", fmt.Errorf("read answer: %w", l.err)
	}
}

// say tells the person something about the question.
func (q *prompter) say(text string) {
	_, _ = io.WriteString(q.out, visible(text)+"\n")
}
