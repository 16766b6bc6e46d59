// Package dashboard is the first screen: how the whole is doing, and what
// needs somebody. Each line of it leads to the screen that says more. It
// changes nothing.
package dashboard

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// section is a part of the screen.
type section int

const (
	users section = iota
	traffic
	host
	fleet
	needs
	top
)

// Page is the screen.
type Page struct {
	frame page.Frame
	watch *watch

	focus section
	full  bool // the section with the keys has all the room
	lists map[section]*cursor
	shown []area // what was rendered last, in the order of tab
}

// cursor is where one is in a section that is a list.
type cursor struct {
	at, top, n int
	lines      []int // what was rendered last: of which row each line is
}

func (c *cursor) move(d int) { c.at = max(min(c.at+d, c.n-1), 0) }

// area is where a section was rendered.
type area struct {
	section
	x, y, w, h int
}

var _ page.Page = (*Page)(nil)

// New returns the screen.
func New(f page.Frame) *Page {
	return &Page{frame: f, watch: newWatch(f), focus: fleet, lists: map[section]*cursor{fleet: {}, needs: {}, top: {}}}
}

// Needs says what has to be known.
func (p *Page) Needs() feed.Topic {
	return feed.Status | feed.Host | feed.Rates | feed.Top
}

// Show has nothing to choose from.
func (p *Page) Show(string) tea.Cmd { return nil }

// Do does an action.
func (p *Page) Do(action string) (tea.Cmd, bool) {
	const all = 1 << 20
	if d, ok := map[string]int{key.Up: -1, key.Down: 1, key.PageUp: -5, key.PageDown: 5, key.Top: -all, key.Bottom: all}[action]; ok {
		p.Wheel(d)
		return nil, true
	}
	switch action {
	case key.NextPane:
		p.turn(1)
	case key.LastPane:
		p.turn(-1)
	case key.Expand:
		p.full = !p.full
	case "dashboard.attention":
		p.focus = needs
	case key.Back:
		was := p.full
		p.full = false
		return nil, was
	case key.Open:
		return p.open(), true
	case "dashboard.monitor":
		return pointer{p}.monitor(), true
	case "dashboard.logs":
		return pointer{p}.logs(), true
	default:
		return nil, false
	}
	return nil, true
}

// turn gives the keys to another section.
func (p *Page) turn(d int) {
	if p.full { // one is shown; the others are where they would be
		p.focus = (p.focus + section(d) + top + 1) % (top + 1)
		return
	}
	for i, a := range p.shown {
		if a.section == p.focus {
			p.focus = p.shown[(i+d+len(p.shown))%len(p.shown)].section
			return
		}
	}
}

// open goes to where more is said about what is under the cursor.
func (p *Page) open() tea.Cmd {
	d := p.frame.Data()
	if d.Known(feed.Status) && len(d.Status.Servers) == 0 {
		return p.frame.Go(key.Servers, "")
	}
	at := 0
	if c := p.lists[p.focus]; c != nil {
		at = c.at
	}
	switch p.focus {
	case users:
		return p.frame.Go(key.Users, "")
	case fleet:
		if s, ok := (pointer{p}).server(); ok {
			return p.frame.Go(key.Servers, s.Name)
		}
	case top:
		if fast := d.Fastest(); at < len(fast) {
			return p.frame.Go(key.Users, fast[at].Of)
		}
	case needs:
		if at < len(p.watch.items) {
			return p.follow(p.watch.items[at])
		}
	default:
		return p.frame.Go(key.Monitor, "")
	}
	return nil
}

// monitor goes to the traffic of what is under the cursor, or to all of it.
func (p pointer) monitor() tea.Cmd {
	if s, ok := p.server(); ok {
		return p.frame.Go(key.Monitor, "server:"+s.Name)
	}
	if fast, at := p.frame.Data().Fastest(), p.lists[top].at; p.focus == top && at < len(fast) {
		return p.frame.Go(key.Monitor, "user:"+fast[at].Of)
	}
	return p.frame.Go(key.Monitor, "")
}

// logs goes to the logs of the server under the cursor, or to all of them.
func (p pointer) logs() tea.Cmd {
	if s, ok := p.server(); ok {
		return p.frame.Go(key.Logs, "server:"+s.Name)
	}
	return p.frame.Go(key.Logs, "")
}

// server returns the server under the cursor.
func (p pointer) server() (vpn.ServerInfo, bool) {
	servers, at := p.frame.Data().Status.Servers, p.lists[fleet].at
	if p.focus != fleet || at >= len(servers) {
		return vpn.ServerInfo{}, false
	}
	return servers[at], true
}

// follow goes to what an item is about, or shows all of it.
func (p *Page) follow(i item) tea.Cmd {
	if i.screen == key.Everywhere {
		p.frame.Open(dialog.NewText(p.frame, "Needs you", []string{clean(i.text)}))
		return nil
	}
	return p.frame.Go(i.screen, i.what)
}

// Type takes nothing: there is no field.
func (p *Page) Type(tea.Msg) bool { return false }

// Update has no commands of its own.
func (p *Page) Update(tea.Msg) tea.Cmd { return nil }

// Learn looks anew at what needs somebody.
func (p *Page) Learn(t feed.Topic) {
	p.watch.learn(t)
	d := p.frame.Data()
	for s, n := range map[section]int{fleet: len(d.Status.Servers), needs: len(p.watch.items), top: len(d.Fastest())} {
		p.lists[s].n = n
		p.lists[s].move(0)
	}
}

// Click goes to what was clicked.
func (p *Page) Click(x, y int) tea.Cmd {
	if (pointer{p}).Point(x, y) {
		return p.open()
	}
	return nil
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point gives the keys to a section, and in a list puts the cursor on a row.
func (p pointer) Point(x, y int) bool {
	for _, a := range p.shown {
		if x < a.x || x >= a.x+a.w || y < a.y || y >= a.y+a.h {
			continue
		}
		p.focus = a.section
		c := p.lists[a.section]
		if c == nil || y-a.y >= len(c.lines) {
			return false
		}
		c.at = c.lines[y-a.y]
		return true
	}
	return false
}

// Anchor is where the row under the cursor is.
func (p pointer) Anchor() (x, y int, ok bool) {
	c := p.lists[p.focus]
	for _, a := range p.shown {
		if a.section != p.focus || c == nil {
			continue
		}
		if i := slices.Index(c.lines, c.at); i >= 0 {
			return a.x + 6, a.y + i, true
		}
	}
	return 0, 0, false
}

// Offers says that only servers have logs, and what needs somebody has no
// traffic.
func (p pointer) Offers(action string) bool {
	switch action {
	case "dashboard.logs":
		return p.focus == fleet
	case "dashboard.monitor":
		return p.focus != needs
	}
	return true
}

// Wheel moves in the section with the keys.
func (p *Page) Wheel(lines int) {
	if c := p.lists[p.focus]; c != nil {
		c.move(lines)
	}
}
