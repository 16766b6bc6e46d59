package servers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// patience is how long an answer is waited for.
const patience = 20 * time.Second

// deeds is what can be done with servers.
type deeds struct {
	frame page.Frame
	o     Options
	list  *list
	tests map[vpn.ServerID]tested
}

// tested is what a test has found.
type tested struct {
	text string
	err  bool
	at   time.Time
}

type testedMsg struct {
	server vpn.ServerInfo
	text   string
	err    error
}

// do does an action on the chosen servers.
func (d *deeds) do(action string) (tea.Cmd, bool) {
	if action == "server.create" {
		d.create()
		return nil, true
	}
	s, ok := d.list.current()
	if !ok {
		return nil, false
	}
	switch action {
	case "server.update":
		d.edit(s)
	case "server.toggle":
		return d.toggle(d.list.chosen()), true
	case "server.restart":
		return d.restart(d.list.chosen()), true
	case "server.test":
		return d.test(s), true
	case "server.logs":
		return d.frame.Go(key.Logs, "server:"+s.Name), true
	case "server.monitor":
		return d.frame.Go(key.Monitor, "server:"+s.Name), true
	case "server.delete":
		d.remove(s)
	default:
		return nil, false
	}
	return nil, true
}

// toggle stops those that are to run, after a question, or starts the others.
func (d *deeds) toggle(servers []vpn.ServerInfo) tea.Cmd {
	var on []vpn.ServerInfo
	for _, s := range servers {
		if s.Enabled {
			on = append(on, s)
		}
	}
	if len(on) == 0 {
		return d.frame.Change(d.start(servers))
	}
	online := connections(on)
	lines := []string{"Nobody can connect until it is started again."}
	if len(on) > 1 {
		lines = []string{"Nobody can connect to them until they are started again."}
	}
	if online > 0 {
		lines = append([]string{"It ends " + many(online, "connection") + "."}, lines...)
	}
	c := d.stop(on)
	d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
		Title: "Stop " + called(on) + "?", Lines: lines, Yes: "Stop", Danger: true, Twin: c.Twin,
		Do: func() tea.Cmd { return d.frame.Change(c) },
	}))
	return nil
}

func (d *deeds) start(servers []vpn.ServerInfo) page.Change {
	c := d.each(servers, "start", "runs", d.o.API.Start)
	c.Undo = d.each(servers, "stop", "is stopped", d.o.API.Stop).Do
	return c
}

func (d *deeds) stop(servers []vpn.ServerInfo) page.Change {
	c := d.each(servers, "stop", "is stopped", d.o.API.Stop)
	c.Undo = d.each(servers, "start", "runs", d.o.API.Start).Do
	return c
}

func (d *deeds) restart(servers []vpn.ServerInfo) tea.Cmd {
	c := d.each(servers, "restart", "was started anew", d.o.API.Restart)
	lines := []string{"Nobody is connected."}
	if online := connections(servers); online > 0 {
		lines = []string{"It ends " + many(online, "connection") + "; clients connect again by themselves."}
	}
	d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
		Title: "Restart " + called(servers) + "?", Lines: lines, Yes: "Restart", Danger: true, Twin: c.Twin,
		Do: func() tea.Cmd { return d.frame.Change(c) },
	}))
	return nil
}

// each is a change of servers one after the other. It goes on after a fault,
// so that one server does not keep others from it.
func (d *deeds) each(servers []vpn.ServerInfo, verb, past string, do func(context.Context, string) (vpn.ServerChange, error)) page.Change {
	twins := make([]string, 0, len(servers))
	for _, s := range servers {
		twins = append(twins, "vpn server "+verb+" "+s.Name)
	}
	return page.Change{
		Twin:    strings.Join(twins, "; "),
		Affects: feed.Status | feed.Sessions,
		Do: func(ctx context.Context) (string, error) {
			var done []string
			var first error
			for _, s := range servers {
				c, err := do(ctx, s.Name)
				if err == nil {
					err = trouble(c)
				}
				switch {
				case err != nil && first == nil:
					first = err
				case err == nil:
					done = append(done, said(c, s.Name+" "+past))
				}
			}
			if first != nil && len(done) > 0 {
				e := vpn.Errorf(vpn.KindOf(first), "%w; but %s", first, strings.Join(done, ", "))
				e.Hint = vpn.HintOf(first)
				return "", e
			}
			return strings.Join(done, ", "), first
		},
	}
}

// trouble is why a server that was started does not run, if it does not.
func trouble(c vpn.ServerChange) error {
	if c.Server.State != vpn.Failed {
		return nil
	}
	return vpn.Errorf(vpn.Unavailable, "%s is to run, and does not yet: %s", c.Server.Name, c.Server.Problem).
		WithHint("its log says more; it is tried again and again")
}

// said adds to what was done what there is to know about it.
func said(c vpn.ServerChange, text string) string {
	if c.Server.State == vpn.Stopped && c.Server.Enabled {
		text = c.Server.Name + " is to run, and will as soon as there is a daemon"
	} else if !c.Synced {
		text += " (its worker is yet to follow)"
	}
	for _, w := range c.Warnings {
		text += "\n" + w
	}
	return text
}

// remove asks for the name of what is lost for good.
func (d *deeds) remove(s vpn.ServerInfo) {
	users := 0
	for _, n := range d.frame.Data().Status.Users {
		users += n
	}
	lines := []string{"Its keys go with it: no link to it works ever again."}
	if users > 0 {
		lines[0] = "Its keys go with it: the links of " + many(users, "user") + " to it work never again."
	}
	if s.Online > 0 {
		lines = append(lines, "It ends "+many(s.Online, "connection")+".")
	}
	lines = append(lines, "What was moved over it stays on its users' accounts. This cannot be undone.")
	c := d.each([]vpn.ServerInfo{s}, "delete", "is deleted", d.o.API.Delete)
	do := c.Do
	c.Do = func(ctx context.Context) (string, error) {
		if _, err := do(ctx); err != nil {
			return "", err
		}
		return s.Name + " is deleted", nil
	}
	d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
		Title: "Delete server " + s.Name + "?", Lines: lines, Yes: "Delete", Danger: true, Name: s.Name, Twin: c.Twin,
		Do: func() tea.Cmd { return d.frame.Change(c) },
	}))
}

// test tries whether clients could reach a server.
func (d *deeds) test(s vpn.ServerInfo) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		text, err := d.o.Tester.Test(ctx, s)
		return testedMsg{s, text, err}
	}
}

func (d *deeds) tested(m testedMsg) tea.Cmd {
	if m.err == nil {
		d.tests[m.server.ID] = tested{m.text, false, d.frame.Now()}
		return d.frame.Say(page.Done, m.server.Name+" "+m.text)
	}
	d.tests[m.server.ID] = tested{m.err.Error(), true, d.frame.Now()}
	text := m.server.Name + ": " + m.err.Error()
	if e, ok := errors.AsType[*vpn.Error](m.err); ok && e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return d.frame.Say(page.Fault, text)
}

func connections(servers []vpn.ServerInfo) int {
	n := 0
	for _, s := range servers {
		n += s.Online
	}
	return n
}

// called names servers in a question.
func called(servers []vpn.ServerInfo) string {
	if len(servers) == 1 {
		return "server " + servers[0].Name
	}
	names := make([]string, 0, len(servers))
	for _, s := range servers {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("%d servers: %s", len(servers), strings.Join(names, ", "))
}
