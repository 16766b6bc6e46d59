package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/vpn"
)

func monitorCommand(p *program) *cobra.Command {
	return group("monitor", "See what is and was moved, by whom", `  vpn monitor traffic --since 7d --by user
  vpn monitor connections
  vpn monitor top`,
		monitorTraffic(p), monitorConnections(p), monitorTop(p), monitorRates(p), monitorEvents(p), monitorHost(p),
	)
}

// Flags of what a monitor looks at.

func sinceValue(to *time.Time, now func() time.Time) *value[time.Time] {
	parse := func(s string) (time.Time, error) { return vpn.ParseSince(s, now()) }
	return &value[time.Time]{to: to, parse: parse, kind: "WHEN"}
}

func stepValue(to *time.Duration) *value[time.Duration] {
	return &value[time.Duration]{to: to, parse: vpn.ParseStep, kind: "TIME"}
}

// byFlag says whose traffic is told apart.
func byFlag(fs *pflag.FlagSet, to *string, usage string) {
	fs.Var(&choice{to: to, what: "grouping", of: []string{string(vpn.ByUser), string(vpn.ByServer), string(vpn.ByProtocol)}, kind: "WHAT"}, "by", usage)
}

// trafficCells are the last columns of a line about traffic.
func trafficCells(t vpn.Traffic) []any {
	return []any{sizeCell(t.Up), sizeCell(t.Down), usedCell(t)}
}
