package widget

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/theme"
)

// A Field of a [Form]: text, one of some choices, or several of them.
type Field struct {
	Key     string // by which its value is asked for
	Label   string
	Hint    string // shown while it is empty
	Help    string // shown below the form while the field has the keys
	Value   string // at first; of several choices: those that are on, with commas between
	Choices []string
	Several bool // any number of the choices
	Check   func(value string) error

	input *Input
	at    int             // the choice; of several: under the cursor
	on    map[string]bool // of several
	err   string
}

// A Form is fields one below the other, with what is wrong beside each.
type Form struct {
	fields []*Field
	at     int
	top    int
	lineOf []int // of the last rendering: the field on each line
}

// NewForm returns a form whose first field has the keys.
func NewForm(fields ...Field) *Form {
	f := &Form{}
	for _, field := range fields {
		switch {
		case field.Several:
			field.on = map[string]bool{}
			for v := range strings.SplitSeq(field.Value, ",") {
				field.on[v] = v != ""
			}
		case field.Choices != nil:
			field.at = max(slices.Index(field.Choices, field.Value), 0)
		default:
			field.input = NewInput(field.Hint)
			field.input.SetValue(field.Value)
		}
		f.fields = append(f.fields, &field)
	}
	f.focus(0)
	return f
}

func (f *Form) focus(at int) {
	if len(f.fields) == 0 {
		return
	}
	if in := f.fields[f.at].input; in != nil {
		in.Blur()
	}
	f.at = (at + len(f.fields)) % len(f.fields)
	if in := f.fields[f.at].input; in != nil {
		in.Focus()
	}
}

// Value returns what field key says: the text, the choice, or all choices
// that are on with commas between.
func (f *Form) Value(key string) string {
	for _, field := range f.fields {
		if field.Key == key {
			return field.value()
		}
	}
	return ""
}

// Changed reports whether field key says something else than at first.
func (f *Form) Changed(key string) bool {
	for _, field := range f.fields {
		if field.Key == key {
			return field.value() != field.Value
		}
	}
	return false
}

func (f *Field) value() string {
	switch {
	case f.Several:
		var on []string
		for _, c := range f.Choices {
			if f.on[c] {
				on = append(on, c)
			}
		}
		return strings.Join(on, ",")
	case f.Choices != nil:
		return f.Choices[f.at]
	}
	return strings.TrimSpace(f.input.Value())
}

// Check checks all fields, shows what is wrong beside each, goes to the first
// of these and reports whether there is none.
func (f *Form) Check() bool {
	first := -1
	for i, field := range f.fields {
		field.err = ""
		if field.Check == nil {
			continue
		}
		if err := field.Check(field.value()); err != nil {
			field.err = err.Error()
			if first < 0 {
				first = i
			}
		}
	}
	if first >= 0 {
		f.focus(first)
	}
	return first < 0
}

// Fault shows text beside field key and goes there. It reports whether there
// is such a field.
func (f *Form) Fault(key, text string) bool {
	for i, field := range f.fields {
		if field.Key == key {
			field.err = text
			f.focus(i)
			return true
		}
	}
	return false
}

// Named returns the field whose label text has first, as words of its own:
// the one that a fault such as "port 443 is in use" is about. Of labels at one
// place the longest counts.
func (f *Form) Named(text string) (key string, ok bool) {
	text = " " + strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return ' '
	}, text) + " "
	first, length := -1, 0
	for _, field := range f.fields {
		label := " " + strings.ToLower(field.Label) + " "
		at := strings.Index(text, label)
		if at >= 0 && (first < 0 || at < first || at == first && len(label) > length) {
			key, first, length = field.Key, at, len(label)
		}
	}
	return key, first >= 0
}

// Help returns what is to be known about the field with the keys.
func (f *Form) Help() string {
	if len(f.fields) == 0 {
		return ""
	}
	return f.fields[f.at].Help
}

// Last reports whether the last field has the keys.
func (f *Form) Last() bool { return f.at >= len(f.fields)-1 }

// Next goes to the next field, Previous to the one before.
func (f *Form) Next() { f.leave(f.at + 1) }

// Previous goes to the field before.
func (f *Form) Previous() { f.leave(f.at - 1) }

// leave says at once what is wrong with what was written.
func (f *Form) leave(to int) {
	field := f.fields[f.at]
	field.err = ""
	if field.Check != nil {
		if err := field.Check(field.value()); err != nil {
			field.err = err.Error()
		}
	}
	f.focus(to)
}

// Update takes a key or a paste. It does not take enter or esc: what they
// mean is the owner's.
func (f *Form) Update(msg tea.Msg) {
	if len(f.fields) == 0 {
		return
	}
	field := f.fields[f.at]
	key := ""
	if k, ok := msg.(tea.KeyPressMsg); ok {
		key = k.String()
	}
	switch key {
	case "tab", "down":
		f.Next()
		return
	case "shift+tab", "up":
		f.Previous()
		return
	}
	switch {
	case field.input != nil:
		if field.input.Update(msg) {
			field.err = ""
		}
	case key == "left" || key == "h":
		field.at = (field.at - 1 + len(field.Choices)) % len(field.Choices)
	case key == "right" || key == "l", key == "space" && !field.Several:
		field.at = (field.at + 1) % len(field.Choices)
	case key == "space":
		c := field.Choices[field.at]
		field.on[c] = !field.on[c]
	}
}

// Click goes to the field on line y of what was rendered last.
func (f *Form) Click(y int) {
	if y >= 0 && y < len(f.lineOf) {
		f.leave(f.lineOf[y])
	}
}

// Render draws as many fields as fit into w by h, so that the one with the
// keys is among them. A field takes a line, and one more for what is wrong.
func (f *Form) Render(t *theme.Theme, w, h int) []string {
	label := 0
	for _, field := range f.fields {
		label = max(label, Width(field.Label))
	}
	label = min(label, w/2)
	var lines []string
	f.lineOf = f.lineOf[:0]
	focus := 0
	for i, field := range f.fields {
		cursor, style := "  ", t.Muted
		if i == f.at {
			cursor, style = t.Glyphs.Cursor+" ", t.Accent
			focus = len(lines)
		}
		name := style.Render(cursor + Fit(t, field.Label, label) + "  ")
		room := w - label - 4
		lines = append(lines, name+Fit(t, field.render(t, room, i == f.at), room))
		f.lineOf = append(f.lineOf, i)
		if field.err != "" {
			lines = append(lines, blank(label+4)+t.Bad.Render(Fit(t, t.Glyphs.Bad+" "+Clean(field.err), room)))
			f.lineOf = append(f.lineOf, i)
		}
	}
	all := len(lines)
	f.top = Scrolled(f.top, min(focus+1, max(len(lines)-1, 0)), len(lines), h)
	f.lineOf = f.lineOf[min(f.top, len(f.lineOf)):]
	out := Lines(t, lines[min(f.top, len(lines)):], w, min(h, len(lines)))
	if below := all - f.top - len(out); below > 0 && len(out) > 1 {
		more := fmt.Sprintf(" %s %d more", t.Glyphs.Down, below)
		last := len(out) - 1
		out[last] = Fit(t, out[last], max(w-Width(more), 0)) + t.Muted.Render(Fit(t, more, min(Width(more), w)))
	}
	return out
}

func (f *Field) render(t *theme.Theme, w int, focus bool) string {
	switch {
	case f.Several:
		return f.several(t, w, focus)
	case f.Choices != nil && focus:
		return t.Accent.Render(t.Glyphs.Left + " " + Clean(f.value()) + " " + t.Glyphs.Right)
	case f.Choices != nil:
		return t.Faint.Render(t.Glyphs.Left) + " " + Clean(f.value()) + " " + t.Faint.Render(t.Glyphs.Right)
	}
	return f.input.Render(t, w)
}

// several draws all choices in a row, or as many as fit around the cursor.
func (f *Field) several(t *theme.Theme, w int, focus bool) string {
	var parts []string
	for i, c := range f.Choices {
		box := "[ ] "
		if f.on[c] {
			box = "[" + t.Glyphs.On + "] "
		}
		s := box + Clean(c)
		if focus && i == f.at {
			s = t.Selected.Render(s)
		}
		parts = append(parts, s)
	}
	for from := 0; from < len(parts); from++ {
		line := strings.Join(parts[from:], "  ")
		shown := strings.Join(parts[from:min(f.at+1, len(parts))], "  ")
		if from >= f.at || Width(line) <= w || Width(shown) <= w-2 {
			return line
		}
	}
	return ""
}
