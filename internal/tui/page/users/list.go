package users

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// list is the users that there are, those that are shown, and the line in
// which a person says which.
type list struct {
	frame page.Frame
	table *widget.Table
	input *widget.Input

	rows   []row // in the order that the table is sorted in
	sorted struct {
		by   int
		desc bool
	}
	names  map[vpn.ServerID]string
	filter filter // the last that could be read
	good   string // what it was read from
	fault  string // what cannot be read of what was written
	height int    // of the rows, when rendered last
	goal   string // the name of a user to go to, once there is one
}

// A row is a user, with what of it is searched.
type row struct {
	*vpn.UserInfo
	words string
}

func newList(f page.Frame) *list {
	l := &list{frame: f, input: widget.NewInput(filterHelp)}
	l.table = widget.NewTable(cells{l}.columns()...)
	l.sorted.by = -1
	return l
}

// learn takes the users as they are now.
func (l *list) learn() {
	users := l.frame.Data().Users
	l.rows = make([]row, len(users))
	for i := range users {
		l.rows[i] = row{&users[i], wordsOf(&users[i])}
	}
	l.sorted.by = -1
	l.refresh()
}

// moved takes what is new of the users, who are the same.
func (l *list) moved() {
	l.sorted.by = -1
	l.refresh()
}

// learnServers takes the servers as they are now.
func (l *list) learnServers() {
	servers := l.frame.Data().Status.Servers
	l.names = make(map[vpn.ServerID]string, len(servers))
	for _, s := range servers {
		l.names[s.ID] = s.Name
	}
}

// refresh reads the filter and shows whom it selects. The cursor stays on its
// user.
func (l *list) refresh() {
	text := l.input.Value()
	f, err := parseFilter(text, l.frame.Data().Status.Servers, l.frame.Now())
	if l.fault = ""; err != nil {
		// Whoever writes is: has written is before, which was a word then.
		if rest, ok := strings.CutPrefix(text, l.good); ok && strings.HasPrefix(rest, ":") && len(l.filter.terms) > 0 {
			l.filter.terms, l.good = l.filter.terms[:len(l.filter.terms)-1], text
		}
		l.fault = err.Error()
		if hint := vpn.HintOf(err); hint != "" {
			l.fault += ": " + hint
		}
	} else {
		l.filter, l.good = f, text
	}
	l.sort()
	keep := func(row int) bool { return l.filter.match(l.rows[row].UserInfo, l.rows[row].words) }
	if len(l.filter.terms) == 0 {
		keep = nil
	}
	l.table.SetRows(len(l.rows), func(row int) string { return string(l.rows[row].ID) }, keep)
	if l.goal != "" && l.show(l.goal) {
		l.goal = ""
	}
}

// sort brings the rows into the table's order, so that a filter, which picks
// some of them at each key, has nothing to sort.
func (l *list) sort() {
	by, desc := l.table.Sort, l.table.Desc
	if by < 0 || l.sorted.by == by && l.sorted.desc == desc {
		return
	}
	l.sorted.by, l.sorted.desc = by, desc
	order := make([]int, len(l.rows))
	for i := range order {
		order[i] = i
	}
	less := l.table.Columns[by].Less
	compare := func(a, b int) int {
		if desc {
			a, b = b, a
		}
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	}
	if slices.IsSortedFunc(order, compare) {
		return
	}
	slices.SortStableFunc(order, compare)
	rows := make([]row, len(order))
	for i, k := range order {
		rows[i] = l.rows[k]
	}
	l.rows = rows
}

// sortBy sorts by a column. The cursor stays on its user.
func (l *list) sortBy(column int, desc bool) {
	l.table.Sort, l.table.Desc = column, desc
	was := ""
	if u := l.current(); u != nil {
		was = string(u.ID)
	}
	l.refresh()
	l.table.Select(was)
}

// nextSort sorts by the next column that can be sorted by and is shown.
func (l *list) nextSort() {
	columns := l.table.Columns
	for i := range columns {
		c := (l.table.Sort + 1 + i + len(columns)) % len(columns)
		if columns[c].Less != nil && !columns[c].Hidden {
			l.sortBy(c, false)
			return
		}
	}
}

func (l *list) reverse() { l.sortBy(max(l.table.Sort, 0), !l.table.Desc) }

// toggle returns what shows or hides a column, and asks for the next.
func (l *list) toggle(column int) func() tea.Cmd {
	return func() tea.Cmd {
		c := &l.table.Columns[column]
		c.Hidden = !c.Hidden
		l.pick()
		return nil
	}
}

// current returns the user under the cursor, or nil.
func (l *list) current() *vpn.UserInfo {
	if row := l.table.Row(); row >= 0 {
		return l.rows[row].UserInfo
	}
	return nil
}

// chosen returns the users whom an action is for: the marked ones, or the one
// under the cursor.
func (l *list) chosen() []vpn.UserInfo {
	var out []vpn.UserInfo
	for _, row := range l.table.Chosen() {
		out = append(out, *l.rows[row].UserInfo)
	}
	return out
}

// show puts the cursor on the user of that name, and reports whether there is
// one. A filter that hides it is cleared.
func (l *list) show(name string) bool {
	i := slices.IndexFunc(l.rows, func(r row) bool { return r.Name == name || string(r.ID) == name })
	if i < 0 {
		return false
	}
	id := string(l.rows[i].ID)
	if !l.table.Select(id) {
		l.clear()
		l.table.Select(id)
	}
	return true
}

// clear takes the filter away and reports whether there was one.
func (l *list) clear() bool {
	had := l.input.Value() != ""
	l.input.Blur()
	if had {
		l.input.SetValue("")
		l.goal = ""
		l.refresh()
	}
	return had
}

// write takes a key or a paste for the filter. If it hides the user under the
// cursor, the first that it shows is next.
func (l *list) write(msg tea.Msg) {
	was := l.current()
	if !l.input.Update(msg) {
		return
	}
	l.refresh()
	if l.current() != was {
		l.table.Move(-1 << 30)
	}
}

// click is a click on a line of the pane's inside. It reports whether it was
// on the user who was under the cursor before.
func (l *list) click(x, y int) bool {
	before := l.table.Row()
	by, desc := l.table.Sort, l.table.Desc
	on := l.table.Click(x, y)
	if l.table.Sort != by || l.table.Desc != desc {
		// The table has sorted what it shows; the rows follow, with the cursor.
		l.sortBy(l.table.Sort, l.table.Desc)
		return false
	}
	return on && l.table.Row() == before
}

// note is what stands at the right of the pane's title.
func (l *list) note() string {
	d := l.frame.Data()
	var parts []string
	if n := l.table.Marks(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d marked", n))
	}
	if !d.Known(feed.Users) {
		return ""
	}
	if n := l.table.Len(); n != len(l.rows) {
		parts = append(parts, fmt.Sprintf("%d of %d", n, len(l.rows)))
	} else {
		parts = append(parts, fmt.Sprint(n))
	}
	if d.Err(feed.Users) != nil {
		t := l.frame.Theme()
		parts = append(parts, t.Glyphs.Bad+" "+short(d.Age(feed.Users, l.frame.Now()))+" old")
	}
	return strings.Join(parts, " "+l.frame.Theme().Glyphs.Dot+" ")
}

// line draws the line of the filter, with what is wrong about it.
func (l *list) line(w int) string {
	t := l.frame.Theme()
	lead := t.Key.Render(" / ")
	if l.input.Value() == "" && !l.input.Focused() {
		return widget.Fit(t, lead+t.Faint.Render(widget.Fit(t, filterHelp, max(w-3, 0))), w)
	}
	if l.fault == "" {
		return widget.Fit(t, lead+l.input.Render(t, w-4), w)
	}
	room := max(min(widget.Width(l.input.Value())+2, w/2), 1)
	wrong := t.Bad.Render(t.Glyphs.Bad + " " + widget.Clean(l.fault))
	return widget.Fit(t, lead+l.input.Render(t, room)+" "+wrong, w)
}

// render draws the list w by h, or what is to be said where there is none.
func (l *list) render(w, h int, focus bool) []string {
	t := l.frame.Theme()
	l.height = h - 3
	pane := widget.Pane{Title: "Users", Note: l.note(), Focus: focus}
	if l.table.Len() > 0 {
		return pane.Render(t, w, h, l.table.Render(t, w-3, h-2, focus && !l.input.Focused()))
	}
	return pane.Render(t, w, h, nobody{l}.render(w-2, h-2))
}

// mark marks the user under the cursor and goes to the next.
func (l *list) mark() {
	l.table.ToggleMark()
	l.table.Move(1)
}
