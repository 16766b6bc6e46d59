package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// What is smaller shows one line of totals.
const (
	minWidth  = 60
	minHeight = 18
)

// wide is from where on tabs are written out, and roomy from where on the
// program's name stands before them: below, the state of the whole needs it.
const (
	wide  = 100
	roomy = 64
)

// loading is how long an empty screen may be just that.
const loading = 150 * time.Millisecond

// drawn is what was drawn last, and where on it things are.
type drawn struct {
	dirty  bool
	lines  []string
	text   string // the lines, together
	dialog rect
	tabs   []rect // y is the screen
}

type rect struct{ x, y, w, h int }

func (a *App) fits() bool { return a.w >= minWidth && a.h >= minHeight }

// View draws the screen, unless it would be as it was.
func (a *App) View() tea.View {
	if a.shown.dirty || a.shown.lines == nil {
		a.shown.lines = a.draw()
		a.shown.text = strings.Join(a.shown.lines, "\n")
		a.shown.dirty = false
	}
	v := tea.NewView(a.shown.text)
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = "vpn: " + a.screen.String()
	if a.look.Mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

func (a *App) draw() []string {
	p := painter{a}
	switch {
	case a.w < 1 || a.h < 1:
		return nil
	case !a.fits():
		return p.tiny()
	}
	lines := make([]string, 0, a.h)
	lines = append(lines, p.header())
	lines = append(lines, p.body(a.w, a.h-2)...)
	lines = append(lines, p.footer())
	for i, d := range a.dialogs {
		block := d.Render(a.theme, a.w, a.h)
		w := 0
		for _, l := range block {
			w = max(w, widget.Width(l))
		}
		r := rect{x: (a.w - w) / 2, y: (a.h - len(block)) / 2, w: w, h: len(block)}
		if m, ok := d.(*dialog.Menu); ok {
			r.x, r.y = min(m.X, a.w-w), min(m.Y, a.h-len(block)-1)
		}
		r.x, r.y = max(r.x, 0), max(r.y, 0)
		lines = widget.Over(lines, block, r.x, r.y)
		if i == len(a.dialogs)-1 {
			a.shown.dialog = r
		}
	}
	y := a.h - 2 // inside of the screen's frame
	blocks := a.say.render(a.theme, a.w)
	for i := len(blocks) - 1; i >= 0; i-- {
		y -= len(blocks[i])
		if y < 1 {
			break
		}
		lines = widget.Over(lines, blocks[i], a.w-widget.Width(blocks[i][0])-2, y)
	}
	return lines
}

// painter draws the parts of the frame.
type painter struct{ a *App }

// tiny is what a window shows that has no room for a screen.
func (p painter) tiny() []string {
	a := p.a
	s := a.data.Status
	text := fmt.Sprintf("%s %s%s %s%s", p.fleet(), a.theme.Glyphs.Down, speed(s.Rate.Down), a.theme.Glyphs.Up, speed(s.Rate.Up))
	lines := make([]string, a.h)
	lines[0] = widget.Fit(a.theme, text, a.w)
	if a.h > 1 {
		lines[1] = widget.Fit(a.theme, a.theme.Muted.Render(fmt.Sprintf("%d×%d is too small: %d×%d or more; q quits", a.w, a.h, minWidth, minHeight)), a.w)
	}
	return widget.Lines(a.theme, lines, a.w, a.h)
}

// header is the first line: the tabs, and how the whole is doing.
func (p painter) header() string {
	a := p.a
	t := a.theme
	line, x := "", 0
	if a.w >= roomy {
		line, x = t.Accent.Render(" vpn")+" ", 5
	}
	a.shown.tabs = a.shown.tabs[:0]
	for _, s := range key.Screens() {
		name := s.String()
		if a.w < wide && s != a.screen {
			name = name[:3]
		}
		label := fmt.Sprintf("%d %s", int(s)+1, name)
		style := t.Tab
		if s == a.screen {
			style = t.TabActive
		}
		line += " " + style.Render(label) + " "
		a.shown.tabs = append(a.shown.tabs, rect{x: x, y: int(s), w: len(label) + 2})
		x += len(label) + 2
	}
	for _, right := range p.state() { // as much of it as there is room for
		if free := a.w - x - widget.Width(right); free >= 0 {
			line += strings.Repeat(" ", free) + right
			break
		}
	}
	return widget.Fit(t, line, a.w)
}

// state is the right end of the first line: in full first, then shorter.
func (p painter) state() []string {
	a := p.a
	t := a.theme
	switch {
	case a.frozen:
		return []string{t.Warn.Render(t.Glyphs.Paused + " frozen, p goes on "), t.Warn.Render(t.Glyphs.Paused + " frozen"), t.Warn.Render(t.Glyphs.Paused)}
	case vpn.KindOf(a.fault()) == vpn.Denied:
		return []string{t.Bad.Render(t.Glyphs.Bad + " no access "), t.Bad.Render(t.Glyphs.Bad)}
	case a.fault() != nil:
		return []string{t.Bad.Render(t.Glyphs.Bad + " no daemon "), t.Bad.Render(t.Glyphs.Bad)}
	case !a.data.Known(feed.Status):
		return nil
	}
	if age := a.data.Age(feed.Status, a.o.Now()); age > 3*a.look.Refresh+2*time.Second && a.data.Err(feed.Status) != nil {
		seconds := int(age.Seconds())
		return []string{t.Bad.Render(fmt.Sprintf("%s data is %d s old ", t.Glyphs.Bad, seconds)), t.Bad.Render(fmt.Sprintf("%s %ds old", t.Glyphs.Bad, seconds)), t.Bad.Render(fmt.Sprintf("%s %ds", t.Glyphs.Bad, seconds)), t.Bad.Render(t.Glyphs.Bad)}
	}
	if a.progress != nil {
		done, of := a.progress()
		part := t.Accent.Render(fmt.Sprintf("%s %d of %d", t.Glyphs.Warn, done, of))
		return []string{part + " " + p.fleet() + " ", part + " ", part}
	}
	r := a.data.Status.Rate
	fleet := p.fleet()
	down := t.Down.Render(t.Glyphs.Down + speed(r.Down))
	return []string{fleet + " " + down + " " + t.Up.Render(t.Glyphs.Up+speed(r.Up)) + " ", fleet + " " + down + " ", fleet + " ", fleet, p.counts()}
}

// fleet is how many of the servers that are meant to run do.
func (p painter) fleet() string {
	return p.servers(" up")
}

// counts is fleet in few cells.
func (p painter) counts() string { return p.servers("") }

func (p painter) servers(up string) string {
	a := p.a
	running, all := 0, 0
	for _, s := range a.data.Status.Servers {
		if s.State == vpn.Stopped {
			continue
		}
		all++
		if s.State == vpn.Running || s.State == vpn.Syncing {
			running++
		}
	}
	t := a.theme
	text := fmt.Sprintf(" %d/%d%s", running, all, up)
	if running < all {
		return t.Bad.Render(t.Glyphs.Bad + text)
	}
	return t.OK.Render(t.Glyphs.OK + text)
}

func speed(n uint64) string { return strings.ReplaceAll(vpn.FormatRate(n), " ", "") }

// footer is the last line: the keys of this screen, the most used first.
func (p painter) footer() string {
	a := p.a
	t := a.theme
	var b strings.Builder
	n := 0
	if a.fault() == nil {
		for _, act := range a.o.Keys.On(a.screen) {
			if act.Short == "" {
				continue
			}
			w := widget.Width(act.Label()) + widget.Width(act.Short) + 3
			if n+w > a.w-len(" ? help ") && act.ID != "help" {
				continue
			}
			if n+w > a.w {
				break
			}
			n += w
			b.WriteString(" " + t.Key.Render(act.Label()) + " " + t.Muted.Render(act.Short) + " ")
		}
	}
	return widget.Fit(t, b.String(), a.w)
}

func (p painter) body(w, h int) []string {
	a := p.a
	if err := a.fault(); err != nil {
		return p.without(err, w, h)
	}
	if !a.data.Known(feed.Status) && a.o.Now().Sub(a.since) < loading {
		return widget.Lines(a.theme, nil, w, h)
	}
	return a.pages[a.screen].Render(w, h)
}

func (a *App) canStart() bool {
	return a.o.Start != nil && !a.starts && vpn.KindOf(a.fault()) == vpn.Unavailable
}

// without is the screen where there is no control plane to talk to, and what
// to do about it.
func (p painter) without(err error, w, h int) []string {
	a := p.a
	t := a.theme
	title, rest := "No daemon answers", "It goes on as soon as one answers; q quits."
	switch vpn.KindOf(err) {
	case vpn.Unavailable:
	case vpn.Denied:
		title, rest = "You may not", "It goes on as soon as you may; q quits."
	default:
		title = "The daemon does not answer as it should"
	}
	lines := []string{t.Bad.Bold(true).Render(t.Glyphs.Bad + " " + title), ""}
	lines = append(lines, wrapAll(err.Error(), w-8)...)
	if hint := vpn.HintOf(err); hint != "" {
		for _, l := range wrapAll("hint: "+hint, w-8) {
			lines = append(lines, t.Muted.Render(l))
		}
	}
	lines = append(lines, "")
	enter, _ := a.o.Keys.Of(key.Open)
	switch {
	case a.starts:
		lines = append(lines, t.Accent.Render("a daemon is being started"+t.Glyphs.Ellipsis))
	case a.canStart():
		lines = append(lines, t.Key.Render(enter.Label())+"  start one now, in the background", t.Faint.Render("= vpn serve"))
	}
	lines = append(lines, "")
	for _, l := range widget.WrapWords(rest, max(w-8, 8)) {
		lines = append(lines, t.Muted.Render(l))
	}
	out := make([]string, 0, h)
	for range max((h-len(lines))/2, 0) {
		out = append(out, "")
	}
	for _, l := range lines {
		out = append(out, "    "+l)
	}
	return widget.Lines(t, out, w, h)
}
