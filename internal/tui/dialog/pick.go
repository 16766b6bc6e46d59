package dialog

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// An Item can be picked.
type Item struct {
	Text string
	Note string // at the right: a key, a state
	Twin string // the command that does the same, which is shown for the one under the cursor
	Do   func() tea.Cmd
}

// Pick is a list of which one is picked, by typing some letters of it.
type Pick struct {
	frame page.Frame
	title string
	items []Item
	input *widget.Input
	shown []int
	at    int
	top   int
	lines int
}

// NewPick returns a list of items.
func NewPick(f page.Frame, title, hint string, items []Item) *Pick {
	p := &Pick{frame: f, title: title, items: items, input: widget.NewInput(hint)}
	p.input.Focus()
	p.filter()
	return p
}

// SetItems makes it a list of other items.
func (p *Pick) SetItems(items []Item) {
	at := p.at
	p.items = items
	p.filter()
	p.at = max(min(at, len(p.shown)-1), 0)
}

func (p *Pick) filter() {
	p.shown, p.at, p.top = p.shown[:0], 0, 0
	query := strings.TrimSpace(p.input.Value())
	if query == "" {
		for i := range p.items {
			p.shown = append(p.shown, i)
		}
		return
	}
	for _, m := range fuzzy.FindFrom(query, source(p.items)) {
		p.shown = append(p.shown, m.Index)
	}
}

type source []Item

func (s source) Len() int            { return len(s) }
func (s source) String(i int) string { return s[i].Text + " " + s[i].Note }

// Update takes a key.
func (p *Pick) Update(msg tea.Msg) tea.Cmd {
	switch pressed(msg) {
	case "down", "ctrl+n", "tab":
		p.at = min(p.at+1, len(p.shown)-1)
	case "up", "ctrl+p", "shift+tab":
		p.at = max(p.at-1, 0)
	case "pgdown":
		p.at = min(p.at+10, len(p.shown)-1)
	case "pgup":
		p.at = max(p.at-10, 0)
	case "enter":
		return p.do()
	default:
		if p.input.Update(msg) {
			p.filter()
		}
	}
	p.at = max(p.at, 0)
	return nil
}

func (p *Pick) do() tea.Cmd {
	if p.at >= len(p.shown) {
		return nil
	}
	p.frame.Close()
	if do := p.items[p.shown[p.at]].Do; do != nil {
		return do()
	}
	return nil
}

// Render draws what was typed, and as many items as fit.
func (p *Pick) Render(t *theme.Theme, w, h int) []string {
	wide, twins := 30, 0
	for _, i := range p.items {
		if i.Twin != "" {
			twins = 1
		}
		wide = max(wide, widget.Width(t.Glyphs.Words(i.Text))+widget.Width(i.Note)+6)
	}
	wide = min(wide, w-4, 76)
	p.lines = max(min(len(p.items), h-6-twins, 20), 1)
	p.top = widget.Scrolled(p.top, p.at, len(p.shown), p.lines)
	lines := []string{" " + t.Key.Render(t.Glyphs.Pick+" ") + p.input.Render(t, wide-3), t.Border.Render(strings.Repeat(t.Glyphs.Horizontal, wide))}
	for k := p.top; k < min(p.top+p.lines, len(p.shown)); k++ {
		item := p.items[p.shown[k]]
		note := widget.Clean(item.Note)
		text := widget.Fit(t, t.Glyphs.Words(widget.Clean(item.Text)), wide-3-widget.Width(note))
		if k == p.at {
			lines = append(lines, t.Selected.Render(t.Glyphs.Cursor+" "+text+note+" "))
		} else {
			lines = append(lines, "  "+text+t.Muted.Render(note)+" ")
		}
	}
	if len(p.shown) == 0 {
		lines = append(lines, t.Muted.Render("  nothing is called that"))
	}
	if twins > 0 {
		for len(lines) < p.lines+2 {
			lines = append(lines, "")
		}
		twin := ""
		if p.at < len(p.shown) && p.items[p.shown[p.at]].Twin != "" {
			twin = " = " + p.items[p.shown[p.at]].Twin
		}
		lines = append(lines, t.Faint.Render(widget.Fit(t, twin, wide)))
	}
	note := ""
	if below := len(p.shown) - p.top - p.lines; below > 0 {
		note = fmt.Sprintf("%s %d more", t.Glyphs.Down, below)
	}
	return widget.Pane{Title: p.title, Note: note, Focus: true}.Render(t, wide+2, p.lines+twins+4, lines)
}

// Click picks the item that was clicked.
func (p *Pick) Click(_, y int) tea.Cmd {
	if k := p.top + y - 3; y >= 3 && y < p.lines+3 && k < len(p.shown) {
		p.at = k
		return p.do()
	}
	return nil
}
