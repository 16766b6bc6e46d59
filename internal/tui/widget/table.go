package widget

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/theme"
)

// A Column of a [Table].
type Column struct {
	Title  string
	Min    int  // cells that it needs
	Flex   int  // its share of what is left over
	Leaves int  // the highest leaves first when there is too little room; 0 stays
	Right  bool // stands at the right
	Hidden bool // is not wanted

	Text  func(row int) string
	Style func(row int) *lipgloss.Style // nil: as the text around it
	Less  func(a, b int) bool           // nil: it cannot be sorted by

	width int // what it was given; 0: it has left
}

// A Table shows some of n rows that its owner has, in some order, with a
// cursor and marks. It touches only the rows that are on the screen, so
// moving about costs the same however many there are.
//
// Rows have keys: cursor and marks stay on theirs when the rows change.
type Table struct {
	Columns []Column
	Sort    int // the column that it is sorted by; -1: as the rows come
	Desc    bool

	key    func(row int) string
	rows   int
	view   []int // rows that are shown, in order
	cursor int   // in view
	top    int
	height int // lines of the last rendering
	marks  map[string]bool
	anchor string // where a range of marks began
}

// NewTable returns a table without rows, sorted by its first column.
func NewTable(columns ...Column) *Table {
	return &Table{Columns: columns, marks: map[string]bool{}, Sort: -1}
}

// SetRows says that there are n rows now, whose keys are key's, of which keep
// lets some be shown; nil is all.
func (t *Table) SetRows(n int, key func(row int) string, keep func(row int) bool) {
	at, was := t.cursor, ""
	if row := t.Row(); row >= 0 && t.key != nil {
		was = t.key(row)
	}
	t.key, t.rows = key, n
	t.view = t.view[:0]
	for row := range n {
		if keep == nil || keep(row) {
			t.view = append(t.view, row)
		}
	}
	t.marks = kept(t.marks, n, key)
	t.sort()
	t.cursor = min(at, max(len(t.view)-1, 0))
	t.Select(was)
}

// kept returns those of marks whose rows are still there.
func kept(marks map[string]bool, n int, key func(row int) string) map[string]bool {
	left := make(map[string]bool, len(marks))
	for row := range n {
		if len(marks) == len(left) {
			break
		}
		if k := key(row); marks[k] {
			left[k] = true
		}
	}
	return left
}

func (t *Table) sort() {
	if t.Sort < 0 || t.Sort >= len(t.Columns) || t.Columns[t.Sort].Less == nil {
		return
	}
	less := t.Columns[t.Sort].Less
	compare := func(a, b int) int {
		if t.Desc {
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
	// Rows that come in order are left alone: that is a hundredth of the work.
	if !slices.IsSortedFunc(t.view, compare) {
		slices.SortStableFunc(t.view, compare)
	}
}

// SortBy sorts by a column; the cursor stays on its row.
func (t *Table) SortBy(column int, desc bool) {
	row := t.Row()
	t.Sort, t.Desc = column, desc
	t.sort()
	if i := slices.Index(t.view, row); i >= 0 {
		t.cursor = i
	}
}

// NextSort sorts by the next column that can be sorted by.
func (t *Table) NextSort() {
	for i := range t.Columns {
		c := (t.Sort + 1 + i + len(t.Columns)) % len(t.Columns)
		if t.Columns[c].Less != nil && !t.Columns[c].Hidden {
			t.SortBy(c, false)
			return
		}
	}
}

// Len returns how many rows are shown, and Rows how many there are.
func (t *Table) Len() int { return len(t.view) }

// Rows returns how many rows there are.
func (t *Table) Rows() int { return t.rows }

// Row returns the row under the cursor, or -1.
func (t *Table) Row() int {
	if t.cursor < 0 || t.cursor >= len(t.view) {
		return -1
	}
	return t.view[t.cursor]
}

// Line returns on which line of the last rendering the cursor was, the titles
// being line 0.
func (t *Table) Line() int { return t.cursor - t.top + 1 }

// Move moves the cursor by d rows, as far as there are any.
func (t *Table) Move(d int) { t.cursor = max(min(t.cursor+d, len(t.view)-1), 0) }

// Select puts the cursor on the row with that key, and reports whether it is
// shown.
func (t *Table) Select(key string) bool {
	if key == "" || t.key == nil {
		return false
	}
	for i, row := range t.view {
		if t.key(row) == key {
			t.cursor = i
			return true
		}
	}
	return false
}

// Click puts the cursor on line y of what was rendered last, the titles being
// line 0. Over a title it sorts by that column and returns false.
func (t *Table) Click(x, y int) bool {
	if y == 0 {
		at := 2
		for i := range t.Columns {
			c := &t.Columns[i]
			if c.width == 0 {
				continue
			}
			if x >= at && x < at+c.width && c.Less != nil {
				t.SortBy(i, t.Sort == i && !t.Desc)
			}
			at += c.width + 1
		}
		return false
	}
	return t.Point(y)
}

// Point puts the cursor on the row at line y of what was rendered last, the
// titles being line 0, and reports whether there is one.
func (t *Table) Point(y int) bool {
	if i := t.top + y - 1; y > 0 && y < t.height && i < len(t.view) {
		t.cursor = i
		return true
	}
	return false
}

// ToggleMark marks the row under the cursor, or takes its mark away.
func (t *Table) ToggleMark() {
	row := t.Row()
	if row < 0 {
		return
	}
	if k := t.key(row); t.marks[k] {
		delete(t.marks, k)
	} else {
		t.marks[k] = true
		t.anchor = k
	}
}

// MarkRange marks all rows from the last that was marked to the cursor.
func (t *Table) MarkRange() {
	from := t.cursor
	for i, row := range t.view {
		if t.anchor != "" && t.key(row) == t.anchor {
			from = i
		}
	}
	for i := min(from, t.cursor); i <= max(from, t.cursor) && i < len(t.view); i++ {
		t.marks[t.key(t.view[i])] = true
	}
}

// Unmark takes all marks away and reports whether there were any.
func (t *Table) Unmark() bool {
	had := len(t.marks) > 0
	clear(t.marks)
	t.anchor = ""
	return had
}

// Marks returns how many rows are marked, shown or not.
func (t *Table) Marks() int { return len(t.marks) }

// Chosen returns the rows that an action is for: the marked ones or, if none
// is, the one under the cursor.
func (t *Table) Chosen() []int {
	if len(t.marks) == 0 {
		if row := t.Row(); row >= 0 {
			return []int{row}
		}
		return nil
	}
	var out []int
	for row := range t.rows {
		if t.marks[t.key(row)] {
			out = append(out, row)
		}
	}
	return out
}

// layout gives the columns their widths.
func layout(columns []Column, w int) {
	need := 2
	for i := range columns {
		c := &columns[i]
		c.width = c.Min
		if c.Hidden {
			c.width = 0
			continue
		}
		need += c.Min + 1
	}
	for need-1 > w {
		last := -1
		for i, c := range columns {
			if c.width > 0 && c.Leaves > 0 && (last < 0 || c.Leaves > columns[last].Leaves) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		need -= columns[last].width + 1
		columns[last].width = 0
	}
	flex, left := 0, w-need+1
	for _, c := range columns {
		if c.width > 0 {
			flex += c.Flex
		}
	}
	if flex == 0 || left <= 0 {
		return
	}
	for i := range columns {
		if c := &columns[i]; c.width > 0 {
			c.width += left * c.Flex / flex
		}
	}
}

// Render draws the titles and as many rows as fit into w by h, so that the
// cursor is among them.
func (t *Table) Render(th *theme.Theme, w, h int, focus bool) []string {
	if h < 1 || w < 4 {
		return Lines(th, nil, w, h)
	}
	layout(t.Columns, w)
	t.height = h
	t.top = Scrolled(t.top, t.cursor, len(t.view), h-1)
	out := make([]string, 0, h)
	out = append(out, th.Muted.Bold(true).Render(t.titles(th, w)))
	for i := t.top; i < min(t.top+h-1, len(t.view)); i++ {
		out = append(out, t.row(th, i, w, focus))
	}
	for len(out) < h {
		out = append(out, blank(w))
	}
	return out
}

func (t *Table) titles(th *theme.Theme, w int) string {
	var b strings.Builder
	b.WriteString("  ")
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.width == 0 {
			continue
		}
		title := c.Title
		if i == t.Sort {
			arrow := th.Glyphs.Up
			if t.Desc {
				arrow = th.Glyphs.Down
			}
			title += arrow
		}
		b.WriteString(c.fit(th, title))
		b.WriteByte(' ')
	}
	return Fit(th, strings.TrimSuffix(b.String(), " "), w)
}

func (t *Table) row(th *theme.Theme, i, w int, focus bool) string {
	row := t.view[i]
	under := i == t.cursor
	var b strings.Builder
	if under {
		b.WriteString(th.Glyphs.Cursor)
	} else {
		b.WriteByte(' ')
	}
	if len(t.marks) > 0 && t.marks[t.key(row)] {
		b.WriteString(th.Glyphs.Mark)
	} else {
		b.WriteByte(' ')
	}
	for k := range t.Columns {
		c := &t.Columns[k]
		if c.width == 0 {
			continue
		}
		s := c.fit(th, Clean(c.Text(row)))
		if !under && c.Style != nil {
			if style := c.Style(row); style != nil {
				s = style.Render(s)
			}
		}
		b.WriteString(s)
		b.WriteByte(' ')
	}
	line := Fit(th, strings.TrimSuffix(b.String(), " "), w)
	switch {
	case under && focus:
		return th.Selected.Render(line)
	case under:
		return th.Resting.Render(line)
	}
	return line
}

func (c *Column) fit(th *theme.Theme, s string) string {
	if c.Right {
		return FitRight(th, s, c.width)
	}
	return Fit(th, s, c.width)
}
