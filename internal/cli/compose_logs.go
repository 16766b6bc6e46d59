package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/compose/containers"
	"vpn/internal/vpn"
)

func composeLogs(p *program) *cobra.Command {
	var (
		q          = containers.Query{Tail: 100}
		level, dir string
	)
	cmd := &cobra.Command{
		Use: "logs [SERVICE...]", Aliases: []string{"log"}, Short: "Show what the project's containers log, merged by time",
		Long: `Show what the project's containers log, merged by time; times are UTC. Each
service has a colour of its own where colours may be used. A server's name does
for its service.`,
		Example: `  vpn compose logs -f
  vpn compose logs main --since 1h --level warn
  vpn compose logs -f --tail 0 -o json       a line of JSON for each`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Tail < 0 {
				return vpn.Errorf(vpn.Invalid, "--tail cannot be %d", q.Tail).WithHint("it is a number of lines, as in --tail 100")
			}
			q.Level = vpn.LogLevel(level)
			return onContainers(p, dir, args, func(c *containers.Containers, services []string) error {
				return showContainerLogs(cmd.Context(), p, c, q, services)
			})
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&q.Follow, "follow", "f", false, "go on with what is logged from now on")
	fs.IntVar(&q.Tail, "tail", q.Tail, "begin with the last `N` lines")
	fs.Var(&choice{to: &level, what: "level", of: levelNames(), kind: "LEVEL"}, "level", "only what weighs as much at least: debug, info, warn or error")
	fs.Var(sinceValue(&q.Since, p.Now), "since", "not older: 10m, 24h, 2026-01-31")
	dirFlag(cmd, &dir)
	return answers[[]vpn.LogLine](p, cmd)
}

func showContainerLogs(ctx context.Context, p *program, c *containers.Containers, q containers.Query, services []string) error {
	out := p.printer()
	if out.form == "json" && !q.Follow || out.form == "yaml" {
		if q.Follow {
			return vpn.Errorf(vpn.Invalid, "what has no end cannot be YAML").WithHint("use -o json: it is an object a line")
		}
		list := []vpn.LogLine{}
		err := c.Logs(ctx, q, func(l vpn.LogLine) error {
			list = append(list, l)
			return nil
		}, services...)
		if err != nil {
			return err
		}
		return out.show(answer{data: list})
	}
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	paint := painter{out, servicesOf(all)}
	n := 0
	err = c.Logs(ctx, q, func(l vpn.LogLine) error {
		n++
		if out.forPeople() && !out.quiet {
			return out.print(paint.line(l) + "\n")
		}
		return writeLine(out, l, logLine(l))
	}, services...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && n == 0 {
		out.note("nothing like that was logged")
	}
	return err
}

// sourceColours tell services apart, for whoever sees them.
func sourceColours() []colour { return []colour{"36", "35", "34", "32", "96", "95", "94", "92"} }

var levelColours = map[vpn.LogLevel]colour{vpn.LogDebug: grey, vpn.LogWarn: yellow, vpn.LogError: red}

// A painter gives each of a project's services a colour of its own, as far as
// there are enough.
type painter struct {
	out      *printer
	services []string
}

// line is a line of a log with colours, where they may be used. Without them
// it is what [logLine] makes of it.
func (p painter) line(l vpn.LogLine) string {
	text := logLine(l).text
	colours := sourceColours()
	source := colours[max(0, slices.Index(p.services, l.Source))%len(colours)]
	text = strings.Replace(text, "  "+l.Source, "  "+p.out.paintOut(source, l.Source), 1)
	level := strings.ToUpper(string(l.Level))
	return strings.Replace(text, level, p.out.paintOut(levelColours[l.Level], level), 1)
}
