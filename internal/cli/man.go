package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/config"
)

// manCommand is what packages are made with: a page for each command.
func manCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Hidden: true, Short: "Write the man pages into a directory", Args: exactly("DIR"),
		Example: `  vpn man /usr/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fileProblem("make", args[0], err)
			}
			return writePages(cmd.Root(), args[0], buildInfo())
		},
	}
}

// writePages writes the page of cmd and of all that it holds.
func writePages(cmd *cobra.Command, dir string, v versionInfo) error {
	path := filepath.Join(dir, pageOf(cmd)+".1")
	if err := os.WriteFile(path, []byte(manPage(cmd, v)), 0o644); err != nil { //nolint:gosec // a manual is for everybody
		return fileProblem("write", path, err)
	}
	for _, c := range pagesBelow(cmd) {
		if err := writePages(c, dir, v); err != nil {
			return err
		}
	}
	return nil
}

func pagesBelow(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

// pageOf returns the name of a command's page: vpn-users-create.
func pageOf(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage returns the page of a command, in the language of man(7). It is the
// command's help, which is written once.
func manPage(cmd *cobra.Command, v versionInfo) string {
	m := &page{}
	date, _, _ := strings.Cut(v.Date, "T")
	m.macro("TH", strings.ToUpper(pageOf(cmd)), "1", date, "vpn "+v.Version, "vpn")
	m.macro("SH", "NAME")
	m.line(roff(pageOf(cmd)) + ` \- ` + roff(cmd.Short))
	m.macro("SH", "SYNOPSIS")
	usage := strings.TrimSpace(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath()))
	if cmd.HasAvailableSubCommands() {
		usage = "COMMAND"
	}
	m.line(bold(cmd.CommandPath()) + " " + roff(usage))
	m.macro("SH", "DESCRIPTION")
	if cmd.Long != "" {
		m.text(cmd.Long)
	} else {
		m.text(cmd.Short + ".")
	}
	if cmd.Example != "" {
		m.macro("SH", "EXAMPLES")
		m.verbatim(strings.Split(cmd.Example, "\n"))
	}
	if list := pagesBelow(cmd); len(list) > 0 {
		m.macro("SH", "COMMANDS")
		for _, c := range list {
			m.macro("TP")
			m.line(reference(c))
			m.line(roff(c.Short))
		}
	}
	own, global := cmd.LocalFlags(), cmd.InheritedFlags()
	global.SortFlags = false
	if !cmd.HasParent() {
		own, global = &pflag.FlagSet{}, own
	}
	m.flags("OPTIONS", own)
	m.flags("GLOBAL OPTIONS", global)
	m.about(cmd)
	return m.String()
}

// about adds what a person looks for at the end.
func (m *page) about(cmd *cobra.Command) {
	if !cmd.HasParent() {
		m.macro("SH", "EXIT STATUS")
		for _, s := range [][2]string{
			{"0", "done"},
			{"1", "failed: a bug, or a broken machine"},
			{"2", "what was asked for cannot be"},
			{"3", "there is no such thing"},
			{"4", "not allowed"},
			{"5", "it exists already, or something else is in its place"},
			{"6", "the daemon, a server or the disk cannot do it now"},
			{"7", "stored, but not every server follows yet"},
			{"130", "interrupted"},
		} {
			m.macro("TP")
			m.line(bold(s[0]))
			m.line(roff(s[1]))
		}
		m.macro("SH", "ENVIRONMENT")
		m.text("Every global option may be given as a variable: VPN_DATA_DIR, VPN_CONFIG, VPN_OUTPUT and so on. NO_COLOR turns colours off.")
		m.macro("SH", "FILES")
		m.macro("TP")
		m.line(italic(config.SystemFile))
		m.line(roff("the configuration of the system's installation; see ") + `\fBvpn\-config\fR(1)`)
		m.macro("TP")
		m.line(italic(config.SystemDataDir))
		m.line("its data")
	}
	var see []string
	if cmd.HasParent() {
		see = append(see, reference(cmd.Parent()))
	}
	for _, c := range pagesBelow(cmd) {
		see = append(see, reference(c))
	}
	if len(see) > 0 {
		m.macro("SH", "SEE ALSO")
		m.line(strings.Join(see, ",\n"))
	}
}

// page is a man page that is being written.
type page struct{ strings.Builder }

func (m *page) line(s string) { m.WriteString(s + "\n") }

// macro writes a request with its arguments.
func (m *page) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, a := range args {
		m.WriteString(` "` + strings.ReplaceAll(roff(a), `"`, `\(dq`) + `"`)
	}
	m.WriteString("\n")
}

// text writes paragraphs; lines that are indented stay as they are.
func (m *page) text(s string) {
	var as []string // the indented lines so far
	flush := func() {
		if len(as) > 0 {
			m.verbatim(as)
			as = nil
		}
	}
	for line := range strings.SplitSeq(s, "\n") {
		switch {
		case strings.HasPrefix(line, "  "):
			as = append(as, line)
		case line == "":
			flush()
			m.macro("PP")
		default:
			flush()
			m.line(roff(line))
		}
	}
	flush()
}

func (m *page) verbatim(lines []string) {
	m.macro("PP")
	m.line(".nf")
	for _, l := range lines {
		m.line(roff(l))
	}
	m.line(".fi")
}

func (m *page) flags(title string, fs *pflag.FlagSet) {
	first := true
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if first {
			m.macro("SH", title)
			first = false
		}
		m.macro("TP")
		kind, help := pflag.UnquoteUsage(f)
		name := bold("--" + f.Name)
		if f.Shorthand != "" {
			name = bold("-"+f.Shorthand) + ", " + name
		}
		if kind != "" {
			name += " " + italic(kind)
		}
		m.line(name)
		m.line(roff(help))
	})
}

func bold(s string) string   { return `\fB` + roff(s) + `\fR` }
func italic(s string) string { return `\fI` + roff(s) + `\fR` }

func reference(cmd *cobra.Command) string { return bold(pageOf(cmd)) + "(1)" }

// roff writes text so that it is taken for nothing else: a dot or a quote at
// the beginning of a line is a request to roff, and a hyphen no minus.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
