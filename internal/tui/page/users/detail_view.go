package users

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// labelWidth is how wide the names of fields are.
const labelWidth = 11

// render draws all about u, as far as it is known, w by h.
func (d *detail) render(u *vpn.UserInfo, w, h int, focus bool) []string {
	t := d.frame.Theme()
	v := view{t: t, w: w - 4, now: d.frame.Now()}
	known := d.known
	if d.of != u.ID {
		known = nil
	}
	v.fields(u)
	if known != nil {
		v.sessions(known.Sessions)
		v.rule("Servers", "ever used")
		v.servers(known.Servers)
	} else if d.err != nil && d.of == u.ID {
		v.add("")
		for _, l := range widget.Wrap(widget.Clean(d.err.Error()), v.w) {
			v.add(t.Bad.Render(l))
		}
	}
	if values, total := d.days(); d.of == u.ID && values != nil {
		v.rule(fmt.Sprintf("Last %d days", historyDays), vpn.FormatSize(total))
		v.days(values)
	}
	v.about(u)
	if known != nil && len(known.Resets) > 0 {
		v.rule("Resets", "used until then")
		v.resets(known.Resets)
	}
	d.lines, d.height = len(v.lines), max(h-2, 0)
	d.scroll(0)
	note := ""
	if below := d.lines - d.height - d.top; below > 0 {
		note = fmt.Sprintf("%s %d more", t.Glyphs.Down, below)
	}
	body := make([]string, 0, d.height)
	for _, l := range v.lines[min(d.top, len(v.lines)):min(d.top+d.height, len(v.lines))] {
		body = append(body, " "+l)
	}
	return widget.Pane{Title: widget.Clean(u.Name), Note: note, Focus: focus}.Render(t, w, h, body)
}

// view is lines about a user, w cells wide.
type view struct {
	t     *theme.Theme
	w     int
	now   time.Time
	lines []string
}

func (v *view) add(line string) { v.lines = append(v.lines, line) }

func (v *view) rule(title, note string) {
	v.add("")
	v.add(widget.Rule(v.t, title, note, v.w))
}

// field adds a name and what it is. The value is not cut within escape codes:
// [widget.Fit] knows them.
func (v *view) field(name, value string) {
	v.add(v.t.Muted.Render(widget.Fit(v.t, name, labelWidth)) + widget.Fit(v.t, value, max(v.w-labelWidth, 0)))
}

// text is field for what others wrote, over several lines if need be.
func (v *view) text(name, value string) {
	if value == "" {
		return
	}
	for i, l := range widget.Wrap(widget.Clean(value), max(v.w-labelWidth, 1)) {
		if i > 0 {
			name = ""
		}
		v.field(name, l)
	}
}

// fields tells about the user's state and limits.
func (v *view) fields(u *vpn.UserInfo) {
	t := v.t
	sign, style := statusSign(t, u)
	state := style.Render(sign + " " + statusWord(u))
	if u.Status == vpn.Expired {
		state += t.Muted.Render(" " + distance(u.ExpiresAt, v.now))
	}
	v.field("status", state)
	v.quota(u)
	switch {
	case u.Holds():
		v.field("expires", vpn.FormatSpan(u.ValidFor.Duration())+" after the first use")
	case u.ExpiresAt.IsZero():
		v.field("expires", t.Muted.Render("never"))
	default:
		v.field("expires", moment(u.ExpiresAt)+t.Muted.Render(", "+distance(u.ExpiresAt, v.now)))
	}
	if !u.FirstUsedAt.IsZero() {
		v.field("first used", moment(u.FirstUsedAt))
	}
	v.limits(u.Limits)
	online := t.Muted.Render("no")
	if u.Online > 0 {
		online = many(u.Online, "connection")
	}
	v.field("online", online)
	if u.Online > 0 {
		v.field("now", both(t, speed(u.Rate.Down), speed(u.Rate.Up)))
	}
}

func (v *view) quota(u *vpn.UserInfo) {
	t := v.t
	used := vpn.FormatSize(u.Used.Total())
	if u.Limits.Quota == 0 {
		v.field("used", used+t.Muted.Render(", no quota"))
		return
	}
	p := part(u)
	style := t.OK
	switch {
	case p >= 0.9:
		style = t.Bad
	case p >= 0.75:
		style = t.Warn
	}
	v.field("quota", style.Render(widget.Bar(t, p, barWidth))+fmt.Sprintf(" %s of %s, %d%%", used, vpn.FormatSize(u.Limits.Quota), int(p*100)))
	if u.Used.Total() > 0 {
		v.field("", both(t, size(u.Used.Down), size(u.Used.Up)))
	}
	if u.Limits.Throttle > 0 {
		v.field("beyond it", "throttled to "+vpn.FormatRate(u.Limits.Throttle))
	}
	if period := widget.Clean(u.Limits.Period.String()); period != "" {
		v.field("period", period)
	}
	if !u.ResetsAt.IsZero() {
		what := "resets"
		if u.Limits.Period.Every == vpn.Rolling {
			what = "less used"
		}
		v.field(what, moment(u.ResetsAt)+t.Muted.Render(", "+distance(u.ResetsAt, v.now)))
	}
}

func (v *view) limits(l vpn.Limits) {
	var parts []string
	if l.RateDown > 0 {
		parts = append(parts, v.t.Glyphs.Down+vpn.FormatRate(l.RateDown))
	}
	if l.RateUp > 0 {
		parts = append(parts, v.t.Glyphs.Up+vpn.FormatRate(l.RateUp))
	}
	if l.Devices > 0 {
		parts = append(parts, many(l.Devices, "device"))
	}
	if l.Connections > 0 {
		parts = append(parts, many(l.Connections, "connection"))
	}
	if parts == nil {
		parts = []string{v.t.Muted.Render("no others")}
	}
	v.field("limits", strings.Join(parts, ", "))
}

// mostPlaces is how many of the places that a user is connected from are
// listed.
const mostPlaces = 8

// sessions tells where the user is connected from: the places, with how many
// connections each has.
func (v *view) sessions(sessions []vpn.Session) {
	type place struct {
		from    netip.Addr
		server  string
		count   int
		since   time.Time
		traffic vpn.Traffic
	}
	var places []place
	for _, s := range sessions {
		i := slices.IndexFunc(places, func(p place) bool { return p.from == s.Source.Addr() && p.server == s.Server })
		if i < 0 {
			i = len(places)
			places = append(places, place{from: s.Source.Addr(), server: s.Server, since: s.Since})
		}
		p := &places[i]
		p.count++
		p.traffic = p.traffic.Add(s.Traffic)
		if s.Since.Before(p.since) {
			p.since = s.Since
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(b.traffic.Total(), a.traffic.Total()) })
	if len(places) > 0 {
		v.rule("Online from", "connections, for, moved")
	}
	for _, p := range places[:min(len(places), mostPlaces)] {
		right := fmt.Sprintf("%d  %s  %s", p.count, short(v.now.Sub(p.since)), vpn.FormatSize(p.traffic.Total()))
		v.spread(p.from.String()+v.t.Muted.Render("  "+widget.Clean(p.server)), right)
	}
	if more := len(places) - mostPlaces; more > 0 {
		v.add(v.t.Muted.Render(fmt.Sprintf("and %d more places", more)))
	}
}

// spread adds a line with something at both of its ends.
func (v *view) spread(left, right string) {
	v.add(widget.Fit(v.t, left, max(v.w-widget.Width(right)-1, 0)) + " " + right)
}

func (v *view) servers(servers []vpn.UserServer) {
	for _, s := range servers {
		used := vpn.FormatSize(s.Used.Total())
		if !s.Allowed {
			used = v.t.Faint.Render("not let in  ") + used
		}
		v.spread(widget.Clean(s.Server)+v.t.Muted.Render("  "+widget.Clean(string(s.Protocol))), used)
	}
	if len(servers) == 0 {
		v.add(v.t.Muted.Render("there is none yet"))
	}
}

func (v *view) days(values []float64) {
	per := max(v.w/len(values), 1)
	stretched := make([]float64, 0, per*len(values))
	for _, x := range values {
		for range per {
			stretched = append(stretched, x)
		}
	}
	w := min(len(stretched), max(v.w, 0))
	v.add(v.t.Accent.UnsetBold().Render(widget.Spark(v.t, stretched, w)))
	from, most := v.now.UTC().AddDate(0, 0, 1-len(values)).Format("Jan 2"), slices.Max(values)
	v.add(v.t.Muted.Render(widget.Fit(v.t, from, max(w/3, 0)) + widget.FitCenter(v.t, "most "+size(uint64(most)), max(w-2*(w/3), 0)) + widget.FitRight(v.t, "today", max(w/3, 0))))
}

// about is what was written about the user.
func (v *view) about(u *vpn.UserInfo) {
	v.add("")
	v.add(widget.Rule(v.t, "About", "", v.w))
	v.text("tags", strings.Join(u.Tags, " "))
	v.text("note", u.Note)
	v.text("e-mail", u.Email)
	v.field("created", moment(u.CreatedAt))
	v.field("id", widget.Clean(string(u.ID)))
}

// mostResets is how many resets are listed: those of a year, if they come by
// the month.
const mostResets = 12

func (v *view) resets(resets []vpn.Reset) {
	for _, r := range resets[:min(len(resets), mostResets)] {
		v.spread(moment(r.At)+v.t.Muted.Render("  "+widget.Clean(r.Actor)), vpn.FormatSize(r.Used.Total()))
	}
}
