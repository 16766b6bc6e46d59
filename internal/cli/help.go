package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// help prints a command's help: what it does, examples, then the rest.
func help(cmd *cobra.Command, _ []string) {
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n", text)
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, "\nUsage:\n  %s\n", line)
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso called: %s\n", strings.Join(cmd.Aliases, ", "))
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s  %s\n", cmd.Commands()[0].NamePadding(), c.Name(), c.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() && cmd.HasParent() {
		fmt.Fprintf(&b, "\nFlags:\n%s", cmd.LocalFlags().FlagUsages())
	}
	global := cmd.InheritedFlags()
	global.SortFlags = false
	if !cmd.HasParent() {
		global = cmd.LocalFlags()
	}
	fmt.Fprintf(&b, "\nGlobal flags, also as VPN_DATA_DIR, VPN_CONFIG, VPN_OUTPUT and so on:\n%s", global.FlagUsages())
	_, _ = fmt.Fprint(cmd.OutOrStdout(), b.String())
}

// helpCommand is "vpn help users create".
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command",
		Example: `  vpn help
  vpn help users create`,
		RunE: func(cmd *cobra.Command, args []string) error { return explain(cmd.Root(), args) },
	}
}

// explain prints the help of the command below from to which path leads.
func explain(from *cobra.Command, path []string) error {
	about, rest, err := from.Find(path)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return onlyCommands(about, rest)
	}
	return about.Help()
}
