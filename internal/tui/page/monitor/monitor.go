// Package monitor is the screen of what is moved: charts of traffic and
// connections over some time, of all, of a server or of a user, how busy the
// host is, and the list of live connections.
//
// The last minutes are the feed's; it asks itself only for what a single user
// moves and for what is longer ago. The one thing that it changes is that it
// closes a user's connections.
package monitor

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// Usage is what is asked of the control plane.
type Usage interface {
	Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error)
	History(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error)
}

// Users closes connections.
type Users interface {
	Kick(ctx context.Context, user string) (vpn.Kicked, error)
}

// After runs fn after d, outside of the UI's goroutine. [tea.Tick] is one.
type After func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd

// Page is the screen.
type Page struct {
	frame    page.Frame
	users    Users
	traffic  *traffic
	sessions *sessions
	look     look
	seen     time.Time // when it was in front last
}

var _ page.Page = (*Page)(nil)

// New returns the screen, with the last minutes of everything.
func New(f page.Frame, usage Usage, users Users, after After) *Page {
	return &Page{
		frame: f, users: users, sessions: newSessions(f.Now),
		traffic: &traffic{usage: usage, data: f.Data(), after: after, idle: true},
	}
}

// Needs says what the charts and the list are made of. Users are for the
// choice of one, so they come again only after a change.
func (p *Page) Needs() feed.Topic {
	p.seen = p.frame.Now()
	need := feed.Status | feed.Sessions | feed.Host | feed.Rates
	if p.frame.Data().Outdated(feed.Users) {
		need |= feed.Users
	}
	return need
}

// Show shows "server:NAME" or "user:NAME", or else what it showed last.
func (p *Page) Show(what string) tea.Cmd {
	p.seen = p.frame.Now()
	kind, name, _ := strings.Cut(what, ":")
	switch {
	case kind == "server" && name != "":
		return p.set(subject{server: name}, p.traffic.span)
	case kind == "user" && name != "":
		return p.set(subject{user: name}, p.traffic.span)
	case p.traffic.idle:
		return p.traffic.ask(p.frame.Now())
	}
	return nil
}

func (p *Page) set(of subject, s span) tea.Cmd {
	cmd := p.traffic.set(of, s, p.frame.Now())
	p.sessions.set(p.frame.Data().Sessions, of)
	return cmd
}

// Update takes what was asked for. It asks no more while it is not in front.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case ratesMsg, historyMsg:
		return p.traffic.take(msg)
	case againMsg:
		if m.turn != p.traffic.turn {
			return nil
		}
		if p.frame.Now().Sub(p.seen) > 15*time.Second {
			p.traffic.idle = true
			return nil
		}
		return p.traffic.ask(p.frame.Now())
	}
	return nil
}

// Learn takes the connections.
func (p *Page) Learn(t feed.Topic) {
	if t&feed.Sessions != 0 {
		p.sessions.set(p.frame.Data().Sessions, p.traffic.subject)
	}
}

// Type takes keys while somebody writes the filter.
func (p *Page) Type(msg tea.Msg) bool {
	in := p.sessions.filter
	if !in.Focused() {
		return false
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "enter", "down", "up":
			in.Blur()
			return true
		case "esc":
			p.clear()
			return true
		}
	}
	if in.Update(msg) {
		p.Learn(feed.Sessions)
	}
	return true
}

func (p *Page) clear() {
	p.sessions.filter.Blur()
	p.sessions.filter.SetValue("")
	p.Learn(feed.Sessions)
}

// Do does an action.
func (p *Page) Do(action string) (tea.Cmd, bool) {
	t := p.traffic
	switch action {
	case key.Up, key.Down, key.PageUp, key.PageDown, key.Top, key.Bottom:
		p.move(action)
	case key.NextPane:
		p.look.focus = (p.look.focus + 1) % panes
	case key.LastPane:
		p.look.focus = (p.look.focus + panes - 1) % panes
	case key.Expand:
		p.look.expanded = !p.look.expanded
	case key.Filter:
		p.look.focus = connections
		p.sessions.filter.Focus()
	case key.Back:
		return p.back()
	case key.Open:
		p.open()
	case "monitor.shorter":
		return p.set(t.subject, max(t.span-1, 0)), true
	case "monitor.longer":
		return p.set(t.subject, min(t.span+1, spans-1)), true
	case "monitor.subject":
		p.pick()
	case "monitor.sort":
		p.sessions.table.NextSort()
	case "monitor.reverse":
		p.sessions.table.SortBy(p.sessions.table.Sort, !p.sessions.table.Desc)
	case "monitor.kick":
		return p.kick(), true
	case "monitor.user":
		x, why := p.chosen()
		if why != "" {
			return p.frame.Say(page.Note, why), true
		}
		return p.frame.Go(key.Users, userOf(x)), true
	default:
		return nil, false
	}
	return nil, true
}

func (p *Page) move(action string) {
	if !p.look.listed() {
		return
	}
	p.look.focus = connections
	t := p.sessions.table
	switch action {
	case key.Up:
		t.Move(-1)
	case key.Down:
		t.Move(1)
	case key.PageUp:
		t.Move(-max(p.look.rows/2, 1))
	case key.PageDown:
		t.Move(max(p.look.rows/2, 1))
	case key.Top:
		t.Move(-t.Len())
	case key.Bottom:
		t.Move(t.Len())
	}
}

// back takes back, one after the other, what narrows the view.
func (p *Page) back() (tea.Cmd, bool) {
	switch {
	case p.look.expanded:
		p.look.expanded = false
	case p.sessions.filter.Value() != "":
		p.clear()
	case p.traffic.subject != subject{}:
		return p.set(subject{}, p.traffic.span), true
	default:
		return nil, false
	}
	return nil, true
}

// pick asks whose traffic is to be shown.
func (p *Page) pick() {
	item := func(text, note string, of subject) dialog.Item {
		return dialog.Item{Text: text, Note: note, Do: func() tea.Cmd { return p.set(of, p.traffic.span) }}
	}
	items := []dialog.Item{item("everything", "", subject{})}
	d := p.frame.Data()
	for _, s := range d.Status.Servers {
		items = append(items, item("server "+s.Name, string(s.Protocol), subject{server: s.Name}))
	}
	for i := range d.Users {
		items = append(items, item("user "+d.Users[i].Name, string(d.Users[i].Status), subject{user: d.Users[i].Name}))
	}
	p.frame.Open(dialog.NewPick(p.frame, "Whose traffic", "a server or a user", items))
}

// chosen returns the connection that an action is for, or why there is none.
func (p *Page) chosen() (x vpn.Session, why string) {
	x, ok := p.sessions.row()
	switch {
	case !p.look.listed():
		return x, "the connections are in another pane: tab goes there"
	case !ok:
		return x, "there is no connection"
	}
	return x, ""
}

// kick asks whether all connections of a user are to be closed.
func (p *Page) kick() tea.Cmd {
	x, why := p.chosen()
	if why != "" {
		return p.frame.Say(page.Note, why)
	}
	name := userOf(x)
	users := p.users
	p.frame.Open(dialog.NewConfirm(p.frame, dialog.Question{
		Title: "Kick " + name + "?", Yes: "Kick", Danger: true, Twin: "vpn users kick " + dialog.Quote(widget.Clean(name)),
		Lines: []string{
			fmt.Sprintf("All connections of %s end, on every server: %s now.", name, connectionsOf(p.sessions.ofUser(name))),
			"It may come back at once. To keep it out, disable it on the screen of users.",
		},
		Do: func() tea.Cmd {
			return p.frame.Change(page.Change{
				Do: func(ctx context.Context) (string, error) {
					kicked, err := users.Kick(ctx, name)
					return connectionsOf(kicked.Connections) + " of " + name + " closed", err
				},
				Affects: feed.Sessions,
			})
		},
	}))
	return nil
}

func others(n int) string {
	if n == 0 {
		return "this user has no other connection"
	}
	return connectionsOf(n) + " more of this user"
}

func connectionsOf(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprint(n) + " connections"
}

// open shows all that is known of the connection under the cursor.
func (p *Page) open() {
	if !p.look.listed() {
		return
	}
	x, ok := p.sessions.row()
	if !ok {
		return
	}
	t := p.frame.Theme()
	row := func(label, value string) string {
		return t.Muted.Render(widget.Fit(t, label, 12)) + widget.Clean(value)
	}
	now := p.frame.Now()
	p.frame.Open(dialog.NewText(p.frame, "Connection", []string{
		row("user", userOf(x)), row("from", source(x)), row("server", x.Server),
		row("protocol", string(x.Protocol)+" over "+x.Network),
		row("since", x.Since.In(now.Location()).Format(time.DateTime)+", "+widget.Age(now.Sub(x.Since))+" ago"),
		row("moved", t.Glyphs.Down+" "+vpn.FormatSize(x.Down)+"  "+t.Glyphs.Up+" "+vpn.FormatSize(x.Up)),
		row("credential", string(x.Credential)),
		row("others", others(p.sessions.ofUser(userOf(x))-1)),
	}))
}

// Click goes to a pane, and in the list to a row.
func (p *Page) Click(x, y int) tea.Cmd {
	for _, a := range p.look.areas {
		if x < a.x || x >= a.x+a.w || y < a.y || y >= a.y+a.h {
			continue
		}
		p.look.focus = a.pane
		if a.pane == connections {
			p.sessions.filter.Blur()
			p.sessions.table.Click(x-a.x-1, y-a.y-1-p.look.above)
		}
	}
	return nil
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point puts the cursor on a connection.
func (p pointer) Point(x, y int) bool {
	a, ok := p.look.list()
	if !ok || x < a.x || x >= a.x+a.w {
		return false
	}
	p.look.focus = connections
	p.sessions.filter.Blur()
	return p.sessions.table.Point(y - a.y - 1 - p.look.above)
}

// Anchor is where the connection under the cursor is.
func (p pointer) Anchor() (x, y int, ok bool) {
	a, ok := p.look.list()
	_, is := p.sessions.row()
	return a.x + 8, a.y + 1 + p.look.above + p.sessions.table.Line(), ok && is
}

// Wheel moves the cursor in the list.
func (p *Page) Wheel(lines int) {
	if p.look.listed() {
		p.sessions.table.Move(lines)
	}
}
