package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// span is how many seconds the chart shows.
const span = 120

// view writes the sections from what is known.
type view struct {
	frame page.Frame
	watch *watch
}

func itoa(n int) string { return strconv.Itoa(n) }

func many(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return itoa(n) + " " + one + "s"
}

func (v view) usersNote() string {
	if !v.frame.Data().Known(feed.Status) {
		return ""
	}
	return itoa(total(v.frame.Data().Status.Users))
}

// users is how many there are of each kind, and who is near an end.
func (v view) users(w, h int) []string {
	t := v.frame.Theme()
	d := v.frame.Data()
	if !d.Known(feed.Status) {
		return skeleton(t, w, h)
	}
	kinds := []struct {
		status vpn.UserStatus
		sign   string
		style  lipgloss.Style
	}{
		{vpn.Active, t.Glyphs.OK, t.OK},
		{vpn.Limited, t.Glyphs.Warn, t.Warn},
		{vpn.Expired, t.Glyphs.Bad, t.Bad},
		{vpn.OnHold, t.Glyphs.Off, t.Muted},
		{vpn.Disabled, t.Glyphs.Off, t.Muted},
	}
	var parts []string
	for _, k := range kinds {
		if n := d.Status.Users[k.status]; n > 0 || k.status == vpn.Active {
			parts = append(parts, k.style.Render(k.sign)+" "+strings.ReplaceAll(string(k.status), "_", " ")+" "+itoa(n))
		}
	}
	line := " " + strings.Join(parts, "   ")
	if h == 1 { // what matters most, first, and no half of anything
		line = " " + itoa(d.Status.UsersOnline) + " online"
		for _, part := range parts {
			if widget.Width(line)+2+widget.Width(part) <= w {
				line += "  " + part
			}
		}
		return []string{line}
	}
	second := " online now " + itoa(d.Status.UsersOnline) + ", " + many(d.Status.Online, "connection")
	if n := d.Status.Expiring.Count; n > 0 {
		second += "   " + t.Warn.Render(itoa(n)+" expiring <7d")
	}
	if n := d.Status.NearQuota.Count; n > 0 {
		second += "   " + t.Warn.Render(itoa(n)+" near quota")
	}
	return []string{line, second}
}

func (v view) trafficNote() string {
	if !v.frame.Data().Known(feed.Status) {
		return ""
	}
	g := v.frame.Theme().Glyphs
	r := v.frame.Data().Status.Rate
	return "last 2 min " + g.Dot + " " + g.Down + " " + vpn.FormatRate(r.Down) + " " + g.Up + " " + vpn.FormatRate(r.Up)
}

// traffic is the last two minutes, as wide as there is room.
func (v view) traffic(w, h int) []string {
	t := v.frame.Theme()
	w-- // a margin
	if !v.frame.Data().Known(feed.Rates) {
		if err := v.frame.Data().Err(feed.Rates); err != nil {
			return []string{" " + t.Warn.Render(t.Glyphs.Warn) + " " + t.Muted.Render(clean(err.Error()))}
		}
		return skeleton(t, w, h)
	}
	recent := v.frame.Data().Recent("", span)
	if h < 4 {
		line := func(sign string, values []float64, now uint64, style lipgloss.Style) string {
			label := " " + sign + widget.FitRight(t, short(now), 7) + " "
			return label + style.Render(widget.Spark(t, stretch(values, max(w-10, 1)), max(w-10, 1)))
		}
		r := v.frame.Data().Status.Rate
		return []string{line(t.Glyphs.Down, recent.Down, r.Down, t.Down), line(t.Glyphs.Up, recent.Up, r.Up, t.Up)}
	}
	n := max(w-8, 1)
	if t.Glyphs.Braille {
		n *= 2
	}
	return widget.Mirror(t, stretch(recent.Down, n), stretch(recent.Up, n), w, h, func(f float64) string { return short(uint64(max(f, 0))) })
}

// stretch makes n values of them: where they are fewer, each is repeated;
// where they are more, the highest of several counts.
func stretch(values []float64, n int) []float64 {
	out := make([]float64, n)
	if len(values) == 0 {
		return out
	}
	for i := range out {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		out[i] = values[from]
		for _, x := range values[from:max(to, from+1)] {
			out[i] = max(out[i], x)
		}
	}
	return out
}

func (v view) hostNote() string {
	h := v.frame.Data().Host
	if h.Uptime == 0 {
		return ""
	}
	return "up " + age(h.Uptime.Duration())
}

// gauges are what of the host can be full.
func (v view) gauges(t *theme.Theme) []func(w int) string {
	h := v.frame.Data().Host
	var out []func(int) string
	add := func(label string, part float64) {
		out = append(out, func(w int) string { return widget.Gauge(t, label, part, w) })
	}
	if h.CPU != nil {
		add("CPU", h.CPU.Percent/100)
	}
	if h.Memory != nil {
		add("MEM", usedPart(*h.Memory))
	}
	if h.Disk != nil {
		add("DISK", usedPart(h.Disk.Room))
	}
	return out
}

// unknown says why nothing is known of the host; nil: something is.
func (v view) unknown(w, h int) []string {
	t := v.frame.Theme()
	d := v.frame.Data()
	switch err := d.Err(feed.Host); {
	case d.Known(feed.Host):
		return nil
	case err != nil:
		return []string{" " + t.Warn.Render(t.Glyphs.Warn) + " " + t.Muted.Render(clean(err.Error()))}
	}
	return skeleton(t, w, h)
}

// host has a line for each thing.
func (v view) host(w, h int) []string {
	t := v.frame.Theme()
	if lines := v.unknown(w, h); lines != nil {
		return lines
	}
	var out []string
	for _, g := range v.gauges(t) {
		out = append(out, " "+g(max(w-2, 1)))
	}
	host := v.frame.Data().Host
	if n := host.Network; n != nil {
		out = append(out, fmt.Sprintf(" NET  in %s, out %s", vpn.FormatRate(n.In), vpn.FormatRate(n.Out)))
	}
	var more []string
	if l := host.Load; l != nil {
		more = append(more, fmt.Sprintf("load %.2f %.2f %.2f", l.One, l.Five, l.Fifteen))
	}
	if host.CPU != nil {
		more = append(more, many(host.CPU.Cores, "core"))
	}
	if host.Name != "" {
		more = append(more, clean(host.Name))
	}
	if len(more) > 0 {
		out = append(out, " "+t.Muted.Render(strings.Join(more, " "+t.Glyphs.Dot+" ")))
	}
	return out
}

// hostLine has everything in one.
func (v view) hostLine(w, h int) []string {
	if lines := v.unknown(w, h); lines != nil {
		return lines
	}
	t := v.frame.Theme()
	gauges := v.gauges(t)
	if len(gauges) == 0 {
		return nil
	}
	each := (w - 1) / len(gauges)
	var b strings.Builder
	for _, g := range gauges {
		b.WriteString(" " + g(max(each-2, 1)) + " ")
	}
	return []string{b.String()}
}

func (v view) fleetNote() string {
	if !v.frame.Data().Known(feed.Status) {
		return ""
	}
	up, all := 0, 0
	for _, s := range v.frame.Data().Status.Servers {
		if s.State != vpn.Stopped {
			all++
		}
		if s.State == vpn.Running || s.State == vpn.Syncing {
			up++
		}
	}
	return fmt.Sprintf("%d/%d up", up, all)
}

// server is one server: how fast it is, or why it is not.
func (v view) server(i, w int) string {
	t := v.frame.Theme()
	w-- // a margin
	s := v.frame.Data().Status.Servers[i]
	sign, style := t.Glyphs.Bad, t.Bad
	switch s.State {
	case vpn.Running:
		sign, style = t.Glyphs.OK, t.OK
	case vpn.Starting, vpn.Syncing:
		sign, style = t.Glyphs.Warn, t.Warn
	case vpn.Stopped:
		sign, style = t.Glyphs.Off, t.Muted
	}
	name := min(max(w/4, 8), 20)
	lead := style.Render(sign) + " " + widget.Fit(t, clean(s.Name), name) + " "
	if s.State != vpn.Running && s.State != vpn.Syncing {
		text := clean(string(s.State))
		if s.Problem != "" && s.State != vpn.Stopped {
			text += ": " + clean(s.Problem)
		}
		return lead + style.Render(widget.Fit(t, text, max(w-name-3, 0)))
	}
	tail := " " + widget.FitRight(t, t.Glyphs.Down+short(s.Rate.Down), 7) + " " + widget.FitRight(t, t.Glyphs.Up+short(s.Rate.Up), 7) + " " + widget.FitRight(t, itoa(s.Online)+" on", 7)
	room := w - name - 3 - widget.Width(tail)
	if room < 3 {
		return lead + tail
	}
	recent := v.frame.Data().Recent(s.Name, span)
	both := make([]float64, len(recent.Down))
	for k := range both {
		both[k] = recent.Down[k] + recent.Up[k]
	}
	return lead + t.Down.Render(widget.Spark(t, stretch(both, room), room)) + tail
}

func (v view) needsNote() string {
	if n := len(v.watch.items); n > 0 {
		return itoa(n)
	}
	return ""
}

// item is one thing that needs somebody, in one line.
func (v view) item(i, w int) string {
	t := v.frame.Theme()
	long := v.long(i)
	return v.sign(i) + " " + widget.Fit(t, clean(v.watch.items[i].text), max(w-3-widget.Width(long), 0)) + t.Muted.Render(long)
}

// whole is item with all of its text.
func (v view) whole(i, w int) []string {
	lines := widget.WrapWords(clean(v.watch.items[i].text+v.long(i)), max(w-3, 8))
	for k := range lines {
		lead := "  "
		if k == 0 {
			lead = v.sign(i) + " "
		}
		lines[k] = lead + lines[k]
	}
	return lines
}

func (v view) sign(i int) string {
	t := v.frame.Theme()
	if v.watch.items[i].weight == bad {
		return t.Bad.Render(t.Glyphs.Bad)
	}
	return t.Warn.Render(t.Glyphs.Warn)
}

// long is how long it has been so.
func (v view) long(i int) string {
	since := v.watch.items[i].since
	if since.IsZero() {
		return ""
	}
	return " for " + age(v.frame.Now().Sub(since))
}

// fast is one of the users who move the most now.
func (v view) fast(i, w int) string {
	t := v.frame.Theme()
	fast := v.frame.Data().Fastest()
	if i >= len(fast) {
		return ""
	}
	u := fast[i]
	most := fast[0].Up + fast[0].Down
	name := min(max(w/4, 8), 24)
	tail := " " + widget.FitRight(t, t.Glyphs.Down+short(u.Down), 7) + " " + widget.FitRight(t, t.Glyphs.Up+short(u.Up), 7)
	room := w - name - 2 - widget.Width(tail)
	bar := ""
	if most > 0 && room > 0 {
		n := int(float64(u.Up+u.Down) / float64(most) * float64(room))
		bar = t.Down.Render(strings.Repeat(t.Glyphs.Full, n))
	}
	return widget.Fit(t, clean(u.Of), name) + " " + widget.Fit(t, bar, max(room, 0)) + tail
}
