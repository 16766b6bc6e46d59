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

// confirm asks whether to go on, which "y" answers. It returns an error
// unless the answer is yes. Where nobody can answer, the error says which flag
// does; nothing ever waits.
func (p *program) confirm(ctx context.Context, question string) error {
	return p.ask(ctx, question+" [y/N]", func(answer string) bool {
		answer = strings.ToLower(answer)
		return answer == "y" || answer == "yes"
	})
}

// confirmName is confirm for what hurts: the answer is the thing's name.
func (p *program) confirmName(ctx context.Context, question, name string) error {
	return p.ask(ctx, fmt.Sprintf("%s Type %s to go on:", question, name), func(answer string) bool {
		return answer == name
	})
}

func (p *program) ask(ctx context.Context, prompt string, agrees func(string) bool) error {
	if p.global.yes {
		return nil
	}
	if p.global.noInput || !p.InTerminal || !p.ErrTerminal {
		return vpn.Errorf(vpn.Invalid, "this needs to be confirmed").WithHint("add --yes")
	}
	_, _ = io.WriteString(p.Err, printable(prompt)+" ")
	answer, err := p.readLine(ctx)
	if err != nil {
		_, _ = io.WriteString(p.Err, "\n")
		return err
	}
	if !agrees(answer) {
		return vpn.Errorf(vpn.Invalid, "not confirmed; nothing was changed")
	}
	return nil
}

// readLine reads one line of input, or gives up when ctx ends.
func (p *program) readLine(ctx context.Context) (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // a read cannot be interrupted; the process ends soon
		text, err := bufio.NewReader(p.In).ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case l := <-read:
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", fmt.Errorf("read answer: %w", l.err)
		}
		return strings.TrimSpace(l.text), nil
	}
}
