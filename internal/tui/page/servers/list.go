package servers

import (
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// list is the servers as rows, and the filter above them.
type list struct {
	frame page.Frame
	table *widget.Table
	input *widget.Input
	want  string // comes under the cursor as soon as it is known
}

func newList(f page.Frame) *list {
	l := &list{frame: f, input: widget.NewInput("is:running proto:vless main !word")}
	g := f.Theme().Glyphs
	l.table = widget.NewTable(
		widget.Column{
			Title: "SERVER", Min: 8, Flex: 1, Text: func(i int) string { return l.at(i).Name },
			Less: func(a, b int) bool { return l.at(a).Name < l.at(b).Name },
		},
		widget.Column{
			Title: "STATE", Min: 11, Text: func(i int) string { return stateText(f.Theme(), l.at(i).State) },
			Style: func(i int) *lipgloss.Style { return stateStyle(f.Theme(), l.at(i).State) },
			Less:  func(a, b int) bool { return rank(l.at(a).State) < rank(l.at(b).State) },
		},
		widget.Column{
			Title: "PROTOCOL", Min: 11, Leaves: 3, Text: func(i int) string { return string(l.at(i).Protocol) },
			Less: func(a, b int) bool { return l.at(a).Protocol < l.at(b).Protocol },
		},
		widget.Column{
			Title: "PORT", Min: 5, Leaves: 6, Right: true, Text: func(i int) string { return strconv.Itoa(int(l.at(i).Port)) },
			Less: func(a, b int) bool { return l.at(a).Port < l.at(b).Port },
		},
		widget.Column{
			Title: g.Down + " NOW", Min: 6, Right: true, Text: l.live(func(s vpn.ServerInfo) string { return short(s.Rate.Down) }),
			Less: func(a, b int) bool { return l.at(a).Rate.Down > l.at(b).Rate.Down },
		},
		widget.Column{
			Title: g.Up + " NOW", Min: 6, Leaves: 2, Right: true, Text: l.live(func(s vpn.ServerInfo) string { return short(s.Rate.Up) }),
			Less: func(a, b int) bool { return l.at(a).Rate.Up > l.at(b).Rate.Up },
		},
		widget.Column{
			Title: "ONLINE", Min: 6, Leaves: 1, Right: true, Text: l.live(func(s vpn.ServerInfo) string { return strconv.Itoa(s.Online) }),
			Less: func(a, b int) bool { return l.at(a).Online > l.at(b).Online },
		},
		widget.Column{
			Title: "CPU", Min: 5, Leaves: 4, Right: true, Text: l.live(func(s vpn.ServerInfo) string { return percent(s.Worker.CPU) }),
			Less: func(a, b int) bool { return cpu(l.at(a)) > cpu(l.at(b)) },
		},
		widget.Column{
			Title: "MEM", Min: 6, Leaves: 5, Right: true, Text: l.live(func(s vpn.ServerInfo) string { return short(s.Worker.Memory) }),
			Less: func(a, b int) bool { return memory(l.at(a)) > memory(l.at(b)) },
		},
		widget.Column{
			Title: "USED", Min: 6, Leaves: 8, Right: true, Text: func(i int) string { return short(l.at(i).Used.Total()) },
			Less: func(a, b int) bool { return l.at(a).Used.Total() > l.at(b).Used.Total() },
		},
		widget.Column{Title: "VERSION", Min: 8, Leaves: 9, Text: l.live(func(s vpn.ServerInfo) string { return s.Worker.Version })},
	)
	l.table.Sort = 0
	return l
}

// at is the server of a row. Rows are drawn after they were set, and the
// servers may be fewer since.
func (l *list) at(row int) vpn.ServerInfo {
	if all := l.frame.Data().Status.Servers; row >= 0 && row < len(all) {
		return all[row]
	}
	return vpn.ServerInfo{}
}

// live writes what only a server with a worker has.
func (l *list) live(text func(vpn.ServerInfo) string) func(int) string {
	return func(i int) string {
		if s := l.at(i); s.Worker != nil {
			return text(s)
		}
		return "-"
	}
}

// refresh takes the servers that are known now, and the filter.
func (l *list) refresh() {
	words := strings.Fields(strings.ToLower(l.input.Value()))
	keep := func(row int) bool { return matches(l.at(row), words) }
	l.table.SetRows(len(l.frame.Data().Status.Servers), func(row int) string { return l.at(row).Name }, keep)
	if l.want != "" && l.table.Select(l.want) {
		l.want = ""
	}
}

func (l *list) clear() {
	l.input.SetValue("")
	l.input.Blur()
	l.refresh()
}

// current is the server under the cursor.
func (l *list) current() (vpn.ServerInfo, bool) {
	row := l.table.Row()
	return l.at(row), row >= 0 && l.at(row).ID != ""
}

// chosen are the marked servers, or the one under the cursor.
func (l *list) chosen() []vpn.ServerInfo {
	var out []vpn.ServerInfo
	for _, row := range l.table.Chosen() {
		out = append(out, l.at(row))
	}
	return out
}

// matches reports whether all words are true of s: is:STATE, proto:PROTOCOL,
// port:N, a part of the name, the protocol or the endpoint, and, behind a !,
// what must not be.
func matches(s vpn.ServerInfo, words []string) bool {
	for _, w := range words {
		w, not := strings.CutPrefix(w, "!")
		if w != "" && matchesWord(s, w) == not {
			return false
		}
	}
	return true
}

func matchesWord(s vpn.ServerInfo, w string) bool {
	what, of, ok := strings.Cut(w, ":")
	if ok {
		switch what {
		case "is":
			return strings.HasPrefix(string(s.State), of) || strings.HasPrefix(stateWord(s.State), of)
		case "proto", "protocol":
			return strings.HasPrefix(string(s.Protocol), of)
		case "port":
			return strconv.Itoa(int(s.Port)) == of
		}
	}
	return strings.Contains(s.Name, w) || strings.Contains(string(s.Protocol), w) || strings.Contains(strings.ToLower(s.Endpoint), w)
}

// render draws the list with its frame.
func (l *list) render(w, h int, focus bool) []string {
	t := l.frame.Theme()
	d := l.frame.Data()
	shown, all := l.table.Len(), l.table.Rows()
	note := strconv.Itoa(all)
	if shown < all {
		note = strconv.Itoa(shown) + " of " + note
	}
	if n := l.table.Marks(); n > 0 {
		note = strconv.Itoa(n) + " marked " + t.Glyphs.Dot + " " + note
	}
	var body []string
	switch {
	case !d.Known(feed.Status):
		note = ""
		body = skeleton(t, w-2, h-2)
	case all == 0:
		body = l.welcome(t)
	case shown == 0:
		body = []string{"", t.Muted.Render("  no server matches; esc clears the filter")}
	default:
		body = l.table.Render(t, w-3, h-2, focus)
	}
	return widget.Pane{Title: "Servers", Note: note, Focus: focus}.Render(t, w, h, body)
}

// welcome is what somebody sees who has no server yet.
func (l *list) welcome(t *theme.Theme) []string {
	create, _ := l.frame.Keys().Of("server.create")
	return []string{
		"",
		"  " + t.Title.Render("There is no server yet."),
		"",
		"  A server is a port for clients of one protocol.",
		"  Every user gets access to it, and a link.",
		"",
		"  " + t.Key.Render(create.Label()) + "  makes one: pick a protocol, the rest can be left open",
		"",
		"  " + t.Faint.Render("= vpn server create"),
	}
}

// skeleton is rows of which nothing is known yet.
func skeleton(t *theme.Theme, w, h int) []string {
	var out []string
	for i := range min(h, 5) {
		out = append(out, "  "+t.Faint.Render(strings.Repeat(t.Glyphs.Empty, max(min(w-4, 40-7*(i%3)), 0))))
	}
	return out
}
