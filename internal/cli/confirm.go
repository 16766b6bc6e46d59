package cli

import (
	"context"
	"fmt"
	"strings"

	"vpn/internal/vpn"
)

// What can be undone in a moment is not asked about. What interrupts people,
// or costs work to undo, is confirmed with y; what cannot be undone, by the
// name of what is lost. A dry run asks nothing.

// confirm asks whether to go on, which "y" answers. It returns an error
// unless the answer is yes. Where nobody can answer, the error says which flag
// does; nothing ever waits.
func (p *program) confirm(ctx context.Context, question string) error {
	return agree(ctx, p, question, "[y/N]", func(answer string) bool {
		answer = strings.ToLower(answer)
		return answer == "y" || answer == "yes"
	})
}

// confirmName is confirm for what cannot be undone: the answer is the thing's
// name.
func (p *program) confirmName(ctx context.Context, question, name string) error {
	how := fmt.Sprintf("Type %s to go on:", name)
	return agree(ctx, p, question, how, func(answer string) bool { return answer == name })
}

// confirms reports whether a question would be asked at all.
func (g *globalFlags) confirms() bool { return !g.yes && !g.dryRun }

func agree(ctx context.Context, p *program, question, how string, agrees func(string) bool) error {
	if !p.global.confirms() {
		return nil
	}
	ask := p.prompter()
	if !ask.able {
		return vpn.Errorf(vpn.Invalid, "this needs to be confirmed: %s", question).WithHint("add --yes")
	}
	answer, err := ask.line(ctx, question+" "+how)
	if err != nil {
		return err
	}
	if !agrees(answer) {
		return vpn.Errorf(vpn.Invalid, "not confirmed; nothing was changed")
	}
	return nil
}

// many is "1 connection" or "5 connections".
func many(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
