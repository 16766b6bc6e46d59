// Package servers is the screen of the servers: how each is doing, and all
// that can be done with one. It shows what the control plane says and asks it
// for changes; what may be changed, and what that means, it does not decide.
package servers

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/protocol"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// API is what is asked of the control plane. A server is given by name.
type API interface {
	Updater
	Show(ctx context.Context, server string) (vpn.ServerDetail, error)
	Create(ctx context.Context, in vpn.NewServer) (vpn.ServerChange, error)
	Start(ctx context.Context, server string) (vpn.ServerChange, error)
	Stop(ctx context.Context, server string) (vpn.ServerChange, error)
	Restart(ctx context.Context, server string) (vpn.ServerChange, error)
	Delete(ctx context.Context, server string) (vpn.ServerChange, error)
}

// An Updater changes servers.
type Updater interface {
	Update(ctx context.Context, server string, p vpn.ServerPatch) (vpn.ServerChange, error)
}

// A Tester tries whether clients can reach a server, and says what it found.
type Tester interface {
	Test(ctx context.Context, s vpn.ServerInfo) (string, error)
}

// Options say what the screen works with.
type Options struct {
	API       API
	Dry       Updater             // of the same control plane, whose changes are none
	Protocols []protocol.Protocol // the recommended one first
	Tester    Tester

	// Read returns what is in a file of the person's own. It is called
	// outside of the UI's goroutine.
	Read func(path string) (string, error)
}

// wide is from where on the list and a server stand side by side.
const wide = 110

// Page is the screen.
type Page struct {
	frame page.Frame
	deeds *deeds
	list  *list

	inside bool // the keys go to the server and not to the list
	full   bool // the pane with the keys has all the room
	top    int  // the first line of the server that is shown
	about  map[vpn.ServerID]about
	ask    func(server string) tea.Cmd // learns what is shown of one server alone
	asked  question                    // the last of these, and when
	since  time.Time
	shown  layout
}

// question is about a server as it was at one time.
type question struct {
	server  vpn.ServerID
	updated time.Time
	state   vpn.ServerState
}

// about is what is asked for when a server is looked at.
type about struct {
	warnings []string
	err      error
}

// aboutMsg is the answer to that.
type aboutMsg struct {
	server vpn.ServerID
	about
}

var (
	_ page.Page     = (*Page)(nil)
	_ page.Follower = (*Page)(nil)
)

// New returns the screen.
func New(f page.Frame, o Options) *Page {
	p := &Page{frame: f, list: newList(f), about: map[vpn.ServerID]about{}}
	p.deeds = &deeds{frame: f, o: o, list: p.list, tests: map[vpn.ServerID]tested{}}
	p.ask = func(server string) tea.Cmd {
		return func() tea.Msg {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			s, err := o.API.Show(ctx, server)
			return aboutMsg{s.ID, about{s.Warnings, err}}
		}
	}
	return p
}

// Needs says what has to be known: of connections only if they are shown.
func (p *Page) Needs() feed.Topic {
	need := feed.Status | feed.Rates
	if p.inside || p.shown.both {
		need |= feed.Sessions
	}
	return need
}

// Show brings a server to the cursor, by name.
func (p *Page) Show(what string) tea.Cmd {
	p.list.refresh()
	if !p.frame.Data().Known(feed.Status) {
		p.list.want = what
		return nil
	}
	if what != "" && !p.list.table.Select(what) {
		p.list.clear()
		if !p.list.table.Select(what) {
			return p.frame.Say(page.Note, "there is no server "+what+" (any more)")
		}
	}
	return nil
}

// again is how old what is said of one server alone may be.
const again = 30 * time.Second

// Follow asks for what is known of the server under the cursor alone, if that
// is shown.
func (p *Page) Follow() tea.Cmd {
	s, ok := p.list.current()
	if !ok || !p.inside && !p.shown.both {
		return nil
	}
	now, q := p.frame.Now(), question{s.ID, s.UpdatedAt, s.State}
	if q == p.asked && now.Sub(p.since) < again {
		return nil
	}
	if s.ID != p.asked.server {
		p.top = 0
	}
	p.asked, p.since = q, now
	return p.ask(s.Name)
}

// Do does an action.
func (p *Page) Do(action string) (tea.Cmd, bool) {
	if d, ok := p.distance(action); ok {
		if p.inside {
			p.top += d
			return nil, true
		}
		p.list.table.Move(d)
		return nil, true
	}
	switch action {
	case key.Open:
		if _, ok := p.list.current(); !ok || p.inside {
			return nil, ok
		}
		p.inside = true
		return nil, true
	case key.NextPane, key.LastPane:
		if _, ok := p.list.current(); ok {
			p.inside = !p.inside
		}
		return nil, true
	case key.Expand:
		p.full = !p.full
		return nil, true
	case key.Back:
		return nil, p.back()
	case key.Filter:
		p.inside = false
		p.list.input.Focus()
		return nil, true
	case "server.mark":
		p.list.table.ToggleMark()
		p.list.table.Move(1)
		return nil, true
	case "server.sort":
		p.list.table.NextSort()
		return nil, true
	case "server.reverse":
		p.list.table.SortBy(p.list.table.Sort, !p.list.table.Desc)
		return nil, true
	}
	return p.deeds.do(action)
}

// distance is how far an action moves, in rows.
func (p *Page) distance(action string) (int, bool) {
	const all = 1 << 20
	half := max(p.shown.rows/2, 1)
	d, ok := map[string]int{key.Up: -1, key.Down: 1, key.PageUp: -half, key.PageDown: half, key.Top: -all, key.Bottom: all}[action]
	return d, ok
}

// back leaves what can be left, the innermost first.
func (p *Page) back() bool {
	switch {
	case p.inside:
		p.inside = false
	case p.full:
		p.full = false
	case p.list.table.Unmark():
	case p.list.input.Value() != "":
		p.list.clear()
	default:
		return false
	}
	return true
}

// Type takes keys while the filter has them.
func (p *Page) Type(msg tea.Msg) bool {
	if !p.list.input.Focused() {
		return false
	}
	k, _ := msg.(tea.KeyPressMsg)
	switch k.String() {
	case "up", "down", "pgup", "pgdown":
		return false
	case "enter":
		p.list.input.Blur()
	case "esc":
		p.list.clear()
	default:
		if p.list.input.Update(msg) {
			p.list.refresh()
		}
	}
	return true
}

// Update takes what was asked for.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case aboutMsg:
		if m.err == nil {
			p.about[m.server] = m.about
		} else if s, ok := p.list.current(); ok {
			p.about[s.ID] = m.about
		}
	case testedMsg:
		return p.deeds.tested(m)
	}
	return nil
}

// Learn takes what is known anew into the list.
func (p *Page) Learn(t feed.Topic) {
	if t&feed.Status != 0 {
		p.list.refresh()
	}
}

// Click goes to what was clicked: a pane, a row, a title to sort by.
func (p *Page) Click(x, y int) tea.Cmd {
	l := p.shown
	switch {
	case l.filter && y == 0:
		p.inside = false
		p.list.input.Focus()
	case l.listW > 0 && x < l.listW:
		p.inside = false
		p.list.table.Click(x-1, y-l.titles())
	default:
		_, p.inside = p.list.current()
	}
	return nil
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point puts the cursor on a row: what is beside the list is of the one that
// has it.
func (p pointer) Point(x, y int) bool {
	l := p.shown
	switch _, ok := p.list.current(); {
	case l.filter && y == 0:
		return false
	case l.listW == 0 || x >= l.listW:
		return ok
	}
	p.inside = false
	return p.list.table.Point(y - l.titles())
}

// Anchor is where the row under the cursor is.
func (p pointer) Anchor() (x, y int, ok bool) {
	_, ok = p.list.current()
	if p.shown.listW == 0 {
		return 8, 1, ok
	}
	return 8, p.list.table.Line() + p.shown.titles(), ok
}

// Wheel scrolls.
func (p *Page) Wheel(lines int) {
	if p.inside {
		p.top += lines
		return
	}
	p.list.table.Move(lines)
}
