package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// messages are what the UI has to say besides what it shows. Faults stay
// until esc; all can be read again.
type messages struct {
	all   []message // the oldest first, the last of them
	shown []int     // their numbers
	next  int
	after func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd
}

type message struct {
	number int
	weight page.Weight
	text   string
	at     time.Time
}

type fadeMsg struct{ number int }

const (
	kept      = 200
	atOnce    = 3
	fadeAfter = 4 * time.Second
)

// add shows a message and returns what takes it away in time.
func (m *messages) add(w page.Weight, text string, now time.Time) tea.Cmd {
	m.next++
	number := m.next
	m.all = append(m.all, message{number, w, text, now})
	m.all = m.all[max(len(m.all)-kept, 0):]
	m.shown = append(m.shown, number)
	m.shown = m.shown[max(len(m.shown)-atOnce, 0):]
	if w == page.Fault {
		return nil
	}
	return m.after(fadeAfter, func(time.Time) tea.Msg { return fadeMsg{number} })
}

func (m *messages) fade(f fadeMsg) {
	for i, n := range m.shown {
		if n == f.number {
			m.shown = append(m.shown[:i], m.shown[i+1:]...)
			return
		}
	}
}

// dismiss takes all away that are shown, and reports whether there were any.
func (m *messages) dismiss() bool {
	had := len(m.shown) > 0
	m.shown = nil
	return had
}

// render draws those that are shown, one block each.
func (m *messages) render(t *theme.Theme, w int) [][]string {
	var out [][]string
	for _, msg := range m.all {
		for _, n := range m.shown {
			if n == msg.number {
				out = append(out, msg.render(t, min(w-4, 66)))
			}
		}
	}
	return out
}

func (m message) render(t *theme.Theme, w int) []string {
	sign, style := t.Glyphs.Mark, t.OK
	switch m.weight {
	case page.Note:
		sign, style = t.Glyphs.Pick, t.Accent
	case page.Fault:
		sign, style = t.Glyphs.Bad, t.Bad
	}
	var lines []string
	wide := 0
	for _, l := range wrapAll(m.text, w-6) {
		wide = max(wide, widget.Width(l))
		lines = append(lines, l)
	}
	note := ""
	if m.weight == page.Fault {
		note = "esc"
	}
	for i := range lines {
		lead := "  "
		if i == 0 {
			lead = style.Render(sign) + " "
		}
		lines[i] = " " + lead + widget.Fit(t, lines[i], wide)
	}
	return widget.Pane{Note: note, Focus: m.weight != page.Fault}.Render(t, wide+6, len(lines)+2, lines)
}

// history is all messages as lines, the newest first.
func (m *messages) history(t *theme.Theme) []string {
	var lines []string
	for i := len(m.all) - 1; i >= 0; i-- {
		msg := m.all[i]
		sign := t.OK.Render(t.Glyphs.Mark)
		switch msg.weight {
		case page.Note:
			sign = t.Accent.Render(t.Glyphs.Pick)
		case page.Fault:
			sign = t.Bad.Render(t.Glyphs.Bad)
		}
		lines = append(lines, t.Muted.Render(msg.at.Format("15:04:05"))+" "+sign+" "+widget.Clean(msg.text))
	}
	if lines == nil {
		lines = []string{"Nothing has been said yet."}
	}
	return lines
}
