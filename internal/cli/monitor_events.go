package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func monitorEvents(p *program) *cobra.Command {
	var (
		follow bool
		most   = 100
	)
	cmd := &cobra.Command{
		Use: "events", Aliases: []string{"audit"}, Short: "Show what was changed, by whom, and follow it", Args: exactly(),
		Long: `Show what was changed, and by whom: the audit log, the newest last. With --follow
it goes on with what happens from then on, including what happens by itself and
is not kept: a server that starts or fails, a user who expires or whose quota is
used up. A reader that is too slow is told so (events.lost), and never waited for.`,
		Example: `  vpn monitor events -n 20
  vpn monitor events -f
  vpn monitor events -f -n none -o json      a line of JSON for each`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most > maxEvents {
				return vpn.Errorf(vpn.Invalid, "--number cannot be %d", most).WithHint("at most %d can be shown at once, as with -n none", maxEvents)
			}
			if follow {
				return p.use(cmd.Context(), ofStore, asStream(cmd.Context(), p, func(c *connection) error {
					return followEvents(cmd.Context(), p.printer(), c.System, most)
				}))
			}
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listEvents(ctx, p.printer(), c.System, most)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	cmd.Flags().VarP(countValue(&most), "number", "n", "begin with so many of the last")
	return answers[[]vpn.Event](p, cmd)
}

// maxEvents is what the API takes for no limit.
const maxEvents = 10_000

type eventReader interface {
	Events(context.Context, int) ([]vpn.Event, error)
	FollowEvents(context.Context, int) (*client.Stream[vpn.Event], error)
}

func listEvents(ctx context.Context, out *printer, system eventReader, most int) error {
	if most == 0 {
		most = maxEvents
	}
	list, err := system.Events(ctx, most)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	t := &table{head: []string{"AT", "ACTION", "SUBJECT", "BY", "DETAIL"}}
	var names []string
	for _, e := range list {
		t.add(secondCell(e.At), e.Action, e.Subject, e.Actor, e.Detail)
		names = append(names, e.Action)
	}
	a := answer{data: list, names: names, quiet: names, plain: t, tables: []*table{t}}
	if len(list) == 0 {
		a.tables, a.next = nil, []string{"nothing was changed yet"}
	}
	return out.show(a)
}

func followEvents(ctx context.Context, out *printer, system eventReader, most int) error {
	events, err := system.FollowEvents(ctx, most)
	if err != nil {
		return err
	}
	return eachLine(out, events, func(e vpn.Event) line {
		words := []cell{secondCell(e.At), cellOf(e.Action), cellOf(e.Subject), cellOf(e.Actor), cellOf(e.Detail)}
		text := fmt.Sprintf("%s  %-18s %-12s %s", words[0].text, e.Action, e.Subject, e.Actor)
		if e.Detail != "" {
			text += ": " + e.Detail
		}
		return line{text: text, name: e.Action, plain: words}
	})
}

// A line is one thing of a stream, in every form but JSON.
type line struct {
	text, name string
	plain      []cell
}

// asStream returns fn, which reads a stream for as long as that goes on, as
// what a control plane is used for.
func asStream(ctx context.Context, p *program, fn func(*connection) error) func(*connection) error {
	return func(c *connection) error {
		if p.global.output == "yaml" {
			return vpn.Errorf(vpn.Invalid, "what has no end cannot be YAML").WithHint("use -o json: it is an object a line")
		}
		p.busy.end()
		err := fn(c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
}

// eachLine prints what comes, until there is no more.
func eachLine[T any](out *printer, from *client.Stream[T], show func(T) line) error {
	defer from.Close()
	for {
		x, err := from.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := writeLine(out, x, show(x)); err != nil {
			return err
		}
	}
}

// writeLine prints one thing of a stream.
func writeLine(o *printer, x any, words line) error {
	switch {
	case o.form == "json":
		return writeJSONLine(o, x)
	case o.form == "name" || o.quiet && o.form != "plain":
		return o.print(printable(words.name) + "\n")
	case o.form == "plain":
		var raw []string
		for _, c := range words.plain {
			raw = append(raw, printable(c.raw))
		}
		return o.print(strings.Join(raw, "\t") + "\n")
	}
	return o.print(printable(words.text) + "\n")
}
