package cli

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/protocol/all"
	"vpn/internal/remote"
	"vpn/internal/service"
	"vpn/internal/tui"
	"vpn/internal/tui/key"
	tuipage "vpn/internal/tui/page"
	"vpn/internal/tui/preference"
	"vpn/internal/tui/screens"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

func tuiCommand(p *program) *cobra.Command {
	var look tuiFlags
	cmd := &cobra.Command{
		Use: "tui", Short: "Manage everything on the screen", Args: exactly(),
		Long: `Open the terminal UI: what goes on, users, servers, traffic, connections, logs
and settings, live. All that it does, a command does too, and it shows which.
Without a command "vpn" opens it, on a terminal.

? lists the keys of a screen, : finds an action, a user or a server by some
letters, and q quits. What it looks like is kept in ~/.config/vpn/tui.yaml.`,
		Example: `  vpn tui
  vpn tui --theme high-contrast
  vpn tui --socket ssh://root@HOST           of another machine`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTUI(cmd.Context(), p, look) },
	}
	look.add(cmd)
	return cmd
}

// tuiFlags overrule the preferences for once.
type tuiFlags struct {
	theme, glyphs string
	noMouse       bool
	refresh       time.Duration
}

func (f *tuiFlags) add(cmd *cobra.Command) {
	names := make([]string, 0, len(theme.Names()))
	for _, n := range theme.Names() {
		names = append(names, string(n))
	}
	cmd.Flags().Var(&choice{to: &f.theme, what: "theme", of: names}, "theme", "auto (as the terminal says), dark, light, high-contrast or ansi16; also VPN_THEME")
	cmd.Flags().Var(&choice{to: &f.glyphs, what: "set of signs", of: preference.Glyphs()}, "glyphs", "auto (what the terminal can show), unicode, blocks (charts without braille) or ascii")
	cmd.Flags().BoolVar(&f.noMouse, "no-mouse", false, "leave the mouse to the terminal, which selects text with it")
	cmd.Flags().DurationVar(&f.refresh, "refresh", 0, "look so often what goes on (default 1s)")
}

// prefer puts what was given into the preferences.
func (f tuiFlags) prefer(p preference.Preferences, getenv func(string) string) (preference.Preferences, error) {
	p.Theme = theme.Name(cmp.Or(f.theme, string(p.Theme), getenv("VPN_THEME"), string(theme.Auto)))
	p.Glyphs = cmp.Or(f.glyphs, p.Glyphs)
	p.Refresh = cmp.Or(f.refresh, p.Refresh)
	if f.noMouse {
		off := false
		p.Mouse = &off
	}
	return p, p.Check()
}

// opensTUI reports whether "vpn" alone is somebody at a terminal who wants to
// see something.
func opensTUI(p *program) bool {
	return p.InTerminal && p.OutTerminal && p.Getenv("TERM") != "dumb" && p.Getenv("CI") == "" && !p.global.noInput
}

func runTUI(ctx context.Context, p *program, look tuiFlags) error {
	if !p.InTerminal || !p.OutTerminal {
		return vpn.Errorf(vpn.Invalid, "the terminal UI needs a terminal").WithHint("for programs there is: vpn status -o json")
	}
	if p.Getenv("TERM") == "dumb" {
		return vpn.Errorf(vpn.Invalid, "this terminal cannot show the terminal UI: TERM is dumb").WithHint("see: vpn status")
	}
	file := preference.File(p.Getenv)
	prefers, err := preference.Load(file)
	if err != nil {
		return err
	}
	prefers, err = look.prefer(prefers, p.Getenv)
	if err != nil {
		return err
	}
	keys, err := key.New(prefers.Keys)
	if err != nil {
		return err
	}
	// It is open for hours: a few more rounds of clearing up cost less than what
	// 10,000 users leave behind each time that they are read.
	debug.SetGCPercent(50)
	// One thing at a time is enough for a screen: to wake a second processor for
	// each part of what a tick asks for, and let it look for more, takes longer
	// than the parts.
	runtime.GOMAXPROCS(1)
	c, start, err := lasting(ctx, p)
	if err != nil {
		return err
	}
	a := tui.New(tui.Options{
		Source: tui.SourceOf(c), Watch: tui.WatchOf(c), Keys: keys, Start: start, Now: p.Now,
		Pages: screens.Of(screens.Place{Client: c, Protocols: all.Protocols().All(), File: file, Read: fileText}),
		Look:  tuipage.Look{Theme: prefers.Theme, Mouse: prefers.Mouse == nil || *prefers.Mouse, Refresh: prefers.Refresh, Glyphs: cmp.Or(prefers.Glyphs, "auto")},
		Dark:  tui.DarkFor(p.Getenv), Glyphs: func(name string) theme.Glyphs { return tui.GlyphsFor(name, p.Getenv) },
	})
	return tui.Run(ctx, a, tui.Terminal{In: p.In, Out: p.Out, Getenv: p.Getenv, Env: os.Environ()})
}

// lasting returns a client that finds the daemon again whenever it comes, and
// what starts one here; nil: it runs elsewhere.
func lasting(ctx context.Context, p *program) (*client.Client, func(context.Context) error, error) {
	switch at := p.global.socket; {
	case remote.Is(at): // before the screen is taken: ssh may ask something
		c, err := namedClient(ctx, p)
		p.busy.end()
		return c, nil, err
	case at != "":
		return client.Unix(at), nil, nil
	}
	if err := servesHere(); err != nil {
		return nil, nil, err
	}
	cfg, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	return client.Found(func() (string, error) { return findSocket(cfg.DataDir) }),
		func(ctx context.Context) error { return startDaemon(ctx, p, cfg) }, nil
}

// startDaemon starts the service if one is installed for the data directory,
// else a daemon in the background.
func startDaemon(ctx context.Context, p *program, cfg config.Config) error {
	answers := func(ctx context.Context) bool {
		_, err := p.running(ctx, cfg)
		return err == nil
	}
	if s, err := service.Detect(); err == nil {
		if st, err := s.Status(ctx); err == nil && st.State != service.NotInstalled && st.DataDir == cfg.DataDir {
			return s.Start(ctx)
		}
	}
	args := []string{"serve", "--data-dir", cfg.DataDir}
	if p.global.configFile != "" {
		args = append(args, "--config", p.global.configFile)
	}
	return daemon.Spawn(ctx, startedFrom(), args, cfg.DataDir, answers)
}
