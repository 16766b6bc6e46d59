// Package logs is the screen of the logs: what the control plane and all
// workers write, as it is written, with filters and a search.
//
// It keeps the last lines in a ring and asks for them by one stream, which it
// opens anew where it breaks. It changes nothing in the control plane.
package logs

import (
	"context"
	"hash/maphash"
	"slices"
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

// API is what the screen asks of the control plane.
type API interface {
	// Logs returns the lines that q selects, and goes on if it follows. The
	// stream ends when ctx does.
	Logs(ctx context.Context, q vpn.LogQuery) (Stream, error)
}

// A Stream is lines of logs. It is used by one goroutine.
type Stream interface {
	Next() (vpn.LogLine, error) // waits for one
	Close() error
}

// After runs fn after d, outside of the UI's goroutine; fn may wait.
// [tea.Tick] is one.
type After func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd

// Page is the screen.
type Page struct {
	frame  page.Frame
	ring   *ring
	view   *view
	source *source
	input  *widget.Input
	look   look

	// Where the cursor was when somebody began to search, and whether it
	// followed: each letter searches from there, and esc goes back there.
	from     int
	followed bool
	writing  writing
}

// writing is what somebody writes who searches. In a full ring a search takes
// some milliseconds, and on a busy machine more: it begins when no key has
// come for a moment, or with enter.
type writing struct {
	after  After
	turn   int  // of the keys
	asked  int  // the turn for whose moment the clock was asked
	unsure bool // what is written was not searched for yet
}

// still is how long no key has to come.
const still = 80 * time.Millisecond

type stillMsg struct{ turn int }

var (
	_ page.Page     = (*Page)(nil)
	_ page.Follower = (*Page)(nil)
)

// New returns the screen, following.
func New(f page.Frame, api API, after After) *Page {
	r := newRing()
	return &Page{
		frame: f, ring: r, writing: writing{after: after}, view: &view{ring: r, follow: true}, input: widget.NewInput("search"),
		source: &source{api: api, after: after, had: map[uint64]bool{}, before: map[uint64]bool{}, seed: maphash.MakeSeed()},
	}
}

// Needs says nothing: lines come by themselves.
func (p *Page) Needs() feed.Topic { return 0 }

// Show opens the stream, once. "server:NAME" shows that server's lines alone.
func (p *Page) Show(what string) tea.Cmd {
	if name, ok := strings.CutPrefix(what, "server:"); ok {
		p.input.SetValue("")
		p.view.look("")
		p.view.filter("", widget.Clean(name))
		p.view.goOn()
	}
	if p.source.turn == 0 {
		return p.source.open()
	}
	return nil
}

// Update takes lines and breaks of the stream.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case stillMsg:
		if m.turn == p.writing.turn {
			p.writing.seek(p)
		}
	case openedMsg:
		return p.source.took(m, p.frame.Now())
	case retryMsg:
		if m.turn == p.source.turn {
			return p.source.open()
		}
	case linesMsg:
		if m.turn != p.source.turn {
			return nil
		}
		for _, l := range p.source.fresh(m.lines) {
			p.ring.add(l)
		}
		p.view.judge()
		if m.err != nil {
			return p.source.broken(m.err, p.frame.Now())
		}
		if len(m.lines) == batch {
			return p.source.next(0)
		}
		return p.source.next(pace)
	}
	return nil
}

// Learn learns nothing.
func (p *Page) Learn(feed.Topic) {}

// Follow waits for the end of what is written in the search.
func (p *Page) Follow() tea.Cmd {
	w := &p.writing
	if !w.unsure || w.asked == w.turn {
		return nil
	}
	w.asked = w.turn
	turn := w.turn
	return w.after(still, func(time.Time) tea.Msg { return stillMsg{turn} })
}

// seek searches for what is written, if that was not done.
func (w *writing) seek(p *Page) {
	if !w.unsure {
		return
	}
	w.unsure = false
	p.view.at = p.from
	p.view.look(p.input.Value())
}

// Type takes keys while somebody writes what is searched for.
func (p *Page) Type(msg tea.Msg) bool {
	if !p.input.Focused() {
		return false
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "enter", "down", "up":
			p.writing.seek(p)
			p.input.Blur()
			return true
		case "esc":
			p.view.at = p.from
			if p.clear(); p.followed {
				p.view.goOn()
			}
			return true
		}
	}
	if p.input.Update(msg) {
		p.writing.unsure = true
		p.writing.turn++
	}
	return true
}

// search begins to search, or goes on to write what is searched for.
func (p *Page) search() {
	p.from, p.followed = p.view.at, p.view.follow
	p.input.Focus()
}

func (p *Page) clear() {
	p.input.Blur()
	p.writing.unsure = false
	p.input.SetValue("")
	p.view.only = false
	p.view.look("")
}

// Do does an action.
func (p *Page) Do(action string) (tea.Cmd, bool) {
	v := p.view
	half := max(p.look.rows/2, 1)
	switch action {
	case key.Up:
		v.move(-1)
	case key.Down:
		v.move(1)
	case key.PageUp:
		v.move(-half)
	case key.PageDown:
		v.move(half)
	case key.Top:
		v.put(p.ring.first())
	case key.Bottom:
		v.goOn()
	case key.Filter:
		p.search()
	case key.Back:
		return nil, p.back()
	case key.Open:
		p.open()
	case "logs.next":
		return p.match(1), true
	case "logs.previous":
		return p.match(-1), true
	case "logs.only":
		if v.query.empty() {
			return p.frame.Say(page.Note, "nothing is searched for yet: / first"), true
		}
		v.only = !v.only
		v.settle()
	case "logs.follow":
		if v.follow {
			v.pause()
		} else {
			v.goOn()
		}
	case "logs.level":
		p.nextLevel()
	case "logs.source":
		p.pickSource()
	case "logs.copy":
		if p.ring.has(v.at) {
			return p.frame.Copy(plain(p.ring.line(v.at)), "the line"), true
		}
	case "logs.save":
		return p.save(), true
	default:
		return nil, p.look.do(action)
	}
	return nil, true
}

// back takes back, one after the other, what narrows the view.
func (p *Page) back() bool {
	v := p.view
	switch {
	case v.only:
		v.only = false
		v.settle()
	case !v.query.empty():
		p.clear()
	case v.level != "" || v.source != "":
		v.filter("", "")
	default:
		return false
	}
	return true
}

func (p *Page) match(d int) tea.Cmd {
	switch {
	case p.view.query.empty():
		return p.frame.Say(page.Note, "nothing is searched for yet: / first")
	case len(p.view.found) == 0:
		return p.frame.Say(page.Note, "no line has "+p.input.Value())
	}
	p.view.match(d)
	return nil
}

// nextLevel goes from all levels to the heavier ones, and back to all.
func (p *Page) nextLevel() {
	levels := append([]vpn.LogLevel{""}, vpn.LogLevels()[1:]...)
	i := slices.Index(levels, p.view.level)
	p.view.filter(levels[(i+1)%len(levels)], p.view.source)
}

func (p *Page) pickSource() {
	names := []string{vpn.ControlPlane}
	for _, s := range p.frame.Data().Status.Servers {
		names = append(names, widget.Clean(s.Name))
	}
	for _, s := range p.ring.sources {
		if !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	set := func(name string) func() tea.Cmd {
		return func() tea.Cmd {
			p.view.filter(p.view.level, name)
			return nil
		}
	}
	items := []dialog.Item{{Text: "all of them", Do: set("")}}
	for _, n := range names {
		note := ""
		if n == p.view.source {
			note = "now"
		}
		items = append(items, dialog.Item{Text: n, Note: note, Do: set(n)})
	}
	p.frame.Open(dialog.NewPick(p.frame, "Lines of which server", "a server's name", items))
}

// Click puts the cursor on a line; on the line above them it begins a search.
func (p *Page) Click(_, y int) tea.Cmd {
	if y == 0 {
		p.search()
		return nil
	}
	if n, ok := p.look.lineOn(y); ok {
		again := n == p.view.at
		pointer{p}.put(n)
		if again {
			p.open()
		}
	}
	return nil
}

func (p pointer) put(line int) {
	p.writing.seek(p.Page)
	p.input.Blur()
	p.view.put(line)
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point puts the cursor on a line.
func (p pointer) Point(_, y int) bool {
	n, ok := p.look.lineOn(y)
	if ok {
		p.put(n)
	}
	return ok
}

// Wheel moves the cursor.
func (p *Page) Wheel(lines int) { p.view.move(lines) }

// Anchor is where the cursor is.
func (p pointer) Anchor() (x, y int, ok bool) { return 4, p.look.cursorRow, p.ring.has(p.view.at) }
