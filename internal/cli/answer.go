package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

// An answer is what a command has to say, in every form in which somebody may
// want it. What is left out is not said.
type answer struct {
	// For programs.
	data  any      // what the API answered: json and yaml, and --json picks of it
	names []string // of what it is about, or of what was changed: name
	plain *table   // the rows of plain; nil: those of the first table, or the fields

	// For people: table and wide. They are written in this order.
	done     string   // what was done, to standard error
	fields   []any    // names and values, alternately: see [printer.fields]
	warnings []string // to standard error, with plain, name and -q too
	tables   []*table //
	lines    []string // links, an address
	next     []string // what to do next, to standard error

	quiet []string // with -q nothing else is written to standard output
}

// show writes a.
func (o *printer) show(a answer) error {
	switch o.form {
	case "json":
		return o.json(a.data)
	case "yaml":
		return o.yaml(a.data)
	case "name":
		o.warn(a.warnings...)
		return o.lines(a.names)
	case "plain":
		o.warn(a.warnings...)
		return o.plain(a)
	}
	if o.quiet {
		o.warn(a.warnings...)
		return o.lines(a.quiet)
	}
	o.notes(a.done)
	if err := o.fields(a.fields...); err != nil {
		return err
	}
	o.warn(a.warnings...)
	if err := o.sections(len(a.fields) > 0, a.tables...); err != nil {
		return err
	}
	if err := o.lines(a.lines); err != nil {
		return err
	}
	o.notes(a.next...)
	return nil
}

// plain writes values for programs, without a header, a tab between them.
func (o *printer) plain(a answer) error {
	rows := &table{}
	switch {
	case a.plain != nil:
		rows = a.plain
	case len(a.fields) > 0:
		for i := 0; i < len(a.fields); i += 2 {
			rows.add(a.fields[i], a.fields[i+1])
		}
	case len(a.tables) > 0:
		rows = a.tables[0]
	}
	var b strings.Builder
	for _, row := range rows.rows {
		for i, c := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(printable(c.raw))
		}
		b.WriteByte('\n')
	}
	return o.print(b.String())
}

// did says what a change did, or what it would have done.
func did(dryRun bool, verb, past, format string, args ...any) string {
	thing := fmt.Sprintf(format, args...)
	if dryRun {
		return "would " + verb + " " + thing
	}
	return past + " " + thing
}

// closing says, after what a change did, how many connections it ended, or
// would have ended.
func closing(dryRun bool, n int) string {
	switch {
	case n == 0:
		return ""
	case dryRun:
		return ", and close " + many(n, "connection")
	}
	return ", and closed " + many(n, "connection")
}

// answers declares that cmd answers with a T, whose fields --json may name.
// It returns cmd.
func answers[T any](p *program, cmd *cobra.Command) *cobra.Command {
	p.shapes[cmd] = func([]string) reflect.Type { return reflect.TypeFor[T]() }
	return cmd
}

// changes is answers for a command that changes something: it has a dry run.
func changes[T any](p *program, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.global.dryRun, "dry-run", false, "check everything, say what would be done, and do nothing")
	return answers[T](p, cmd)
}

// chooseForm settles in which form cmd answers. An unknown field is found
// here, before anything is done.
func chooseForm(p *program, cmd *cobra.Command, args []string, outputGiven bool) error {
	p.doing = cmd.CommandPath()
	if text := cmd.Annotations["doing"]; text != "" {
		p.doing = text
	}
	shape := p.shapes[cmd]
	if shape != nil {
		p.shape = shape(args)
	}
	if form := p.global.output; outputGiven && p.shape == nil && cmd.Runnable() && !cmd.HasSubCommands() && (form == "json" || form == "yaml") {
		err := vpn.Errorf(vpn.Invalid, "%s has no %s", cmd.CommandPath(), strings.ToUpper(form))
		if hint := cmd.Annotations["data"]; hint != "" {
			return err.WithHint("%s", hint)
		}
		return err.WithHint("leave -o out")
	}
	if !cmd.Flags().Changed("json") {
		return nil
	}
	return pickFields(p, cmd, outputGiven)
}

// formats are what -o takes, the usual one first.
func formats() []string { return []string{"table", "wide", "json", "yaml", "name", "plain"} }

func namesOf[T any](list []T, name func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}
