package dialog

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// Text is lines to read. With Raw it has no frame, so that the terminal can
// select a long link without what surrounds it.
type Text struct {
	frame page.Frame
	title string
	lines []string
	raw   bool
	copy  string // what y copies
	what  string // and how that is called
	top   int
	page  int
}

// NewText returns lines below a title.
func NewText(f page.Frame, title string, lines []string) *Text {
	return &Text{frame: f, title: title, lines: lines}
}

// NewLink returns text that is to be copied: all of it, as wide as the
// terminal is.
func NewLink(f page.Frame, title string, lines []string, link, what string) *Text {
	return &Text{frame: f, title: title, lines: lines, raw: true, copy: link, what: what}
}

// Update takes a key.
func (d *Text) Update(msg tea.Msg) tea.Cmd {
	switch pressed(msg) {
	case "down", "j":
		d.top++
	case "up", "k":
		d.top--
	case "pgdown", "ctrl+d", "space":
		d.top += d.page / 2
	case "pgup", "ctrl+u":
		d.top -= d.page / 2
	case "g", "home":
		d.top = 0
	case "G", "end":
		d.top = 1 << 30
	case "y":
		if d.copy != "" {
			return d.frame.Copy(d.copy, d.what)
		}
	case "enter", "q":
		d.frame.Close()
	}
	return nil
}

// Render draws the lines, wrapped.
func (d *Text) Render(t *theme.Theme, w, h int) []string {
	room := w
	if !d.raw {
		room = min(w-6, 96)
	}
	var lines []string
	for _, l := range d.lines {
		wrap := widget.Wrap
		if d.raw && !strings.Contains(l, " ") { // a link goes on to the end of the line, whatever hyphens it has
			wrap = widget.WrapWords
		}
		lines = append(lines, wrap(l, room)...)
	}
	foot := hint(t, "esc", "close")
	if d.copy != "" {
		foot = hint(t, "y", "copy", "esc", "close")
	}
	d.page = max(h-6, 1)
	if d.raw {
		d.page = max(h-4, 1)
	}
	d.top = max(min(d.top, len(lines)-d.page), 0)
	if below := len(lines) - d.page - d.top; below > 0 {
		foot += t.Muted.Render(fmt.Sprintf("  %s %d more", t.Glyphs.Down, below))
	}
	shown := lines[d.top:min(d.top+d.page, len(lines))]
	if d.raw {
		out := append([]string{t.Accent.Render(widget.Clean(d.title)), ""}, shown...)
		out = append(out, "", foot)
		return widget.Lines(t, out, w, h)
	}
	return box(t, d.title, append(append([]string{}, shown...), "", foot), w, h)
}

// Click does nothing: a click outside closes it.
func (d *Text) Click(int, int) tea.Cmd { return nil }
