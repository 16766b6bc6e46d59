package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func logsCommand(p *program) *cobra.Command {
	var (
		q     = vpn.LogQuery{Tail: 100}
		level string
		own   bool
	)
	cmd := &cobra.Command{
		Use: "logs", Aliases: []string{"log"}, Short: "Show what the daemon and all servers log", Args: exactly(),
		Long: `Show what the daemon and the workers of all servers log, merged by time; times
are UTC. The lines of one server as its worker wrote them: vpn server logs NAME`,
		Example: `  vpn logs -f
  vpn logs --level warn --since 1h
  vpn logs --server main --tail 20
  vpn logs -f --tail 0 -o json               a line of JSON for each`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validTail(q.Tail, vpn.MostLogLines); err != nil {
				return err
			}
			if own && q.Server != "" {
				return vpn.Errorf(vpn.Invalid, "--daemon and --server exclude each other").WithHint("leave one of them out")
			}
			if own {
				q.Server = vpn.ControlPlane
			}
			q.Level = vpn.LogLevel(level)
			read := func(c *connection) error { return showLogs(cmd.Context(), p, c, q) }
			if q.Follow {
				read = asStream(cmd.Context(), p, read)
			}
			return p.use(cmd.Context(), ofStore, read)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&q.Follow, "follow", "f", false, "go on with what is logged from now on")
	fs.IntVar(&q.Tail, "tail", q.Tail, "begin with the last `N` lines")
	fs.Var(&choice{to: &level, what: "level", of: levelNames(), kind: "LEVEL"}, "level", "only what weighs as much at least: debug, info, warn or error")
	fs.StringVar(&q.Server, "server", "", "only of the server `NAME`")
	fs.BoolVar(&own, "daemon", false, "only the daemon's own")
	fs.Var(sinceValue(&q.Since, p.Now), "since", "not older: 10m, 24h, 2026-01-31")
	return answers[[]vpn.LogLine](p, cmd)
}

func levelNames() []string {
	return namesOf(vpn.LogLevels(), func(l vpn.LogLevel) string { return string(l) })
}

func showLogs(ctx context.Context, p *program, c *connection, q vpn.LogQuery) error {
	lines, err := c.System.Logs(ctx, q)
	if err != nil {
		return err
	}
	defer lines.Close()
	out := p.printer()
	if q.Follow {
		// Open logs need no control plane. In this process that has to go, or no
		// daemon could start while somebody looks on.
		if err := c.close(); err != nil {
			return err
		}
		return eachLine(out, lines, logLine)
	}
	list, err := collect(lines)
	if err != nil {
		return err
	}
	a := answer{data: list, plain: &table{}}
	for _, l := range list {
		words := logLine(l)
		a.names, a.quiet, a.lines = append(a.names, words.name), append(a.quiet, words.text), append(a.lines, words.text)
		a.plain.rows = append(a.plain.rows, words.plain)
	}
	if len(list) == 0 {
		a.next = []string{"nothing like that was logged"}
	}
	return out.show(a)
}

// collect reads a stream to its end.
func collect[T any](from *client.Stream[T]) ([]T, error) {
	out := []T{}
	for {
		x, err := from.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(out) >= vpn.MostLogLines {
			return nil, vpn.Errorf(vpn.Unavailable, "the daemon sends more than it was asked for, and does not stop")
		}
		out = append(out, x)
	}
}

// logLine is a line of a log as people read it, with its fields behind it.
func logLine(l vpn.LogLine) line {
	var fields strings.Builder
	for _, key := range slices.Sorted(maps.Keys(l.Fields)) {
		value := l.Fields[key]
		if value == "" || strings.ContainsAny(value, ` "=`) {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&fields, " %s=%s", key, value)
	}
	at := l.At.UTC().Format("2006-01-02 15:04:05.000")
	return line{
		text: printable(fmt.Sprintf("%s  %-5s  %-13s  %s%s", at, strings.ToUpper(string(l.Level)), l.Source, l.Message, fields.String())),
		name: strings.ReplaceAll(l.Source, " ", "-"),
		plain: []cell{
			{raw: l.At.UTC().Format(time.RFC3339Nano)}, {raw: string(l.Level)}, {raw: l.Source}, {raw: l.Message}, {raw: strings.TrimSpace(fields.String())},
		},
	}
}
