// Package dialog is what lies above the screens of the terminal UI: questions,
// menus, forms, lists to pick from, texts and QR codes. A dialog asks and
// hands the answer to whoever opened it; it changes nothing itself.
package dialog

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// box draws a frame with a margin around lines, as wide as they are or as
// there is room for.
func box(t *theme.Theme, title string, lines []string, w, h int) []string {
	inner := widget.Width(title) + 4
	for _, l := range lines {
		inner = max(inner, widget.Width(l))
	}
	inner = min(inner, w-6)
	body := make([]string, 0, len(lines)+2)
	margin := h >= len(lines)+4
	if margin {
		body = append(body, "")
	}
	for _, l := range lines {
		body = append(body, "  "+widget.Fit(t, l, inner)+"  ")
	}
	if margin {
		body = append(body, "")
	}
	return widget.Pane{Title: title, Focus: true}.Render(t, inner+6, min(len(body)+2, h), body)
}

// twin is the lines, h at most, that say which command does the same, with an
// empty one before.
func twin(t *theme.Theme, command string, w, h int) []string {
	if command == "" || h < 2 {
		return nil
	}
	if most := 4 * w * h; len(command) > most { // it is wrapped at each frame
		command = command[:most]
	}
	all := widget.WrapWords("= "+t.Glyphs.Words(widget.Clean(command)), w)
	if len(all) > h-1 {
		all = all[:h-1]
		all[h-2] = widget.Fit(t, all[h-2], max(w-2, 0)) + " " + t.Glyphs.Ellipsis
	}
	lines := []string{""}
	for _, l := range all {
		lines = append(lines, t.Faint.Render(l))
	}
	return lines
}

// hint is the line of keys at the foot of a dialog: pairs of a key and what it
// does.
func hint(t *theme.Theme, pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(t.Key.Render(pairs[i]) + " " + t.Muted.Render(pairs[i+1]))
	}
	return b.String()
}

func pressed(msg tea.Msg) string {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		return k.String()
	}
	return ""
}
