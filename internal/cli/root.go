package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/remote"
	"vpn/internal/vpn"
)

// globalFlags are the flags that every command has.
type globalFlags struct {
	dataDir, configFile string
	socket              string
	output              string
	fields              string // --json
	dryRun              bool   // of the commands that change something
	supervised          bool   // of serve
	yes, noInput        bool
	quiet, verbose      bool
	showVersion         bool
}

// environment names the variables of global flags. Package config reads those
// of --data-dir and --config.
var environment = map[string]string{
	"socket":   "VPN_SOCKET",
	"output":   "VPN_OUTPUT",
	"yes":      "VPN_YES",
	"no-input": "VPN_NO_INPUT",
	"quiet":    "VPN_QUIET",
	"verbose":  "VPN_VERBOSE",
}

// commandsFor builds what args need of the tree. What stays (see [program.stay])
// stands in it alone: a worker that builds all others first remains larger for it.
func commandsFor(p *program, args []string) *cobra.Command {
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	switch first {
	case "serve":
		return treeOf(p, ofThisMachine(serveCommand(p)))
	case "worker":
		return treeOf(p, workerCommand(p))
	case remote.Command: // one stays for each screen that somebody looks at from elsewhere
		return treeOf(p, dialStdioCommand(p))
	}
	return rootCommand(p)
}

// rootCommand builds the whole tree. It is cheap, and no two runs share it.
func rootCommand(p *program) *cobra.Command {
	return treeOf(p,
		upCommand(p), ofThisMachine(serveCommand(p)), statusCommand(p),
		usersCommand(p), serverCommand(p), proxyCommand(p), monitorCommand(p), logsCommand(p), tuiCommand(p), ofThisMachine(configCommand(p)),
		onLinux(serviceCommand(p)), onLinux(composeCommand(p)), reloadCommand(p), ofThisMachine(imageCommand(p)), onLinux(upgradeCommand(p)), onLinux(uninstallCommand(p)),
		completionsCommand(p), versionCommand(p), manCommand(p), workerCommand(p), containerCommand(p), dialStdioCommand(p),
	)
}

// treeOf is the program with these commands.
func treeOf(p *program, commands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "vpn",
		Short: "Run VPN servers and manage their users",
		Example: `  vpn up                                     a server, a user and a QR code, at once
  vpn users create alice --quota 50GB        one more user
  vpn status                                 what goes on`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			outputGiven := cmd.Flags().Changed("output")
			if err := p.global.hold(cmd.Flags()); err != nil {
				return err
			}
			if err := readEnvironment(cmd.Flags(), p.Getenv); err != nil {
				return err
			}
			if err := mayNameSocket(p, cmd); err != nil {
				return err
			}
			if err := mayBeHere(cmd); err != nil {
				return err
			}
			if err := chooseForm(p, cmd, args, outputGiven); err != nil {
				return err
			}
			p.busy = newProgress(p)
			return nil
		},
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.global.showVersion {
				return printVersion(p.printer())
			}
			if opensTUI(p) {
				return runTUI(cmd.Context(), p, tuiFlags{})
			}
			return cmd.Help()
		},
	}
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetIn(p.In)
	root.SetHelpFunc(help)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(p, cmd, err) })
	root.Flags().BoolVar(&p.global.showVersion, "version", false, "print the version")
	p.global.add(root.PersistentFlags())
	root.AddCommand(commands...)
	root.SetHelpCommand(helpCommand())
	keepFlagOrder(root)
	return root
}

// keepFlagOrder makes help list flags as they were added: what matters first.
func keepFlagOrder(cmd *cobra.Command) {
	cmd.Flags().SortFlags, cmd.PersistentFlags().SortFlags = false, false
	for _, c := range cmd.Commands() {
		keepFlagOrder(c)
	}
}

func (g *globalFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&g.dataDir, "data-dir", "", "`DIR` that holds the installation")
	fs.StringVar(&g.configFile, "config", "", "configuration `FILE`")
	fs.StringVar(&g.socket, "socket", "", "ask the daemon at the socket `PATH`, or that of another machine: ssh://[USER@]HOST")
	fs.VarP(&choice{to: &g.output, what: "format", of: formats()}, "output", "o", "table, wide, json, yaml, name or plain (tab separated, for programs)")
	fs.StringVar(&g.fields, "json", "", "print JSON of these `FIELDS` only: name,limits.quota; a wrong one lists them all")
	fs.BoolVarP(&g.yes, "yes", "y", false, "answer every question with yes")
	fs.BoolVar(&g.noInput, "no-input", false, "ask nothing; fail instead")
	fs.BoolVarP(&g.quiet, "quiet", "q", false, "print names and links only")
	fs.BoolVarP(&g.verbose, "verbose", "v", false, "log everything to standard error")
	fs.BoolP("help", "h", false, "explain the command")
}

// hold refuses a place or a name that is given and empty, as by a script in
// which a variable is not set: it would mean the usual installation, unasked.
func (g *globalFlags) hold(fs *pflag.FlagSet) error {
	for _, name := range []string{"data-dir", "config", "socket"} {
		if f := fs.Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return vpn.Errorf(vpn.Invalid, "--%s is empty", name).
				WithHint("is a variable in it not set? for the usual one leave --%s out", name)
		}
	}
	// Empty, the name of one would mean all.
	var err error
	fs.Visit(func(f *pflag.Flag) {
		if kind, _ := pflag.UnquoteUsage(f); err == nil && kind == "NAME" && f.Value.String() == "" {
			err = vpn.Errorf(vpn.Invalid, "--%s is empty", f.Name).WithHint("is a variable in it not set? it takes a name")
		}
	})
	return err
}

// readEnvironment sets the global flags that were not given from VPN_*.
func readEnvironment(fs *pflag.FlagSet, getenv func(string) string) error {
	for name, variable := range environment {
		text := getenv(variable)
		if text == "" || fs.Changed(name) {
			continue
		}
		if err := fs.Set(name, text); err != nil {
			return vpn.Errorf(vpn.Invalid, "%s=%s is not valid", variable, strconv.Quote(text)).
				WithHint("it stands for --%s, which is %s", name, fs.Lookup(name).Usage)
		}
	}
	return nil
}

// group returns a command that only holds others.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "help" {
				return nil
			}
			return onlyCommands(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return explain(cmd, args[1:]) // "vpn users help create"
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// exactly wants one argument for each name: NAME, or [NAME] if it may be
// left out.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return vpn.Errorf(vpn.Invalid, "%q is one argument too many", args[len(names)]).WithHint("%s", usage(cmd))
		}
		if left := names[len(args):]; len(left) > 0 && !strings.HasPrefix(left[0], "[") {
			return missing(cmd, left[0])
		}
		return nil
	}
}

// missing says which argument is, and shows one in its place.
func missing(cmd *cobra.Command, name string) error {
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	example, _, _ = strings.Cut(example, "   ") // what it does
	hint := usage(cmd)
	if example != "" {
		hint += "; as in: " + example
	}
	return vpn.Errorf(vpn.Invalid, "%s is missing", name).WithHint("%s", hint)
}

func usage(cmd *cobra.Command) string { return "usage: " + cmd.UseLine() }

// flagError says what is wrong with a flag, and which one may be meant.
func flagError(p *program, cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return unknownFlag(cmd, e)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		name := "--" + e.GetFlag().Name
		if cause, ok := errors.AsType[*vpn.Error](e); ok {
			return vpn.Errorf(vpn.Invalid, "%s: %w", name, cause).WithHint("%s", cause.Hint)
		}
		return vpn.Errorf(vpn.Invalid, "%s cannot be %q", name, e.GetValue()).WithHint("%s", usage(cmd))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		name := "--" + e.GetFlag().Name
		if name == "--json" {
			return whichFields(p, cmd)
		}
		return vpn.Errorf(vpn.Invalid, "%s needs a value", name).WithHint("%s", usage(cmd))
	}
	return vpn.Errorf(vpn.Invalid, "%s", err.Error()).WithHint("%s", usage(cmd))
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	if shorts := e.GetSpecifiedShortnames(); shorts != "" {
		return vpn.Errorf(vpn.Invalid, "unknown flag -%s", e.GetSpecifiedName()).WithHint("%s", usage(cmd))
	}
	var known []string
	add := func(f *pflag.Flag) { known = append(known, f.Name) }
	cmd.LocalFlags().VisitAll(add) // of two that are equally near, the command's own
	cmd.InheritedFlags().VisitAll(add)
	name := e.GetSpecifiedName()
	err := vpn.Errorf(vpn.Invalid, "unknown flag %q", "--"+name)
	if here := flagHabits[name]; slices.Contains(known, here) {
		return err.WithHint("did you mean --%s?", here)
	}
	if near, ok := vpn.Nearest(name, known); ok {
		return err.WithHint("did you mean --%s?", near)
	}
	return err.WithHint("there is: --%s", strings.Join(known, ", --"))
}
