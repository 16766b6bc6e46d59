package settings

import (
	"fmt"
	"strings"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// section is a part of the screen in which a cursor is.
type section int

const (
	ofPerson section = iota
	ofDaemon
)

// view is what is on the screen, and where it was drawn last.
type view struct {
	section  section
	expanded bool
	areas    []area
}

type area struct {
	section    section
	detail     bool
	x, y, w, h int
}

// arrange says where the parts are on a screen of that size. about says
// whether there is something to tell about the row under the cursor.
func (v *view) arrange(w, h int, about bool) {
	v.areas = v.areas[:0]
	add := func(s section, detail bool, x, y, w, h int) { v.areas = append(v.areas, area{s, detail, x, y, w, h}) }
	const top = rows + 3 // with the file's line
	switch {
	case v.expanded, w < 80 && h < 24:
		add(v.section, false, 0, 0, w, h)
	case w < 80 || h < 20 || !about:
		add(ofPerson, false, 0, 0, w, top)
		add(ofDaemon, false, 0, top, w, h-top)
	case w < 110:
		detail := 7
		add(ofPerson, false, 0, 0, w, top)
		add(ofDaemon, false, 0, top, w, h-top-detail)
		add(v.section, true, 0, h-detail, w, detail)
	default:
		side := w * 2 / 5
		add(ofPerson, false, 0, 0, w-side, top)
		add(ofDaemon, false, 0, top, w-side, h-top)
		add(v.section, true, w-side, 0, side, h)
	}
}

// Render draws both sections, or the one that there is room for.
func (p *Page) Render(w, h int) []string {
	t := p.frame.Theme()
	p.view.arrange(w, h, p.view.section == ofPerson || p.daemon.table.Len() > 0)
	out := make([]string, max(h, 0))
	d := drawer{p, t}
	for _, a := range p.view.areas { // from the left to the right
		if a.h < 0 {
			continue
		}
		for i, line := range d.part(a) {
			if a.y+i < len(out) {
				out[a.y+i] += line
			}
		}
	}
	return widget.Lines(t, out, w, h)
}

// drawer draws the parts.
type drawer struct {
	*Page
	theme *theme.Theme
}

func (d drawer) part(a area) []string {
	w, h := max(a.w-2, 0), max(a.h-2, 0)
	var pane widget.Pane
	var body []string
	switch {
	case a.detail && a.section == ofPerson:
		pane, body = d.aboutLook(w)
	case a.detail:
		pane, body = d.aboutValue(w, h)
	case a.section == ofPerson:
		pane, body = d.person(w)
	default:
		pane, body = d.list(w, h)
	}
	pane.Focus = !a.detail && d.view.section == a.section
	if len(d.view.areas) == 1 && !d.view.expanded {
		pane.Note = strings.TrimPrefix(pane.Note+" "+d.theme.Glyphs.Dot+" tab: next", " "+d.theme.Glyphs.Dot+" ")
	}
	return pane.Render(d.theme, a.w, a.h, body)
}

// note is how many things are changed in a section.
func (d drawer) note(n int) string {
	if n == 0 {
		return ""
	}
	return d.theme.Warn.Render(fmt.Sprintf("%s %d changed", d.theme.Glyphs.Changed, n)) + d.theme.Muted.Render(" "+d.theme.Glyphs.Dot+" ctrl+s saves")
}

// person is how the UI looks.
func (d drawer) person(w int) (widget.Pane, []string) {
	t := d.theme
	l := d.look
	now := l.now.Look()
	var lines []string
	for i := range rows {
		r := rowOf(i)
		under := l.at == i && d.view.section == ofPerson
		cursor, sign := " ", " "
		if l.at == i {
			cursor = t.Glyphs.Cursor
		}
		if l.differs(i) {
			sign = t.Glyphs.Changed
		}
		lead := cursor + sign + " " + widget.Fit(t, r.name, 9)
		switch {
		case under:
			lead = t.Accent.Render(lead)
		case l.differs(i):
			lead = t.Warn.Render(lead)
		}
		lines = append(lines, lead+d.choices(r.choices, now.value(i), w-13))
	}
	where := "saved in " + widget.Clean(l.prefs.File())
	switch {
	case l.err != nil:
		where = t.Bad.Render(t.Glyphs.Bad + " " + widget.Clean(l.err.Error()))
	case l.prefs.File() == "":
		where = "there is no place to save it: HOME is not set"
	}
	return widget.Pane{Title: "Appearance", Note: d.note(l.changed())}, append(lines, t.Faint.Render("   "+where))
}

// choices is all that something can be, with what it is marked; or that
// alone, if there is no room.
func (d drawer) choices(all []string, value string, w int) string {
	t := d.theme
	chosen := t.Accent.Render(t.Glyphs.Left + " " + widget.Clean(value) + " " + t.Glyphs.Right)
	var parts []string
	found := false
	for _, c := range all {
		if c == value {
			parts, found = append(parts, chosen), true
			continue
		}
		parts = append(parts, t.Muted.Render("  "+c+"  "))
	}
	if !found {
		parts = append(parts, chosen)
	}
	if line := strings.Join(parts, ""); widget.Width(line) <= w {
		return line
	}
	return chosen
}

// list is the daemon's configuration.
func (d drawer) list(w, h int) (widget.Pane, []string) {
	t := d.theme
	pane := widget.Pane{Title: "Daemon", Note: d.note(len(d.daemon.edits))}
	if !d.daemon.known {
		if err := d.daemon.err; err != nil {
			return pane, d.message(w, h, t.Bad.Render(t.Glyphs.Bad+" "+widget.Clean(err.Error())), widget.Clean(vpn.HintOf(err)))
		}
		var lines []string
		for i := range min(h, 5) {
			lines = append(lines, t.Faint.Render("   "+strings.Repeat(t.Glyphs.Empty, 12)+"  "+strings.Repeat(t.Glyphs.Empty, max(w/2-3*i, 1))))
		}
		return pane, lines
	}
	c := d.daemon.config
	if pane.Note == "" {
		pane.Note = widget.Clean(c.File)
	}
	var lines []string
	if c.Problem != "" && h > 4 {
		for _, l := range widget.Wrap(t.Glyphs.Bad+" the file is refused: "+widget.Clean(c.Problem), max(w-2, 1)) {
			lines = append(lines, " "+t.Bad.Render(l))
		}
		lines = lines[:min(len(lines), h-3)]
	}
	if err := d.daemon.err; err != nil && h > 4 {
		lines = append(lines, t.Bad.Render(widget.Fit(t, " "+t.Glyphs.Bad+" not new: "+widget.Clean(err.Error()), w)))
	}
	if len(c.Values) == 0 {
		return pane, d.message(w, h, "There is nothing to configure.", "")
	}
	d.view.above(len(lines))
	return pane, append(lines, d.daemon.table.Render(t, w, h-len(lines), d.view.section == ofDaemon)...)
}

// above moves the list's area down by lines that stand above it, so that
// clicks find its rows.
func (v *view) above(n int) {
	for i := range v.areas {
		if v.areas[i].section == ofDaemon && !v.areas[i].detail {
			v.areas[i].y += n
			v.areas[i].h -= n
		}
	}
}

func (d drawer) message(w, h int, text, more string) []string {
	var lines []string
	for _, l := range append(widget.Wrap(text, max(w-4, 1)), widget.Wrap(d.theme.Muted.Render(more), max(w-4, 1))...) {
		lines = append(lines, "  "+l)
	}
	return append(make([]string, max((h-len(lines))/2, 0)), lines...)
}

// facts are pairs of a label and what it says.
func (d drawer) facts(w int, pairs ...string) []string {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		label := pairs[i]
		for _, l := range widget.Wrap(widget.Clean(pairs[i+1]), max(w-13, 8)) {
			out = append(out, " "+d.theme.Muted.Render(widget.Fit(d.theme, label, 10))+" "+l)
			label = ""
		}
	}
	return out
}

// aboutLook is what the row under the cursor of the first section means.
func (d drawer) aboutLook(w int) (widget.Pane, []string) {
	r := rowOf(d.look.at)
	var lines []string
	for _, l := range widget.Wrap(r.doc, max(w-2, 1)) {
		lines = append(lines, " "+l)
	}
	saved := ""
	if d.look.differs(d.look.at) {
		saved = d.look.saved.value(d.look.at)
	}
	lines = append(lines, "")
	lines = append(lines, d.facts(w, "now", d.look.now.Look().value(d.look.at), "saved", saved, "default", Standard().value(d.look.at))...)
	return widget.Pane{Title: r.name}, append(lines, "", d.theme.Muted.Render(" left, right: choose; it is seen at once"))
}

// aboutValue is what is known of the value under the cursor of the second.
func (d drawer) aboutValue(w, h int) (widget.Pane, []string) {
	t := d.theme
	v, ok := d.daemon.row()
	if !ok {
		return widget.Pane{}, nil
	}
	var lines []string
	if text := d.daemon.wrong[v.Key]; text != "" {
		for _, l := range widget.Wrap(t.Glyphs.Bad+" "+widget.Clean(text), max(w-2, 1)) {
			lines = append(lines, " "+t.Bad.Render(l))
		}
	}
	for _, l := range widget.Wrap(widget.Clean(v.Key+" is "+v.Doc)+".", max(w-2, 1)) {
		lines = append(lines, " "+l)
	}
	pending, becomes := "", ""
	if v.Pending != nil {
		pending = named(*v.Pending)
	}
	command := ""
	if e, changed := d.daemon.edits[v.Key]; changed {
		if becomes = named(e.value); e.unset {
			becomes = "its default"
		}
		command = twin(v.Key, e)
	}
	from := originOf(v.Origin)
	if v.Origin.Layer == "file" {
		from = v.Origin.Where
	}
	preset := v.Default
	if preset == "" {
		preset = "none, or it depends"
	}
	if command != "" {
		command = t.Faint.Render(" = " + widget.Clean(command))
	}
	switch {
	case h > 10:
		lines = append(lines, "")
	case command != "":
		lines, command = append(lines, command), ""
	}
	lines = append(lines, d.facts(w, "now", named(v.Value), "to be", becomes, "by reload", pending, "from", from, "default", preset,
		"may be", strings.Join(v.Choices, ", "), "example", v.Example)...)
	return widget.Pane{Title: widget.Clean(v.Key)}, append(lines, "", command)
}
