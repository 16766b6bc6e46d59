package dialog

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// Form asks for several things at once and does one change with them.
type Form struct {
	frame  page.Frame
	title  string
	form   *widget.Form
	change func(*widget.Form) page.Change
	intro  []string

	busy    bool
	fault   string // what is wrong with all of it
	hint    string
	touched bool
	stays   bool // after it was done
	sure    bool // esc was pressed once, with something written
	formAt  int  // the line of the form, when rendered last
}

// NewForm returns a form. change makes of what was written what is to be
// done; the form stays until that was done, and shows what is wrong.
func NewForm(f page.Frame, title string, intro []string, form *widget.Form, change func(*widget.Form) page.Change) *Form {
	return &Form{frame: f, title: title, intro: intro, form: form, change: change}
}

// Stay makes the form stay when its change was done, because that was but a
// look at what the change would mean. Whoever opened it closes it.
func (d *Form) Stay() *Form {
	d.stays = true
	return d
}

// Update takes keys: enter does it.
func (d *Form) Update(msg tea.Msg) tea.Cmd {
	if d.busy {
		return nil
	}
	switch msg.(type) {
	case tea.KeyPressMsg, tea.PasteMsg:
	default: // what time brings is nothing that anybody has written
		d.form.Update(msg)
		return nil
	}
	switch pressed(msg) {
	case "enter", "ctrl+s":
		return d.submit()
	case "tab", "shift+tab", "up", "down":
	default:
		d.touched, d.sure = true, false
	}
	d.form.Update(msg)
	return nil
}

func (d *Form) submit() tea.Cmd {
	d.fault, d.hint = "", ""
	if !d.form.Check() {
		return nil
	}
	c := d.change(d.form)
	then := c.Then
	c.Then = func() tea.Cmd {
		if d.busy = false; !d.stays {
			d.frame.Close()
		}
		if then != nil {
			return then()
		}
		return nil
	}
	c.Failed = d.failed
	d.busy = true
	return d.frame.Change(c)
}

func (d *Form) failed(err error) {
	d.busy = false
	d.fault, d.hint = err.Error(), vpn.HintOf(err)
	// Beside the field too, if it says which.
	if field, ok := d.form.Named(d.fault); ok {
		d.form.Fault(field, d.fault)
	}
}

// Closes reports whether esc closes it: what was written is not thrown away
// by one key.
func (d *Form) Closes() bool {
	if d.busy {
		return false
	}
	if d.touched && !d.sure {
		d.sure = true
		return false
	}
	return true
}

// Render draws the form.
func (d *Form) Render(t *theme.Theme, w, h int) []string {
	room := min(w-6, 76)
	tight := h < 22 // the fields are worth more than what is around them
	var lines []string
	for _, l := range d.intro {
		lines = append(lines, t.Muted.Render(widget.Fit(t, widget.Clean(l), room)))
	}
	if len(d.intro) > 0 && !tight {
		lines = append(lines, "")
	}
	var foot []string
	if d.fault != "" {
		foot = append(foot, "")
		for _, l := range widget.Wrap(t.Glyphs.Bad+" "+widget.Clean(d.fault), room) {
			foot = append(foot, t.Bad.Render(l))
		}
		if d.hint != "" {
			for _, l := range widget.Wrap("hint: "+widget.Clean(d.hint), room) {
				foot = append(foot, t.Muted.Render(l))
			}
		}
	} else if help := d.form.Help(); help != "" {
		foot = append(foot, "")
		for _, l := range widget.Wrap(widget.Clean(help), room) {
			foot = append(foot, t.Muted.Render(l))
		}
	}
	switch c := d.change(d.form).Twin; {
	case c == "":
	case h > 20:
		foot = append(foot, twin(t, c, room, h/2)...)
	case d.fault == "": // in a line; a fault is worth more
		foot = append(foot, t.Faint.Render(widget.Fit(t, "= "+t.Glyphs.Words(widget.Clean(c)), room)))
	}
	if !tight {
		foot = append(foot, "")
	}
	switch {
	case d.busy:
		foot = append(foot, t.Muted.Render("one moment"+t.Glyphs.Ellipsis))
	case d.sure:
		foot = append(foot, t.Warn.Render("esc again throws away what you have written"))
	default:
		foot = append(foot, hint(t, "enter", "save", "tab", "next", "esc", "cancel"))
	}
	around := 4 // the frame and a margin
	if tight {
		around = 2
	}
	d.formAt = len(lines)
	if !tight {
		d.formAt++
	}
	lines = append(lines, d.form.Render(t, room, max(h-len(lines)-len(foot)-around, 1))...)
	lines = append(lines, foot...)
	return box(t, d.title, lines, max(w, 1), h)
}

// Click goes to a field.
func (d *Form) Click(_, y int) tea.Cmd {
	d.form.Click(y - d.formAt - 1)
	return nil
}

// Quote writes a value for the command line that does the same.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
