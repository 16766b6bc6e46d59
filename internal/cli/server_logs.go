package cli

import (
	"context"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

func serverLogs(p *program) *cobra.Command {
	var (
		follow bool
		tail   int
		since  time.Time
	)
	cmd := &cobra.Command{
		Use: "logs NAME", Aliases: []string{"log"}, Short: "Print what a server's worker logs",
		Example: `  vpn server logs main
  vpn server logs main -f --tail 10
  vpn server logs main --since 1h`,
		Annotations: map[string]string{"data": "vpn logs --server NAME -o json has a line of JSON for each"},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	cmd.Flags().IntVar(&tail, "tail", 100, "begin with the last `N` lines; with --since all, unless it is given")
	cmd.Flags().Var(sinceValue(&since, p.Now), "since", "not older: 10m, 24h, 2026-01-31")
	return onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		if err := validTail(tail, vpn.MostServerLogLines); err != nil {
			return err
		}
		if !since.IsZero() && !cmd.Flags().Changed("tail") {
			tail = vpn.MostServerLogLines
		}
		return p.use(cmd.Context(), ofStore, func(c *connection) error {
			return copyLogs(cmd.Context(), p, c, name, follow, tail, since)
		})
	})
}

func copyLogs(ctx context.Context, p *program, c *connection, name string, follow bool, tail int, since time.Time) error {
	logs, err := c.Servers.Logs(ctx, name, follow, tail, since)
	if err != nil {
		return err
	}
	defer logs.Close()
	p.busy.end()
	// An open log needs no control plane. In this process that has to go, or
	// no daemon could start while somebody looks on.
	if err := c.close(); err != nil {
		return err
	}
	out := p.Out
	if p.OutTerminal {
		out = harmless{out}
	}
	_, err = io.Copy(out, logs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return written(err)
}

// harmless keeps foreign text from steering the terminal that it is written to.
type harmless struct{ io.Writer }

func (h harmless) Write(b []byte) (int, error) {
	clean := make([]byte, 0, len(b))
	for _, c := range b {
		switch {
		case c == '\n' || c == '\t' || c >= ' ' && c != 0x7f && c < utf8.RuneSelf, c >= 0xa0:
			clean = append(clean, c)
		default: // an escape, or part of a rune that could be one (C1)
			clean = append(clean, '?')
		}
	}
	if _, err := h.Writer.Write(clean); err != nil {
		return 0, err
	}
	return len(b), nil
}
