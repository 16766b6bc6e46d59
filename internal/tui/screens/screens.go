// Package screens makes the screens of the terminal UI, and gives each what it
// works with: it is the one place that knows them all, and nothing else.
package screens

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/client"
	"vpn/internal/probe"
	"vpn/internal/protocol"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/dashboard"
	"vpn/internal/tui/page/logs"
	"vpn/internal/tui/page/monitor"
	"vpn/internal/tui/page/servers"
	"vpn/internal/tui/page/settings"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/preference"
	"vpn/internal/vpn"
)

// Place is what the screens work with.
type Place struct {
	Client    *client.Client
	Protocols []protocol.Protocol               // the recommended one first
	File      string                            // of the preferences
	Read      func(path string) (string, error) // what is in a file of the person's own

	After func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd // nil: [tea.Tick]
}

// Of returns what makes the screens, in the order of their tabs.
func Of(p Place) func(page.Frame) []page.Page {
	if p.After == nil {
		p.After = tea.Tick
	}
	return func(f page.Frame) []page.Page {
		c, dry := p.Client, p.Client.DryRun()
		return []page.Page{
			dashboard.New(f),
			users.New(f, users.API{Users: c.Users, Devices: c.Devices, Usage: c.Usage}, users.Options{After: p.After}),
			servers.New(f, servers.Options{API: c.Servers, Dry: dry.Servers, Protocols: p.Protocols, Read: p.Read, Tester: tester(p.Protocols)}),
			monitor.New(f, c.Usage, c.Users, p.After),
			logs.New(f, logsOf{c.System}, p.After),
			settings.New(f, configOf{c.Config, c.System}, configOf{dry.Config, dry.System}, &preferences{file: p.File}, appearance{f}),
		}
	}
}

// tester tries whether servers of these protocols are reached from here.
type tester []protocol.Protocol

func (t tester) Test(ctx context.Context, s vpn.ServerInfo) (string, error) {
	i := slices.IndexFunc(t, func(p protocol.Protocol) bool { return p.Name() == s.Protocol })
	if i < 0 {
		return "", vpn.Errorf(vpn.Invalid, "it is not known how %s is reached", s.Protocol)
	}
	r, err := probe.Server(ctx, s, t[i].Networks())
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// logsOf is the logs of a control plane as the page asks for them.
type logsOf struct{ *client.System }

func (l logsOf) Logs(ctx context.Context, q vpn.LogQuery) (logs.Stream, error) {
	s, err := l.System.Logs(ctx, q)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// configOf is the configuration of a daemon as the page asks for it.
type configOf struct {
	config *client.Config
	system *client.System
}

func (c configOf) Configuration(ctx context.Context) (vpn.Configuration, error) {
	return c.config.Show(ctx)
}

func (c configOf) Configure(ctx context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	return c.config.Update(ctx, p)
}

func (c configOf) Reload(ctx context.Context) (vpn.Reload, error) { return c.system.Reload(ctx) }

// preferences keeps the look in a person's file, beside what else is in it.
type preferences struct{ file string }

func (p *preferences) File() string { return p.file }

func (p *preferences) Load() (settings.Look, error) {
	l := settings.Standard()
	kept, err := preference.Load(p.file)
	if err != nil {
		return l, err
	}
	if kept.Theme != "" {
		l.Theme = kept.Theme
	}
	if kept.Mouse != nil {
		l.Mouse = *kept.Mouse
	}
	if kept.Refresh != 0 {
		l.Refresh = kept.Refresh
	}
	if kept.Glyphs != "" {
		l.Glyphs = kept.Glyphs
	}
	return l, nil
}

func (p *preferences) Save(l settings.Look) error {
	kept, err := preference.Load(p.file)
	if err != nil {
		return err
	}
	kept.Theme, kept.Mouse, kept.Refresh, kept.Glyphs = l.Theme, &l.Mouse, l.Refresh, l.Glyphs
	return preference.Save(p.file, kept)
}

// appearance is how the UI looks now.
type appearance struct{ frame page.Frame }

func (a appearance) Look() settings.Look { return settings.Look(a.frame.Look()) }

func (a appearance) Apply(l settings.Look) { a.frame.Apply(page.Look(l)) }
