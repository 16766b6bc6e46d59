// Package settings is the screen of what can be set: how the UI looks to the
// person in front of it, and how the daemon is configured, with where each
// value comes from.
//
// What is changed is tried at once, as far as the look goes, and checked by a
// dry run, as far as the daemon goes; nothing is kept before it is saved.
// What a value may be is the control plane's to say.
package settings

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// API is the daemon's configuration.
type API interface {
	Configuration(ctx context.Context) (vpn.Configuration, error)
	Configure(ctx context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error)
	Reload(ctx context.Context) (vpn.Reload, error)
}

// Page is the screen.
type Page struct {
	frame  page.Frame
	look   *appearance
	daemon *daemon
	view   view
	warned bool // that what was changed is not saved
}

var (
	_ page.Page     = (*Page)(nil)
	_ page.Follower = (*Page)(nil)
)

// New returns the screen. dry is the API by which nothing is changed.
func New(f page.Frame, api, dry API, p Preferences, a Appearance) *Page {
	return &Page{
		frame: f, look: &appearance{frame: f, prefs: p, now: a, first: a.Look()},
		daemon: newDaemon(f, api, dry),
	}
}

// Needs says nothing: what is set changes by hand alone.
func (p *Page) Needs() feed.Topic { return 0 }

// Show asks for the configuration, and says what was left unsaved.
func (p *Page) Show(string) tea.Cmd {
	p.warned = false
	cmds := []tea.Cmd{p.daemon.load()}
	if !p.look.known {
		cmds = append(cmds, p.look.load())
	}
	if n := p.changed(); n > 0 {
		cmds = append(cmds, p.frame.Say(page.Note, unsaved(n)))
	}
	return tea.Batch(cmds...)
}

// changed is how many things are not as they were saved.
func (p *Page) changed() int { return p.look.changed() + len(p.daemon.edits) }

func unsaved(n int) string {
	if n == 1 {
		return "1 change is kept here and not saved: ctrl+s saves it, d takes it back"
	}
	return fmt.Sprint(n) + " changes are kept here and not saved: ctrl+s saves them, d takes one back"
}

// Update takes what was asked for.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case savedMsg:
		p.look.take(m)
	case configMsg:
		p.daemon.take(m)
	case triedMsg:
		return p.daemon.tried(m)
	}
	return nil
}

// Follow asks for the configuration anew when it was changed, or taken back.
func (p *Page) Follow() tea.Cmd {
	if p.daemon.moved.Swap(false) {
		return p.daemon.load()
	}
	return nil
}

// Learn learns nothing.
func (p *Page) Learn(feed.Topic) {}

// Type takes nothing: what is written, is written in forms.
func (p *Page) Type(tea.Msg) bool { return false }

// Do does an action.
func (p *Page) Do(action string) (tea.Cmd, bool) {
	if action != key.Back {
		p.warned = false
	}
	switch action {
	case key.Up:
		p.move(-1)
	case key.Down:
		p.move(1)
	case key.PageUp, key.Top:
		p.move(-100)
	case key.PageDown, key.Bottom:
		p.move(100)
	case key.NextPane, key.LastPane:
		p.view.section = 1 - p.view.section
	case key.Expand:
		p.view.expanded = !p.view.expanded
	case key.Back:
		return p.back()
	case key.Open:
		if p.view.section == ofPerson {
			p.look.choose(1)
			return nil, true
		}
		return p.daemon.edit(), true
	case "settings.right":
		return p.choose(1), true
	case "settings.left":
		return p.choose(-1), true
	case "settings.drop":
		return p.drop(), true
	case "settings.unset":
		if p.view.section == ofPerson {
			p.look.reset()
			return nil, true
		}
		return p.daemon.unset(), true
	case "settings.save":
		return p.save(), true
	case "settings.reload":
		return p.daemon.reload(), true
	default:
		return nil, false
	}
	return nil, true
}

// move moves the cursor, from one section into the other.
func (p *Page) move(d int) {
	l, t := p.look, p.daemon.table
	switch {
	case p.view.section == ofPerson && d == 1 && l.at == rows-1 && t.Len() > 0:
		p.view.section = ofDaemon
		t.Move(-t.Len())
	case p.view.section == ofPerson:
		l.at = max(min(l.at+d, rows-1), 0)
	case d == -1 && p.daemon.first():
		p.view.section, l.at = ofPerson, rows-1
	default:
		t.Move(d)
	}
}

func (p *Page) choose(d int) tea.Cmd {
	if p.view.section == ofPerson {
		p.look.choose(d)
		return nil
	}
	return p.daemon.choose(d)
}

// drop takes back what was changed in the row under the cursor.
func (p *Page) drop() tea.Cmd {
	if p.view.section == ofPerson && p.look.drop() || p.view.section == ofDaemon && p.daemon.drop() {
		return nil
	}
	return p.frame.Say(page.Note, "this is not changed")
}

// save saves all that was changed.
func (p *Page) save() tea.Cmd {
	if p.changed() == 0 && (!p.look.known || p.look.toSave() == p.look.saved) {
		return p.frame.Say(page.Note, "nothing is changed")
	}
	return tea.Batch(p.look.save(), p.daemon.try())
}

// back leaves, but says first that something is not saved.
func (p *Page) back() (tea.Cmd, bool) {
	if p.view.expanded {
		p.view.expanded = false
		return nil, true
	}
	if n := p.changed(); n > 0 && !p.warned {
		p.warned = true
		return p.frame.Say(page.Note, unsaved(n)), true
	}
	return nil, false
}

// Click goes to a row; on the one under the cursor, it does what enter does.
func (p *Page) Click(x, y int) tea.Cmd {
	section, at, row := p.view.section, p.look.at, p.daemon.table.Row()
	switch {
	case !pointer{p}.Point(x, y) || p.view.section != section:
	case section == ofPerson && p.look.at == at:
		p.look.choose(1)
	case section == ofDaemon && p.daemon.table.Row() == row:
		return p.daemon.edit()
	}
	return nil
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point puts the cursor on a row.
func (p pointer) Point(x, y int) bool {
	for _, a := range p.view.areas {
		if a.detail || x < a.x || x >= a.x+a.w || y <= a.y || y >= a.y+a.h-1 {
			continue
		}
		p.view.section = a.section
		row := y - a.y - 1
		if a.section == ofDaemon {
			return p.daemon.table.Point(row)
		}
		if row < rows {
			p.look.at = row
		}
		return row < rows
	}
	return false
}

// Anchor is where the row under the cursor is.
func (p pointer) Anchor() (x, y int, ok bool) {
	for _, a := range p.view.areas {
		if a.detail || a.section != p.view.section {
			continue
		}
		if a.section == ofPerson {
			return a.x + 12, a.y + 1 + p.look.at, true
		}
		return a.x + 12, a.y + 1 + p.daemon.table.Line(), p.daemon.table.Row() >= 0
	}
	return 0, 0, false
}

// Wheel moves the cursor.
func (p *Page) Wheel(lines int) {
	for range max(lines, -lines) {
		p.move(lines / max(lines, -lines, 1))
	}
}
