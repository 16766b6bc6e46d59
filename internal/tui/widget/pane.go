package widget

import (
	"strings"

	"vpn/internal/tui/theme"
)

// A Pane is a frame with a title around lines.
type Pane struct {
	Title string
	Note  string // at the right of the title's line
	Focus bool   // the keys go there
}

// Render draws the pane w cells wide and h lines high around body, which is
// cut or filled up: its room is w-2 by h-2.
func (p Pane) Render(t *theme.Theme, w, h int, body []string) []string {
	if w < 4 || h < 2 {
		return Lines(t, nil, w, h)
	}
	border := t.Border
	if p.Focus {
		border = t.Focus
	}
	g := t.Glyphs
	out := make([]string, 0, h)
	out = append(out, p.top(t, w))
	side := border.Render(g.Vertical)
	for i := range h - 2 {
		s := ""
		if i < len(body) {
			s = body[i]
		}
		out = append(out, side+Fit(t, s, w-2)+side)
	}
	return append(out, border.Render(g.BottomLeft+strings.Repeat(g.Horizontal, w-2)+g.BottomRight))
}

func (p Pane) top(t *theme.Theme, w int) string {
	border, title := t.Border, t.Title
	if p.Focus {
		border, title = t.Focus, t.Accent
	}
	g := t.Glyphs
	name, note := "", ""
	if p.Title != "" && w > 6 {
		name, _ = cut(t, Clean(p.Title), w-6)
		name = " " + name + " "
	}
	if p.Note != "" {
		note = " " + p.Note + " "
	}
	free := w - 4 - Width(name) - Width(note)
	if free < 1 {
		note, free = "", w-4-Width(name)
	}
	line := border.Render(g.TopLeft+g.Horizontal) + title.Render(name) + border.Render(strings.Repeat(g.Horizontal, max(free, 0)))
	if note != "" {
		line += t.Muted.Render(note)
	}
	return line + border.Render(g.Horizontal+g.TopRight)
}

// Rule returns a line across a pane's inside, with a title, w cells wide.
func Rule(t *theme.Theme, title, note string, w int) string {
	g := t.Glyphs
	title, _ = cut(t, title, w-4)
	if note != "" {
		note = " " + note
	}
	free := w - 3 - Width(title) - Width(note)
	if free < 1 {
		note, free = "", max(w-3-Width(title), 0)
	}
	return t.Border.Render(g.Horizontal) + " " + t.Title.Render(title) + " " + t.Border.Render(strings.Repeat(g.Horizontal, free)) + t.Muted.Render(note)
}
