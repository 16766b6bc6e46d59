package monitor

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// pane is a part of the screen.
type pane int

const (
	charted pane = iota
	online
	host
	connections
	panes
)

// look is what is on the screen, and where it was drawn last.
type look struct {
	focus    pane
	expanded bool

	w, h  int
	areas []area
	rows  int // of the list
	above int // lines above the list in its pane
}

// area is where a pane is.
type area struct {
	pane       pane
	x, y, w, h int
}

// listed reports whether the list is on the screen.
func (l *look) listed() bool {
	_, ok := l.list()
	return ok
}

// list returns where the list is, if it is on the screen.
func (l *look) list() (area, bool) {
	l.arrange(l.w, l.h)
	if i := slices.IndexFunc(l.areas, func(a area) bool { return a.pane == connections }); i >= 0 {
		return l.areas[i], true
	}
	return area{}, false
}

// arrange says where the panes are on a screen of that size.
func (l *look) arrange(w, h int) {
	l.w, l.h, l.areas = w, h, l.areas[:0]
	add := func(p pane, x, y, w, h int) { l.areas = append(l.areas, area{p, x, y, w, h}) }
	switch {
	case l.expanded || w < 80 || h < 22:
		add(l.focus, 0, 0, w, h)
	case w < 110:
		side := w / 3
		chart := max(8, h/3)
		add(charted, 0, 0, w-side, chart)
		add(online, w-side, 0, side, chart)
		add(host, 0, chart, w, 4)
		add(connections, 0, chart+4, w, h-chart-4)
	default:
		side := min(w*2/5, 56)
		top := max(15, h*2/5)
		add(charted, 0, 0, w-side, top)
		add(host, w-side, 0, side, 8)
		add(online, w-side, 8, side, top-8)
		add(connections, 0, top, w, h-top)
	}
}

// Render draws the panes that there is room for.
func (p *Page) Render(w, h int) []string {
	t := p.frame.Theme()
	p.look.arrange(w, h)
	d := drawer{p, t, p.traffic.series(p.frame.Now())}
	out := make([]string, max(h, 0))
	for _, a := range p.look.areas { // from the left to the right
		for i, line := range d.pane(a) {
			out[a.y+i] += line
		}
	}
	return widget.Lines(t, out, w, h)
}

// drawer draws panes.
type drawer struct {
	*Page
	theme  *theme.Theme
	series series
}

func (d drawer) pane(a area) []string {
	w, h := max(a.w-2, 0), max(a.h-2, 0)
	var body []string
	var frame widget.Pane
	switch a.pane {
	case charted:
		frame, body = d.chart(w, h)
	case online:
		frame, body = d.online(w, h)
	case host:
		frame, body = d.host(w, h)
	default:
		frame, body = d.list(w, h)
	}
	frame.Focus = d.look.focus == a.pane && !d.sessions.filter.Focused()
	if len(d.look.areas) == 1 && !d.look.expanded {
		frame.Note = strings.TrimPrefix(frame.Note+" "+d.theme.Glyphs.Dot+" tab: next", " "+d.theme.Glyphs.Dot+" ")
	}
	return frame.Render(d.theme, a.w, a.h, body)
}

// chart is what was moved in the span.
func (d drawer) chart(w, h int) (widget.Pane, []string) {
	t := d.theme
	name, _, _ := d.traffic.span.of()
	frame := widget.Pane{Title: "Traffic " + t.Glyphs.Dot + " " + widget.Clean(d.traffic.subject.String()), Note: "last " + name + ", [ ] other spans"}
	if w < 60 {
		frame.Note = "last " + name
	}
	if err := d.traffic.fault(); err != nil && !d.traffic.loaded() {
		return frame, d.message(w, h, t.Bad.Render(t.Glyphs.Bad+" "+widget.Clean(err.Error())), widget.Clean(vpn.HintOf(err)))
	} else if err != nil {
		frame.Note = t.Bad.Render(t.Glyphs.Bad + " not new: " + widget.Clean(err.Error()))
	}
	if !d.traffic.loaded() {
		return frame, d.skeleton(w, h)
	}
	s := d.series
	arrows := func(down, up string) string {
		return t.Down.Render(t.Glyphs.Down+down) + " " + t.Up.Render(t.Glyphs.Up+up)
	}
	sum := " " + t.Muted.Render("moved ") + arrows(size(s.moved.Down), size(s.moved.Up)) +
		t.Muted.Render("  highest ") + arrows(size(s.highest.Down)+"/s", size(s.highest.Up)+"/s")
	if n := len(s.down); d.traffic.span == minutes && n > 0 {
		now := t.Muted.Render("  now ") + arrows(size(uint64(s.down[n-1]))+"/s", size(uint64(s.up[n-1]))+"/s")
		if widget.Width(sum)+widget.Width(now) < w {
			sum += now
		}
	}
	if h < 4 {
		return frame, []string{sum}
	}
	columns := w - 8 - 1
	if t.Glyphs.Braille {
		columns *= 2
	}
	lines := widget.Mirror(t, stretch(s.down, columns), stretch(s.up, columns), w-1, h-2, func(v float64) string { return size(uint64(v)) })
	return frame, append(lines, d.axis(w-1), sum)
}

// size is a number of bytes in at most 6 cells.
func size(n uint64) string { return strings.ReplaceAll(vpn.FormatSize(n), " ", "") }

// axis is the times below a chart, w cells wide with its scale.
func (d drawer) axis(w int) string {
	const scale = 8
	cw := w - scale
	if cw < 12 {
		return ""
	}
	loc := d.frame.Now().Location()
	_, length, _ := d.traffic.span.of()
	ticks := max(min(cw/14, 6), 1)
	line := strings.Repeat(" ", scale)
	for i := range ticks {
		at := d.series.until.Add(-length + length*time.Duration(i)/time.Duration(ticks)).In(loc)
		label := at.Format("15:04")
		switch d.traffic.span {
		case minutes:
			label = fmt.Sprintf("-%d s", int(d.series.until.Sub(at).Seconds()))
		case month:
			label = at.Format("01-02")
		}
		x := scale + i*cw/ticks
		line += strings.Repeat(" ", max(x-widget.Width(line), 0)) + label
	}
	return d.theme.Faint.Render(line + widget.FitRight(d.theme, "now", max(w-widget.Width(line), 0)))
}

// online is how many connections there were: of the last minutes in each
// second, of what is longer ago on average in each step.
func (d drawer) online(w, h int) (widget.Pane, []string) {
	t := d.theme
	frame := widget.Pane{Title: "Online"}
	values := d.series.online
	if !d.traffic.loaded() || len(values) == 0 {
		return frame, d.skeleton(w, h)
	}
	most := slices.Max(values)
	_, length, _ := d.traffic.span.of()
	switch known := d.series.watched; {
	case d.traffic.span == minutes:
		frame.Note = fmt.Sprintf("%d now", int(values[len(values)-1]))
		if w > 36 {
			frame.Note += fmt.Sprintf(", most %d, last 2 min", int(most))
		}
	case known == 0:
		return frame, d.message(w, h, t.Muted.Render("Not known of this time."), "A daemon counts connections while it runs.")
	default:
		frame.Note = "most " + count(most)
		if w > 36 {
			frame.Note += " on average"
		}
		if known < length*9/10 && w > 40 {
			frame.Note += ", known of " + widget.Age(known)
		}
	}
	const scale = 6
	columns := w - scale - 1
	if columns < 4 || h < 1 {
		return frame, nil
	}
	cells := columns
	if t.Glyphs.Braille {
		columns *= 2
	}
	lines := widget.Area(t, stretch(values, columns), most, cells, h, false, t.Accent.Bold(false))
	for i := range lines {
		label := ""
		switch i {
		case 0:
			label = count(most)
		case h - 1:
			label = "0"
		}
		lines[i] = t.Muted.Render(widget.FitRight(t, label, scale-1)) + " " + lines[i]
	}
	return frame, lines
}

// count is a number of connections, which is not whole on average.
func count(n float64) string {
	if n < 10 && n != math.Trunc(n) {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 0, 64)
}

// host is how busy and how full the machine is.
func (d drawer) host(w, h int) (widget.Pane, []string) {
	t := d.theme
	frame := widget.Pane{Title: "This host"}
	if !d.frame.Data().Known(feed.Host) {
		if err := d.frame.Data().Err(feed.Host); err != nil {
			return frame, d.message(w, h, t.Bad.Render(t.Glyphs.Bad+" "+widget.Clean(err.Error())), "")
		}
		return frame, d.skeleton(w, h)
	}
	m := d.frame.Data().Host
	frame.Note = widget.Clean(m.Name) + ", up " + widget.Age(time.Duration(m.Uptime)*time.Second)
	var lines []func(w int) string
	gauge := func(label string, part float64, note, more string) {
		lines = append(lines, func(w int) string {
			n, text := 12, note
			switch {
			case w < 32:
				n = 0
			case w > 45:
				n, text = 20, note+more
			}
			return " " + widget.Gauge(t, label, part, w-2-n) + t.Muted.Render(widget.FitRight(t, text, n)) + " "
		})
	}
	if m.CPU != nil {
		note := ""
		if m.Load != nil {
			note = fmt.Sprintf("load %.2f", m.Load.One)
		}
		gauge("CPU", m.CPU.Percent/100, note, fmt.Sprintf(", %d cores", m.CPU.Cores))
	}
	room := func(label string, r vpn.Room) {
		if all := r.Used + r.Free; all > 0 { // what is kept for root is neither
			gauge(label, float64(r.Used)/float64(all), size(r.Free)+" free", "")
		}
	}
	if m.Memory != nil {
		room("MEM", *m.Memory)
	}
	if m.Disk != nil {
		room("DISK", m.Disk.Room)
	}
	if m.Network != nil {
		lines = append(lines, func(w int) string {
			return widget.Fit(t, " NET  "+t.Down.Render(t.Glyphs.Down+size(m.Network.In)+"/s")+" "+t.Up.Render(t.Glyphs.Up+size(m.Network.Out)+"/s")+
				t.Muted.Render("  "+widget.Clean(strings.Join(m.Network.Interfaces, " "))), w)
		})
	}
	if m.Swap != nil {
		room("SWAP", *m.Swap)
	}
	lines = append(lines, func(w int) string { return t.Faint.Render(widget.Fit(t, " "+widget.Clean(m.System), w)) })
	if h >= len(lines) || w < 60 {
		out := make([]string, 0, len(lines))
		for _, l := range lines {
			out = append(out, l(w))
		}
		return frame, out
	}
	var out []string
	for i := 0; i+1 < len(lines) && len(out) < h; i += 2 {
		out = append(out, widget.Fit(t, lines[i](w/2), w/2)+lines[i+1](w-w/2))
	}
	return frame, out
}

// list is the live connections.
func (d drawer) list(w, h int) (widget.Pane, []string) {
	t := d.theme
	s := d.sessions
	frame := widget.Pane{Title: "Connections", Note: fmt.Sprint(s.table.Len())}
	if s.table.Len() != s.table.Rows() {
		frame.Note = fmt.Sprintf("%d of %d", s.table.Len(), s.table.Rows())
	}
	var lines []string
	if s.filter.Focused() || s.filter.Value() != "" {
		lines = append(lines, t.Key.Render(" / ")+s.filter.Render(t, max(w-4, 1)))
	}
	d.look.above = len(lines)
	d.look.rows = max(h-len(lines)-1, 0)
	known, err := d.frame.Data().Known(feed.Sessions), d.frame.Data().Err(feed.Sessions)
	switch {
	case !known && err != nil:
		lines = append(lines, d.message(w, h-len(lines), t.Bad.Render(t.Glyphs.Bad+" "+widget.Clean(err.Error())), widget.Clean(vpn.HintOf(err)))...)
	case !known:
		frame.Note = ""
		lines = append(lines, d.skeleton(w, h-len(lines))...)
	case s.table.Rows() == 0:
		lines = append(lines, d.message(w, h-len(lines), "Nobody is connected.", "2 is the screen of users: r shows what a client application scans")...)
	case s.table.Len() == 0:
		lines = append(lines, d.message(w, h-len(lines), "None of "+connectionsOf(s.table.Rows())+" is "+widget.Clean(s.wanted())+".", "esc shows all again")...)
	default:
		lines = append(lines, s.table.Render(t, w, h-len(lines), d.look.focus == connections)...)
	}
	return frame, lines
}

// message is what stands in a pane in which there is nothing else.
func (d drawer) message(w, h int, text, more string) []string {
	var lines []string
	for _, l := range append(widget.Wrap(text, max(w-4, 1)), widget.Wrap(d.theme.Muted.Render(more), max(w-4, 1))...) {
		lines = append(lines, "  "+l)
	}
	return append(make([]string, max((h-len(lines))/2, 0)), lines...)
}

// skeleton is where things will be.
func (d drawer) skeleton(w, h int) []string {
	out := make([]string, 0, h)
	for i := range min(h, 5) {
		out = append(out, d.theme.Faint.Render(" "+strings.Repeat(d.theme.Glyphs.Empty, max(w*(6-i%3)/8, 0))))
	}
	return out
}
