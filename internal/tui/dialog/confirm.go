package dialog

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// A Question is what [Confirm] asks.
type Question struct {
	Title  string
	Lines  []string // what it will mean
	Yes    string   // what the button that does it says: "Delete"
	Danger bool     // it takes something away
	Name   string   // must be typed first; empty: need not
	Twin   string   // the command line that does the same
	Do     func() tea.Cmd
}

// Confirm is a question whose answer is no, unless a person says yes.
type Confirm struct {
	frame   page.Frame
	q       Question
	yes     bool
	name    *widget.Input
	wrong   bool
	buttons int // the line of the buttons, when rendered last
	noWidth int
}

// NewConfirm returns the question q.
func NewConfirm(f page.Frame, q Question) *Confirm {
	c := &Confirm{frame: f, q: q}
	if q.Name != "" {
		c.name = widget.NewInput("")
		c.name.Focus()
	}
	return c
}

// Update takes a key.
func (c *Confirm) Update(msg tea.Msg) tea.Cmd {
	switch k := pressed(msg); {
	case c.name != nil && k == "enter":
		if c.wrong = c.name.Value() != c.q.Name; c.wrong {
			return nil
		}
		return c.do()
	case c.name != nil:
		c.name.Update(msg)
		c.wrong = false
	case k == "left", k == "right", k == "tab", k == "shift+tab", k == "h", k == "l":
		c.yes = !c.yes
	case k == "n", k == "enter" && !c.yes:
		c.frame.Close()
	case k == "y", k == "enter":
		return c.do()
	}
	return nil
}

func (c *Confirm) do() tea.Cmd {
	c.frame.Close()
	return c.q.Do()
}

// Render draws the question.
func (c *Confirm) Render(t *theme.Theme, w, h int) []string {
	room := min(w-6, 70)
	title := t.Title
	if c.q.Danger {
		title = t.Bad.Bold(true)
	}
	var lines []string
	for _, l := range widget.Wrap(widget.Clean(c.q.Title), room) {
		lines = append(lines, title.Render(l))
	}
	if len(c.q.Lines) > 0 {
		lines = append(lines, "")
	}
	for _, l := range c.q.Lines {
		lines = append(lines, widget.Wrap(widget.Clean(l), room)...)
	}
	const below = 7 // the buttons or the name to type, and the frame
	lines = append(lines, twin(t, c.q.Twin, room, h-len(lines)-below)...)
	lines = append(lines, "")
	if c.name != nil {
		lines = append(lines, "Type "+t.Accent.Render(widget.Clean(c.q.Name))+" to go on:", t.Accent.Render(t.Glyphs.Cursor+" ")+c.name.Render(t, min(room-2, 40)))
		if c.wrong {
			lines = append(lines, t.Bad.Render(t.Glyphs.Bad+" that is not its name"))
		}
		lines = append(lines, "", hint(t, "enter", strings.ToLower(c.q.Yes), "esc", "cancel"))
		c.buttons = -1
		return box(t, "", lines, w, h)
	}
	no, yes := "  Cancel  ", "  "+c.q.Yes+"  "
	c.noWidth = len(no)
	switch {
	case !c.yes:
		no = t.Button.Render(t.Glyphs.Pick + " Cancel  ")
		yes = t.Muted.Render(yes)
	case c.q.Danger:
		yes = t.Danger.Render(t.Glyphs.Pick + " " + c.q.Yes + "  ")
		no = t.Muted.Render(no)
	default:
		yes = t.Button.Render(t.Glyphs.Pick + " " + c.q.Yes + "  ")
		no = t.Muted.Render(no)
	}
	c.buttons = len(lines) + 2
	lines = append(lines, no+"  "+yes)
	return box(t, "", lines, w, h)
}

// Click presses a button.
func (c *Confirm) Click(x, y int) tea.Cmd {
	if y != c.buttons {
		return nil
	}
	if x < 3+c.noWidth {
		c.frame.Close()
		return nil
	}
	return c.do()
}
