package servers

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// layout is where things were when rendered last.
type layout struct {
	both   bool // list and server stand side by side
	filter bool // the first line is the filter's
	listW  int  // the list's width; 0: it is not shown
	rows   int  // of the pane with the keys
}

// titles is on which line those of the list are.
func (l layout) titles() int {
	if l.filter {
		return 2
	}
	return 1
}

// Render draws the list, the server, or both.
func (p *Page) Render(w, h int) []string {
	t := p.frame.Theme()
	p.shown = layout{both: w >= wide && !p.full, rows: h - 3}
	var out []string
	if p.list.input.Focused() || p.list.input.Value() != "" {
		if p.shown.filter = p.shown.both || !p.inside; p.shown.filter {
			out = append(out, p.filterLine(t, w))
			h--
		}
	}
	_, any := p.list.current()
	switch {
	case !any && p.frame.Data().Known(feed.Status):
		p.inside = false
		p.shown.both, p.shown.listW = false, w
		return widget.Lines(t, append(out, p.list.render(w, h, true)...), w, len(out)+h)
	case p.shown.both:
		p.shown.listW = w * 13 / 20
		return append(out, widget.Beside(p.list.render(p.shown.listW, h, !p.inside), p.detail(w-p.shown.listW, h))...)
	case p.inside:
		return append(out, p.detail(w, h)...)
	}
	p.shown.listW = w
	return append(out, p.list.render(w, h, true)...)
}

func (p *Page) filterLine(t *theme.Theme, w int) string {
	a, _ := p.frame.Keys().Of(key.Filter)
	lead := " " + t.Key.Render(a.Label()) + " "
	return widget.Fit(t, lead+p.list.input.Render(t, max(w-4, 1)), w)
}

// detail draws all of the server under the cursor.
func (p *Page) detail(w, h int) []string {
	t := p.frame.Theme()
	s, ok := p.list.current()
	if !ok {
		return widget.Pane{Focus: p.inside}.Render(t, w, h, skeleton(t, w-2, h-2))
	}
	lines := p.sheet(t, s, w-4)
	p.top = max(min(p.top, len(lines)-(h-2)), 0)
	note := ""
	if below := len(lines) - (h - 2) - p.top; below > 0 {
		note = t.Glyphs.Down + " " + strconv.Itoa(below) + " more"
	}
	body := make([]string, 0, h)
	for _, l := range lines[p.top:min(p.top+h-2, len(lines))] {
		body = append(body, " "+l)
	}
	return widget.Pane{Title: widget.Clean(s.Name), Note: note, Focus: p.inside}.Render(t, w, h, body)
}

// sheet writes lines of labels and values, which it wraps.
type sheet struct {
	t     *theme.Theme
	w     int
	label int // the width of the labels
	lines []string
}

// add adds a line; nothing is added for an empty value.
func (s *sheet) add(label, value string) { s.style(label, value, nil) }

func (s *sheet) style(label, value string, render func(...string) string) {
	if value == "" {
		return
	}
	for i, l := range widget.Wrap(widget.Clean(value), max(s.w-s.label, 8)) {
		if i > 0 {
			label = ""
		}
		if render != nil {
			l = render(l)
		}
		s.lines = append(s.lines, s.t.Muted.Render(widget.Fit(s.t, label, s.label))+l)
	}
}

// part begins a part with a title.
func (s *sheet) part(title, note string) {
	s.lines = append(s.lines, "", widget.Rule(s.t, title, note, s.w))
}

// sheet is all that is known of s, in lines of w cells.
func (p *Page) sheet(t *theme.Theme, s vpn.ServerInfo, w int) []string {
	out := &sheet{t: t, w: w, label: 12}
	state := stateText(t, s.State)
	if s.State != vpn.Running && !s.Since.IsZero() {
		state += " for " + age(p.frame.Now().Sub(s.Since))
	}
	out.style("state", state, stateStyle(t, s.State).Render)
	if s.Problem != "" && s.State != vpn.Stopped {
		out.style("problem", s.Problem, t.Bad.Render)
		out.style("hint", p.hint(s), t.Muted.Render)
	}
	out.add("protocol", string(s.Protocol))
	out.add("endpoint", s.Endpoint)
	out.add("listens on", net.JoinHostPort(s.Listen.String(), strconv.Itoa(int(s.Port)))+networks(p.deeds.o.Protocols, s.Protocol))
	if s.Worker != nil {
		out.add("now", speed(s.Rate, t))
		recent := p.frame.Data().Recent(s.Name, max(w-out.label, 1))
		both := make([]float64, len(recent.Down))
		for i := range both {
			both[i] = recent.Down[i] + recent.Up[i]
		}
		out.style("", widget.Spark(t, both, max(w-out.label, 1)), t.Down.Render)
	}
	out.add("used", t.Glyphs.Down+" "+vpn.FormatSize(s.Used.Down)+"  "+t.Glyphs.Up+" "+vpn.FormatSize(s.Used.Up))
	if test, ok := p.deeds.tests[s.ID]; ok {
		sign, style := t.Glyphs.Mark, t.OK
		if test.err {
			sign, style = t.Glyphs.Bad, t.Bad
		}
		out.style("test", sign+" "+test.text+" ("+age(p.frame.Now().Sub(test.at))+" ago)", style.Render)
	}
	p.warnings(out, s)
	p.worker(out, s)
	settings(out, p.deeds.o.Protocols, s)
	p.connections(out, s)
	return out.lines
}

// hint says what to do about a server that does not run.
func (p *Page) hint(s vpn.ServerInfo) string {
	label := func(id string) string {
		a, _ := p.frame.Keys().Of(id)
		return a.Label()
	}
	if s.State == vpn.Failed && strings.Contains(s.Problem, "in use") {
		return label("server.update") + " gives it another port, " + label("server.logs") + " shows its log"
	}
	return label("server.logs") + " shows its log, " + label("server.restart") + " starts it anew"
}

func (p *Page) warnings(out *sheet, s vpn.ServerInfo) {
	a, ok := p.about[s.ID]
	if !ok || a.err == nil && len(a.warnings) == 0 {
		return
	}
	out.part("Warnings", "")
	if a.err != nil {
		out.style(out.t.Glyphs.Bad, "what else there is to say of it is not known: "+a.err.Error(), out.t.Bad.Render)
	}
	for _, w := range a.warnings {
		for i, l := range widget.WrapWords(widget.Clean(w), max(out.w-2, 8)) {
			sign := "  "
			if i == 0 {
				sign = out.t.Warn.Render(out.t.Glyphs.Warn) + " "
			}
			out.lines = append(out.lines, sign+l)
		}
	}
}

func (p *Page) worker(out *sheet, s vpn.ServerInfo) {
	wk := s.Worker
	if wk == nil {
		return
	}
	out.part("Worker", "")
	out.add("process", fmt.Sprintf("pid %d, uid %d", wk.PID, wk.UID))
	out.add("version", wk.Version)
	out.add("runs for", age(p.frame.Now().Sub(wk.StartedAt))+", since "+wk.StartedAt.Format("01-02 15:04"))
	out.add("restarts", strconv.Itoa(wk.Restarts))
	if wk.CPU != nil {
		out.add("CPU", percent(wk.CPU)+" of the host")
	}
	out.add("memory", vpn.FormatSize(wk.Memory))
	carrier := wk.Carrier
	if wk.Why != "" {
		carrier += ": " + wk.Why
	}
	out.add("carried by", carrier)
	if wk.Confined {
		out.add("confined", "yes, by Landlock")
	} else {
		out.style("confined", "no: the kernel has no Landlock, or it is switched off", out.t.Warn.Render)
	}
}

// networks says on what a protocol listens.
func networks(ps []protocol.Protocol, name vpn.Protocol) string {
	for _, p := range ps {
		if p.Name() == name {
			return " " + strings.Join(p.Networks(), "+")
		}
	}
	return ""
}

// settings writes those that a person may give, as they are now.
func settings(out *sheet, ps []protocol.Protocol, s vpn.ServerInfo) {
	before := len(out.lines)
	out.part("Settings", "")
	defer func(title int) {
		if len(out.lines) == title {
			out.lines = out.lines[:before]
		}
	}(len(out.lines))
	i := slices.IndexFunc(ps, func(p protocol.Protocol) bool { return p.Name() == s.Protocol })
	var values map[string]any
	unread := i < 0 || json.Unmarshal(s.Settings, &values) != nil
	if !unread {
		for _, f := range ps[i].Fields() {
			if values[f.Key] != nil {
				out.label = max(out.label, widget.Width(labelOf(f))+1)
			}
		}
	}
	out.add("public host", s.PublicHost)
	if c := s.Container; c != nil {
		name := ""
		if s.Worker != nil {
			name = s.Worker.Container
		}
		out.add("container", name)
		out.add("in network", c.Network)
	}
	out.add("allow", prefixes(s.Allow))
	if unread {
		out.add("all", string(s.Settings))
		return
	}
	for _, f := range ps[i].Fields() {
		v, ok := values[f.Key]
		text := plain(v)
		switch {
		case !ok || text == "":
			continue
		case f.File:
			text = "given"
		}
		out.add(labelOf(f), text)
	}
}

// plain writes a setting's value as a person gives it.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		texts := make([]string, 0, len(v))
		for _, e := range v {
			texts = append(texts, fmt.Sprint(e))
		}
		return strings.Join(texts, ", ")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	}
	return fmt.Sprint(v)
}

// connections writes who is connected, those with the most first.
func (p *Page) connections(out *sheet, s vpn.ServerInfo) {
	d := p.frame.Data()
	count := map[string]int{}
	all := 0
	for _, c := range d.Sessions {
		if c.Server == s.Name {
			count[c.UserName]++
			all++
		}
	}
	if s.Worker == nil {
		return
	}
	out.part("Connections", strconv.Itoa(s.Online))
	if !d.Known(feed.Sessions) {
		out.lines = append(out.lines, out.t.Faint.Render(strings.Repeat(out.t.Glyphs.Empty, max(min(out.w, 20), 0))))
		return
	}
	if all == 0 {
		out.lines = append(out.lines, out.t.Muted.Render("nobody is connected"))
		return
	}
	names := make([]string, 0, len(count))
	for n := range count {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := count[b] - count[a]; c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	const most = 12
	for _, n := range names[:min(len(names), most)] {
		number := strconv.Itoa(count[n])
		out.lines = append(out.lines, widget.Fit(out.t, widget.Clean(n), max(out.w-len(number)-1, 0))+" "+number)
	}
	if more := len(names) - most; more > 0 {
		a, _ := p.frame.Keys().Of("server.monitor")
		out.lines = append(out.lines, out.t.Muted.Render(fmt.Sprintf("and %s: %s shows all", many(more, "user"), a.Label())))
	}
}
