package dialog

import (
	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// Menu is the actions on the row under the cursor, at the place where they
// were asked for.
type Menu struct {
	frame   page.Frame
	actions []key.Action
	at      int
	X, Y    int // of its corner, if there is room
}

// NewMenu returns the menu of screen s, of the actions that offers lets in.
func NewMenu(f page.Frame, s key.Screen, offers func(action string) bool, x, y int) *Menu {
	m := &Menu{frame: f, X: x, Y: y}
	for _, a := range f.Keys().On(s) {
		if a.Menu && offers(a.ID) {
			m.actions = append(m.actions, a)
		}
	}
	return m
}

// Update takes a key: one that moves, or an action's own.
func (m *Menu) Update(msg tea.Msg) tea.Cmd {
	k := pressed(msg)
	for i, a := range m.actions {
		if len(a.Keys) > 0 && k == a.Label() && a.ID != key.Open {
			m.at = i
			return m.do()
		}
	}
	switch k {
	case "down", "j", "tab":
		m.at = min(m.at+1, len(m.actions)-1)
	case "up", "k", "shift+tab":
		m.at = max(m.at-1, 0)
	case "enter", "space":
		return m.do()
	case "x", "q":
		m.frame.Close()
	}
	return nil
}

func (m *Menu) do() tea.Cmd {
	m.frame.Close()
	if m.at >= len(m.actions) {
		return nil
	}
	return m.frame.Act(m.actions[m.at].ID)
}

// Render draws the menu.
func (m *Menu) Render(t *theme.Theme, w, h int) []string {
	wide := 0
	for _, a := range m.actions {
		wide = max(wide, widget.Width(t.Glyphs.Words(a.Title))+2+widget.Width(a.Label()))
	}
	wide = min(wide+2, w-4)
	lines := make([]string, 0, len(m.actions))
	for i, a := range m.actions {
		label := a.Label()
		s := " " + widget.Fit(t, t.Glyphs.Words(a.Title), wide-widget.Width(label)-1) + label + " "
		if i == m.at {
			s = t.Selected.Render(t.Glyphs.Cursor + s)
		} else {
			s = " " + s
		}
		lines = append(lines, s)
	}
	return widget.Pane{Focus: true}.Render(t, wide+4, min(len(lines)+2, h), lines)
}

// Click does the action that was clicked.
func (m *Menu) Click(_, y int) tea.Cmd {
	if y < 1 || y > len(m.actions) {
		return nil
	}
	m.at = y - 1
	return m.do()
}
