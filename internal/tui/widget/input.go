package widget

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/theme"
)

// An Input is one line of text that a person writes.
type Input struct{ model textinput.Model }

// NewInput returns an empty input; hint is shown as long as it is.
func NewInput(hint string) *Input {
	m := textinput.New()
	m.Prompt = ""
	m.Placeholder = hint
	m.CharLimit = 1000
	m.SetVirtualCursor(true)
	return &Input{m}
}

// Secret makes what is written unreadable.
func (i *Input) Secret() { i.model.EchoMode = textinput.EchoPassword }

// Focus gives i the keys, Blur takes them away.
func (i *Input) Focus() { i.model.Focus() }

// Blur takes the keys away.
func (i *Input) Blur() { i.model.Blur() }

// Focused reports whether i has the keys.
func (i *Input) Focused() bool { return i.model.Focused() }

// Value returns what was written.
func (i *Input) Value() string { return i.model.Value() }

// SetValue writes s, and puts the cursor behind it.
func (i *Input) SetValue(s string) {
	i.model.SetValue(Clean(s))
	i.model.CursorEnd()
}

// Update takes a key or a paste and reports whether the text is another now.
// An input without the keys takes nothing.
func (i *Input) Update(msg tea.Msg) bool {
	before := i.model.Value()
	i.model, _ = i.model.Update(msg) // its command would only make the cursor blink
	return i.model.Value() != before
}

// Render draws w cells, with the cursor if i has the keys.
func (i *Input) Render(t *theme.Theme, w int) string {
	styles := i.model.Styles()
	styles.Focused = textinput.StyleState{Text: t.Text, Placeholder: t.Faint, Prompt: t.Text}
	styles.Blurred = styles.Focused
	styles.Cursor.Blink = false
	i.model.SetStyles(styles)
	i.model.SetWidth(max(w-1, 1)) // and the cursor behind it
	return Fit(t, i.model.View(), w)
}
