package logs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// short is a level in three letters, as they stand in a column.
func short(l vpn.LogLevel) string {
	switch l {
	case vpn.LogDebug:
		return "DBG"
	case vpn.LogWarn:
		return "WRN"
	case vpn.LogError:
		return "ERR"
	}
	return "INF"
}

func styleOf(t *theme.Theme, l vpn.LogLevel) lipgloss.Style {
	switch l {
	case vpn.LogDebug:
		return t.Faint
	case vpn.LogWarn:
		return t.Warn
	case vpn.LogError:
		return t.Bad
	}
	return t.OK
}

// clock is how the time of a line is written.
type clock int

const (
	onlyTime clock = iota
	withDate
	age
	clocks
)

// width is how many cells it takes.
func (c clock) width() int { return [...]int{8, 14, 5}[c] }

func (c clock) write(at, now time.Time) string {
	at = at.In(now.Location())
	switch c {
	case withDate:
		return at.Format("01-02 15:04:05")
	case age:
		return fmt.Sprintf("%5s", widget.Age(now.Sub(at)))
	}
	return at.Format("15:04:05")
}

// plain is a line as it is copied and saved: its time to the millisecond, in
// UTC.
func plain(l line) string {
	return l.at.UTC().Format("2006-01-02T15:04:05.000Z") + " " + short(l.level) + " " + l.source + "  " + shownText(l.text)
}

func shownText(text string) string { return strings.ReplaceAll(text, string(rune(separator)), " ") }

// open shows the line under the cursor with all that it says.
func (p *Page) open() {
	if !p.ring.has(p.view.at) {
		return
	}
	t := p.frame.Theme()
	l := p.ring.line(p.view.at)
	parts := strings.Split(l.text, string(rune(separator)))
	wide := 7
	for _, f := range parts[1:] {
		k, _, _ := strings.Cut(f, "=")
		wide = max(wide, min(widget.Width(k), 24))
	}
	label := func(s string) string { return t.Muted.Render(widget.Fit(t, s, wide)) + "  " }
	lines := []string{
		label("time") + l.at.In(p.frame.Now().Location()).Format("2006-01-02 15:04:05.000 MST") + ", " + widget.Age(p.frame.Now().Sub(l.at)) + " ago",
		label("level") + styleOf(t, l.level).Render(string(l.level)),
		label("of") + l.source,
	}
	if len(parts) > 1 {
		lines = append(lines, "")
	}
	for _, f := range parts[1:] {
		k, v, _ := strings.Cut(f, "=")
		if s, err := strconv.Unquote(v); err == nil {
			v = s
		}
		for i, piece := range widget.Wrap(v, max(min(p.look.cols-8-wide, 70), 20)) {
			if i > 0 {
				k = ""
			}
			lines = append(lines, label(k)+piece)
		}
	}
	head := widget.Wrap(t.Title.Render(parts[0]), max(min(p.look.cols-6, 78), 20))
	p.frame.Open(dialog.NewText(p.frame, "Line", append(append(head, ""), lines...)))
}
