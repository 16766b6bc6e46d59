package cli

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"strings"

	"vpn/internal/vpn"
)

// printer writes what a command has to say: data to out, messages to err.
// [printer.show] is how commands use it.
type printer struct {
	out, err           io.Writer
	form               string // one of [formats]
	quiet              bool
	paintsOut, paintsE bool // colours may be used

	shape  reflect.Type // of the data, if the command has declared it
	picked selection    // what --json wants of it; nil: all

	busy *progress // goes when something is written
}

func (p *program) printer() *printer {
	return &printer{
		out: p.Out, err: p.Err,
		form: cmp.Or(p.global.output, formats()[0]), quiet: p.global.quiet,
		shape: p.shape, picked: p.picked, busy: p.busy,
		paintsOut: p.paints(p.OutTerminal), paintsE: p.paints(p.ErrTerminal),
	}
}

// paints decides about colours without asking the terminal, which may not
// answer: see no-color.org and bixense.com/clicolors.
func (p *program) paints(terminal bool) bool {
	switch {
	case p.Getenv("NO_COLOR") != "":
		return false
	case p.Getenv("CLICOLOR_FORCE") != "" && p.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && p.Getenv("TERM") != "dumb"
}

// forPeople reports whether what is written is read by a person.
func (o *printer) forPeople() bool { return o.form == "table" || o.form == "wide" }

// tabular reports whether an answer's tables are printed at all.
func (o *printer) tabular() bool { return o.forPeople() && !o.quiet || o.form == "plain" }

// print writes data.
func (o *printer) print(s string) error {
	if s == "" {
		return nil
	}
	o.busy.end()
	_, err := io.WriteString(o.out, s)
	return written(err)
}

// lines prints each of list, which mostly is one line. The lines of a file stay
// lines.
func (o *printer) lines(list []string) error {
	if len(list) == 0 {
		return nil
	}
	clean := make([]string, 0, len(list))
	for _, line := range list {
		for part := range strings.SplitSeq(line, "\n") {
			clean = append(clean, printable(part))
		}
	}
	return o.print(strings.Join(clean, "\n") + "\n")
}

func written(err error) error {
	if err != nil {
		return vpn.Errorf(vpn.Internal, "write output: %w", err)
	}
	return nil
}

// note tells a person what was done. Programs and whoever wants quiet are
// spared it.
func (o *printer) note(format string, args ...any) { o.notes(fmt.Sprintf(format, args...)) }

func (o *printer) notes(texts ...string) {
	for _, text := range texts {
		if text != "" && o.forPeople() && !o.quiet {
			o.message("", text)
		}
	}
}

// warn tells what nobody should miss.
func (o *printer) warn(warnings ...string) {
	for _, w := range warnings {
		o.message(o.paintErr(yellow, "warning:")+" ", w)
	}
}

func (o *printer) message(prefix, text string) {
	o.busy.end()
	_, _ = fmt.Fprintln(o.err, prefix+printable(text)) // nobody is left to tell
}

// A colour is an ANSI code of the terminal's own palette.
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	grey   colour = "90"
)

func (o *printer) paintOut(c colour, s string) string { return paint(o.paintsOut, c, s) }
func (o *printer) paintErr(c colour, s string) string { return paint(o.paintsE, c, s) }

func paint(on bool, c colour, s string) string {
	if !on || c == "" || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// stateColours are the colours of the words that say how something is. The
// word says it already: nobody has to see the colour.
var stateColours = map[string]colour{
	"active": green, "running": green,
	"limited": yellow, "throttled": yellow, "on hold": yellow, "syncing": yellow, "starting": yellow,
	"expired": red, "failed": red, "unresponsive": red,
	"disabled": grey, "stopped": grey,
}
