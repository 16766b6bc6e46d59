package dashboard

import (
	"strings"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// From where on sections stand in two columns, and have a line for each thing
// of the host.
const (
	wide = 110
	tall = 22
)

// block is a section as it is placed: so many lines at least, and a share of
// what is left.
type block struct {
	section
	title, note string
	least       int
	share       int
	lines       func(w, h int) []string
}

// Render draws the screen.
func (p *Page) Render(w, h int) []string {
	t := p.frame.Theme()
	d := p.frame.Data()
	p.shown = p.shown[:0]
	if d.Known(feed.Status) && len(d.Status.Servers) == 0 {
		return p.welcome(t, w, h)
	}
	if p.full {
		b := p.block(p.focus, false)
		b.least, b.share = 0, 1
		return p.stack(t, 0, w, h, b)
	}
	if w >= wide && h >= tall {
		left := w * 3 / 5
		p.keep(users, traffic, top, host, fleet, needs)
		return widget.Beside(
			p.stack(t, 0, left, h, p.block(users, false), p.block(traffic, false), p.block(top, false)),
			p.stack(t, left, w-left, h, p.block(host, false), p.block(fleet, false), p.block(needs, false)),
		)
	}
	p.keep(users, traffic, host, fleet, needs)
	if h >= tall {
		return p.stack(t, 0, w, h, p.block(users, false), p.block(traffic, true), p.block(host, true), p.block(fleet, true), p.block(needs, true))
	}
	return p.stack(t, 0, w, h, p.block(needs, true), p.block(fleet, true), p.block(users, true), p.block(traffic, true), p.block(host, true))
}

// keep gives the keys to a section that is shown.
func (p *Page) keep(shown ...section) {
	for _, s := range shown {
		if s == p.focus {
			return
		}
	}
	p.focus = shown[0]
}

// block returns a section; in a low one, each thing has less room.
func (p *Page) block(s section, low bool) block {
	v := view{p.frame, p.watch}
	c := p.lists[s]
	b := block{section: s}
	switch s {
	case users:
		b.title, b.note, b.least, b.lines = "Users", v.usersNote(), 2, v.users
		if low {
			b.least = 1
		}
	case traffic:
		b.title, b.note, b.least, b.share, b.lines = "Traffic", v.trafficNote(), 2, 6, v.traffic
	case host:
		b.title, b.note, b.least, b.lines = "This host", v.hostNote(), 5, v.host
		if low {
			b.least, b.lines = 1, v.hostLine
		}
	case fleet:
		b.title, b.note, b.least, b.share = "Servers", v.fleetNote(), min(max(c.n, 1), 12), 1
		b.lines = p.list(fleet, v.server, nil, "")
		if low {
			b.least, b.share = min(max(c.n, 1), 4), 1
		}
	case needs:
		b.title, b.note, b.least, b.share = "Needs you", v.needsNote(), min(max(c.n, 1), 8), 4
		b.lines = p.list(needs, v.item, v.whole, p.frame.Theme().OK.Render(p.frame.Theme().Glyphs.OK)+" all is well")
		if low {
			b.least, b.share = min(max(c.n, 1), 3), 2
		}
	case top:
		b.title, b.least = "Top users now", min(max(c.n, 1), 8)
		b.lines = p.list(top, v.fast, nil, p.frame.Theme().Muted.Render("nobody moves anything"))
	}
	return b
}

// list draws the rows of a section around its cursor: each in one line or, if
// there is room for all of them, in as many as whole gives it.
func (p *Page) list(s section, row func(i, w int) string, whole func(i, w int) []string, none string) func(w, h int) []string {
	return func(w, h int) []string {
		t := p.frame.Theme()
		c := p.lists[s]
		c.lines = c.lines[:0]
		if !p.frame.Data().Known(feed.Status) {
			return skeleton(t, w, h)
		}
		if c.n == 0 {
			return []string{" " + none}
		}
		one := func(i int) []string { return []string{row(i, w-1)} }
		if whole != nil {
			all := 0
			for i := range min(c.n, h+1) {
				all += len(whole(i, w-1))
			}
			if all <= h {
				one = func(i int) []string { return whole(i, w-1) }
				c.top = 0
			}
		}
		c.top = widget.Scrolled(c.top, c.at, c.n, max(h, 1))
		var out []string
		for i := c.top; i < min(c.top+h, c.n); i++ {
			for k, line := range one(i) {
				if i == c.at && s == p.focus && k == 0 {
					line = t.Accent.Render(t.Glyphs.Cursor) + line
				} else {
					line = " " + line
				}
				out = append(out, line)
				c.lines = append(c.lines, i)
			}
		}
		if below := c.n - c.top - h; below > 0 && h > 1 {
			more := " " + t.Glyphs.Down + " " + itoa(below) + " more"
			out[h-1] = widget.Fit(t, out[h-1], w-widget.Width(more)) + t.Muted.Render(more)
		}
		return out
	}
}

// stack draws sections one below the other in one frame, at column x.
func (p *Page) stack(t *theme.Theme, x, w, h int, blocks ...block) []string {
	if w < 8 || h < 3 {
		return widget.Lines(t, nil, w, h)
	}
	blocks = fit(blocks, h)
	heights := share(blocks, h-len(blocks)-1)
	var out []string
	for i, b := range blocks {
		left, right := t.Glyphs.TeeLeft, t.Glyphs.TeeRight
		if i == 0 {
			left, right = t.Glyphs.TopLeft, t.Glyphs.TopRight
		}
		out = append(out, rule(t, left, right, b.title, b.note, w, b.section == p.focus))
		p.shown = append(p.shown, area{b.section, x, len(out), w, heights[i]})
		side := t.Border.Render(t.Glyphs.Vertical)
		for _, l := range widget.Lines(t, b.lines(w-2, heights[i]), w-2, heights[i]) {
			out = append(out, side+l+side)
		}
	}
	g := t.Glyphs
	return append(out, t.Border.Render(g.BottomLeft+strings.Repeat(g.Horizontal, w-2)+g.BottomRight))
}

// fit leaves out the last sections for which there is no line.
func fit(blocks []block, h int) []block {
	for len(blocks) > 1 && 2*len(blocks)+1 > h {
		blocks = blocks[:len(blocks)-1]
	}
	return blocks
}

// share gives each section what it needs at least, in their order as far as it
// goes, a line to each first, and then its share of what is left.
func share(blocks []block, room int) []int {
	out := make([]int, len(blocks))
	for i := range blocks {
		if room > 0 {
			out[i]++
			room--
		}
	}
	for i, b := range blocks {
		more := min(max(b.least-out[i], 0), room)
		out[i] += more
		room -= more
	}
	all := 0
	for _, b := range blocks {
		all += b.share
	}
	if all == 0 {
		return out
	}
	left := room
	last := 0
	for i, b := range blocks {
		if b.share > 0 {
			out[i] += room * b.share / all
			left -= room * b.share / all
			last = i
		}
	}
	out[last] += left
	return out
}

// rule is the upper edge of a section.
func rule(t *theme.Theme, left, right, title, note string, w int, focus bool) string {
	border, style := t.Border, t.Title
	if focus {
		style = t.Accent
	}
	if focus {
		title = t.Glyphs.Pick + " " + title
	}
	title = " " + title + " "
	if note != "" {
		note = " " + note + " "
	}
	free := w - 4 - widget.Width(title) - widget.Width(note)
	if free < 1 {
		note, free = "", w-4-widget.Width(title)
	}
	g := t.Glyphs
	line := border.Render(left+g.Horizontal) + style.Render(title) + border.Render(strings.Repeat(g.Horizontal, max(free, 0))) + t.Muted.Render(note) + border.Render(g.Horizontal+right)
	return widget.Fit(t, line, w)
}

// skeleton is rows of which nothing is known yet.
func skeleton(t *theme.Theme, w, h int) []string {
	var out []string
	for i := range min(h, 4) {
		out = append(out, " "+t.Faint.Render(strings.Repeat(t.Glyphs.Empty, max(min(w-2, 36-7*(i%3)), 0))))
	}
	return out
}

// welcome is what somebody sees who has just installed it.
func (p *Page) welcome(t *theme.Theme, w, h int) []string {
	label := func(id string) string {
		a, _ := p.frame.Keys().Of(id)
		return a.Label()
	}
	step := func(screen, create, what, twin string) []string {
		return []string{
			t.Key.Render(label(screen)) + " then " + t.Key.Render(label(create)) + "   " + what,
			"             " + t.Faint.Render("= "+twin),
		}
	}
	lines := []string{t.Title.Render("Nobody can connect yet: there is no server."), ""}
	lines = append(lines, step("screen.servers", "server.create", "make a server: pick a protocol", "vpn server create")...)
	lines = append(lines, "")
	lines = append(lines, step("screen.users", "users.create", "make a user: get a link, a QR code", "vpn users create NAME")...)
	lines = append(lines, "", t.Muted.Render(label("help")+" says what each key does, "+label("palette")+" finds anything."))
	body := make([]string, 0, h)
	for range max((h-2-len(lines))/2, 0) {
		body = append(body, "")
	}
	for _, l := range lines {
		body = append(body, "   "+l)
	}
	return widget.Pane{Title: "Welcome", Focus: true}.Render(t, w, h, body)
}
