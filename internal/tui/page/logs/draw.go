package logs

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// look is how lines are drawn, and where they were drawn last.
type look struct {
	wrap  bool
	time  clock
	right int // cells of the text that are left of the screen

	cols, rows int
	lines      []int // the line on each row
	cursorRow  int   // counted from the first row of the page
}

// do does what changes only how lines are drawn.
func (l *look) do(action string) bool {
	switch action {
	case "logs.wrap":
		l.wrap, l.right = !l.wrap, 0
	case "logs.time":
		l.time = (l.time + 1) % clocks
	case "logs.left":
		l.right = max(l.right-16, 0)
	case "logs.right":
		if !l.wrap && l.right < maxText {
			l.right += 16
		}
	default:
		return false
	}
	return true
}

// lineOn returns the line on a row of the page.
func (l *look) lineOn(y int) (int, bool) {
	if y -= 2; y < 0 || y >= len(l.lines) {
		return 0, false
	}
	return l.lines[y], true
}

// Render draws the search, and the lines below it.
func (p *Page) Render(w, h int) []string {
	if w < 1 || h < 1 {
		return widget.Lines(p.frame.Theme(), nil, w, h)
	}
	t := p.frame.Theme()
	paint := painter{p}
	out := []string{paint.searchLine(w)}
	pane := widget.Pane{Title: "Logs", Note: paint.note(w), Focus: !p.input.Focused()}
	p.look.cols, p.look.rows, p.look.lines, p.look.cursorRow = w, max(h-3, 0), p.look.lines[:0], 2
	var body []string
	if w > 4 && p.look.rows > 0 {
		if len(p.view.shown()) == 0 {
			body = paint.nothing(w-2, h-3)
		} else {
			d := drawer{theme: t, page: p, w: w - 2, h: h - 3}
			body = d.draw()
		}
	}
	return append(out, pane.Render(t, w, h-1, body)...)
}

// painter draws what is around the lines.
type painter struct{ *Page }

// searchLine is what is searched for, and what is filtered by.
func (p painter) searchLine(w int) string {
	t := p.frame.Theme()
	v := p.view
	var right []string
	if !v.query.empty() {
		s := fmt.Sprintf("%d/%d", v.rank(), len(v.found))
		if len(v.found) == 0 {
			right = append(right, t.Warn.Render("no match"))
		} else {
			right = append(right, t.Text.Render(s))
		}
		if v.only {
			right = append(right, t.Accent.Render("only matches"))
		}
	}
	right = append(right, p.filters()...)
	tail := strings.Join(right, t.Muted.Render(" "+t.Glyphs.Dot+" "))
	if tail != "" {
		tail = " " + tail + " "
	}
	room := w - 3 - widget.Width(tail)
	if room < 10 {
		tail, room = "", w-3
	}
	return widget.Fit(t, t.Key.Render(" / ")+p.input.Render(t, max(room, 1))+tail, w)
}

// filters is what is filtered by.
func (p painter) filters() []string {
	t := p.frame.Theme()
	v := p.view
	var out []string
	if v.level != "" {
		s := string(v.level)
		if v.level != vpn.LogError {
			s += " and above"
		}
		out = append(out, styleOf(t, v.level).Render(s))
	}
	if v.source != "" {
		out = append(out, t.Accent.Render("of "+v.source))
	}
	return out
}

// note is what the title's line says at the right.
func (p painter) note(w int) string {
	t := p.frame.Theme()
	v := p.view
	var parts []string
	fault := p.source.fault(p.frame.Now())
	switch {
	case fault != "" && p.ring.len() > 0:
		if w < 100 {
			_, in, _ := strings.Cut(fault, ", again")
			fault = "no stream, again" + in
		}
		parts = append(parts, t.Bad.Render(t.Glyphs.Bad+" "+fault))
	case p.ring.len() == 0 && !p.source.opened:
		return ""
	case v.follow:
		parts = append(parts, t.OK.Render(t.Glyphs.Follow+" follows"))
	default:
		parts = append(parts, t.Warn.Render(t.Glyphs.Paused+" paused"))
	}
	all := p.ring.len()
	count := number(all) + " lines"
	if all == 1 {
		count = "1 line"
	}
	if n := len(v.shown()); n != all {
		count = number(n) + " of " + count
	}
	parts = append(parts, t.Muted.Render(count))
	if n := v.below(); n > 0 {
		parts = append(parts, t.Accent.Render(fmt.Sprintf("+%s new below (%s)", number(n), "G")))
	}
	if p.look.right > 0 {
		parts = append(parts, t.Muted.Render(fmt.Sprintf("from cell %d (h)", p.look.right)))
	}
	return strings.Join(parts, t.Muted.Render(" "+t.Glyphs.Dot+" "))
}

// number writes 20000 as 20,000.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// nothing says why there is no line, and what to do about it.
func (p painter) nothing(w, h int) []string {
	t := p.frame.Theme()
	v := p.view
	var lines []string
	switch {
	case p.ring.len() > 0 && v.only && !v.query.empty():
		lines = []string{"No line has " + widget.Clean(p.input.Value()) + ".", t.Muted.Render("m shows all lines, esc ends the search")}
	case p.ring.len() > 0:
		lines = []string{"None of the " + number(p.ring.len()) + " lines passes the filter: " + strings.Join(p.filters(), " "+t.Glyphs.Dot+" "), t.Muted.Render("esc shows all again; v is the level, o whose lines")}
	case p.source.err != nil:
		for _, l := range widget.Wrap(t.Glyphs.Bad+" "+p.source.fault(p.frame.Now()), w-4) {
			lines = append(lines, t.Bad.Render(l))
		}
		if hint := vpn.HintOf(p.source.err); hint != "" {
			for _, l := range widget.Wrap("hint: "+widget.Clean(hint), w-4) {
				lines = append(lines, t.Muted.Render(l))
			}
		}
	case !p.source.opened:
		return p.skeleton(w, h)
	default:
		lines = []string{"Nothing has been logged yet.", t.Muted.Render("Lines come as they are written, by the control plane and every server.")}
	}
	out := make([]string, 0, h)
	for range max((h-len(lines))/2, 0) {
		out = append(out, "")
	}
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	return out
}

// skeleton is where lines will be.
func (p painter) skeleton(w, h int) []string {
	t := p.frame.Theme()
	out := make([]string, 0, h)
	for i := range min(h, 6) {
		bar := func(n int) string { return strings.Repeat(t.Glyphs.Empty, n) }
		out = append(out, t.Faint.Render(widget.Fit(t, "  "+bar(8)+" "+bar(3)+" "+bar(8)+"  "+bar(max(w/2-i*5, 5)), w)))
	}
	return append(out, "", t.Muted.Render("  asking for the logs"+t.Glyphs.Ellipsis))
}

// drawer draws lines, w cells wide, h high.
type drawer struct {
	theme *theme.Theme
	page  *Page
	w, h  int
	names int // cells for whose line it is
	lead  int // cells before the text
}

func (d *drawer) draw() []string {
	p := d.page
	d.names = 8
	for _, s := range p.ring.sources {
		d.names = max(d.names, min(widget.Width(s), 16))
	}
	if d.w < 78 {
		d.names = min(d.names, 8)
	}
	// The cursor, the time, the level, the name and what is between them.
	d.lead = 1 + p.look.time.width() + 1 + 3 + 1 + d.names + 2
	if d.w-d.lead < 20 {
		d.names, d.lead = 0, 1+p.look.time.width()+1+3+1
	}
	shown := p.view.shown()
	at := p.view.index(p.view.at)
	from := d.from(shown, at)
	p.view.top = shown[from]
	out := make([]string, 0, d.h)
	for i := from; i < len(shown) && len(out) < d.h; i++ {
		if i == at {
			p.look.cursorRow = len(out) + 2
		}
		for _, row := range d.line(p.ring.line(shown[i]), i == at) {
			if len(out) < d.h {
				out = append(out, row)
				p.look.lines = append(p.look.lines, shown[i])
			}
		}
	}
	return out
}

// from returns which line is the first on the screen: the one that was, if
// the cursor is on the screen then. If it went far, it is in the middle.
func (d *drawer) from(shown []int, at int) int {
	v := d.page.view
	bottom := d.above(shown, len(shown)-1, d.h)
	if v.follow {
		return bottom
	}
	from, least := v.index(v.top), d.above(shown, at, d.h)
	switch {
	case from > at+1 || from < least-1:
		from = d.above(shown, at, d.h/2+1)
	default:
		from = max(min(from, at), least)
	}
	return min(from, bottom)
}

// above returns the first of as many lines up to last as h rows have room
// for.
func (d *drawer) above(shown []int, last, h int) int {
	if !d.page.look.wrap {
		return max(last-h+1, 0)
	}
	first, rows := last, d.height(shown[last])
	for first > 0 {
		if rows += d.height(shown[first-1]); rows > h {
			break
		}
		first--
	}
	return first
}

// height returns how many rows a line takes.
func (d *drawer) height(n int) int {
	if !d.page.look.wrap {
		return 1
	}
	room := max(d.w-d.lead-1, 1)
	return max(min((widget.Width(shownText(d.page.ring.line(n).text))+room-1)/room, d.h), 1)
}

// line draws one line, or what of it fits on the screen.
func (d *drawer) line(l line, under bool) []string {
	t := d.theme
	p := d.page
	room := max(d.w-d.lead-1, 1)
	when := p.look.time.write(l.at, p.frame.Now())
	name := ""
	if d.names > 0 {
		name = widget.Fit(t, l.source, d.names) + "  "
	}
	cursor := " "
	if under {
		cursor = t.Glyphs.Cursor
	}
	var lead string
	if under {
		lead = t.Selected.Render(cursor + when + " " + short(l.level) + " " + name)
	} else {
		lead = cursor + t.Muted.Render(when) + " " + styleOf(t, l.level).Render(short(l.level)) + " " + t.Accent.Bold(false).Render(name)
	}
	text := shownText(l.text)
	marks := p.view.query.in(l.text)
	base := [2]lipgloss.Style{t.Text, t.Muted}
	if under {
		base = [2]lipgloss.Style{t.Selected, t.Selected}
	}
	paint := func(from, to, room int) string {
		s := painted(t, text, from, to, l.message, marks, base)
		if under {
			s += t.Selected.Render(strings.Repeat(" ", max(room-widget.Width(text[from:to]), 0)))
		}
		return s
	}
	if !p.look.wrap {
		from := cellsOff(text, 0, p.look.right)
		to := cellsOff(text, from, room)
		if to < len(text) {
			return []string{lead + widget.Fit(t, paint(from, to, room), room) + t.Faint.Render(t.Glyphs.Right)}
		}
		return []string{lead + paint(from, to, room+1)}
	}
	var out []string
	for from := 0; len(out) == 0 || from < len(text); {
		to := max(cellsOff(text, from, room), min(from+1, len(text)))
		out = append(out, lead+paint(from, to, room+1))
		from = to
		if lead = strings.Repeat(" ", d.lead); under {
			lead = t.Selected.Render(t.Glyphs.Cursor + lead[1:])
		}
	}
	return out
}

// cellsOff returns the byte at which, from a byte on, n cells are over.
func cellsOff(text string, from, n int) int {
	for i, r := range text[from:] {
		w := 1
		if r >= 0x7f {
			w = widget.Width(string(r))
		}
		if n < w {
			return from + i
		}
		n -= w
	}
	return len(text)
}

// painted is a part of a line's text: the message, the fields, and what was
// found in them.
func painted(t *theme.Theme, text string, from, to, message int, marks [][2]int, base [2]lipgloss.Style) string {
	var b strings.Builder
	plain := func(from, to int) {
		if m := min(max(message, from), to); m > from {
			b.WriteString(base[0].Render(text[from:m]))
			from = m
		}
		if from < to {
			b.WriteString(base[1].Render(text[from:to]))
		}
	}
	for _, m := range marks {
		a, z := max(m[0], from), min(m[1], to)
		if a >= z {
			continue
		}
		plain(from, a)
		b.WriteString(t.Match.Render(text[a:z]))
		from = z
	}
	plain(from, to)
	return b.String()
}
