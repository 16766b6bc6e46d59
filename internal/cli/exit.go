package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"vpn/internal/vpn"
)

// The exit statuses that no kind of failure has.
const (
	statusOK          = 0
	statusPartly      = 7
	statusInterrupted = 130
)

// statuses gives each kind of failure its exit status.
var statuses = map[vpn.Kind]int{
	vpn.Internal:    1,
	vpn.Invalid:     2,
	vpn.NotFound:    3,
	vpn.Denied:      4,
	vpn.Conflict:    5,
	vpn.Unavailable: 6,
}

// errPartly ends a command whose change is stored, but not in force everywhere.
var errPartly = errors.New("the change is stored, but not every server follows yet")

// report tells a person what went wrong and returns the exit status.
func (p *program) report(err error) int {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, context.Canceled):
		p.sayError("interrupted", "")
		return statusInterrupted
	case errors.Is(err, errPartly):
		p.sayError(err.Error(), "they follow when they can; see: vpn status")
		return statusPartly
	}
	hint := ""
	if _, judged := errors.AsType[*vpn.Error](err); !judged && isFull(err) {
		err = noRoom(err)
	}
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		hint = e.Hint
	}
	p.sayError(err.Error(), hint)
	if status, ok := statuses[vpn.KindOf(err)]; ok {
		return status
	}
	return statuses[vpn.Internal] // of a kind that only another version knows
}

// reportPanic tells about a bug. The stack is for whoever asked for details.
func (p *program) reportPanic(v any, stack []byte) int {
	p.busy.end()
	p.sayError(fmt.Sprintf("internal error: %v", v), "this is a bug; --verbose says where")
	if p.global.verbose {
		_, _ = p.Err.Write(stack)
	}
	return statuses[vpn.Internal]
}

func (p *program) sayError(message, hint string) {
	out := p.printer()
	_, _ = fmt.Fprintf(p.Err, "%s %s\n", out.paintErr(red, "vpn:"), printable(message))
	if hint != "" {
		_, _ = fmt.Fprintf(p.Err, "hint: %s\n", printable(hint))
	}
}

// printable makes one harmless line of text that may come from anywhere: what
// would steer a terminal becomes a replacement character.
func printable(s string) string {
	if isPlain(s) {
		return s
	}
	return visible(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
}

// isPlain reports whether s is a line of ASCII that is printable as it is, as
// most text is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

// visible is printable for a line whose spaces matter.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
