package cli

import (
	"strings"
	"unicode/utf8"
)

// table is text in columns, without borders, so that awk and cut can read it.
type table struct {
	head []string // a leading ">" aligns the column to the right
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// columnGap parts two columns.
const columnGap = "  "

// table prints t. An empty one prints nothing.
func (o *printer) table(t *table) error {
	if len(t.rows) == 0 {
		return nil
	}
	width := make([]int, len(t.head))
	right := make([]bool, len(t.head))
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i], right[i] = strings.CutPrefix(h, ">")
		width[i] = utf8.RuneCountInString(head[i])
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = printable(row[i])
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{head}, t.rows...) {
		o.row(&b, row, width, right)
	}
	return o.print(b.String())
}

func (o *printer) row(b *strings.Builder, cells []string, width []int, right []bool) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, cell := range cells[:last+1] {
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
		cell = o.paintOut(stateColours[cell], cell)
		switch {
		case right[i]:
			b.WriteString(pad + cell)
		case i < last:
			b.WriteString(cell + pad)
		default:
			b.WriteString(cell) // no spaces at the end of a line
		}
		if i < last {
			b.WriteString(columnGap)
		}
	}
	b.WriteByte('\n')
}

// fields prints names and values, one pair a line. A value that is empty is
// left out.
func (o *printer) fields(pairs ...string) error {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(pairs[i]))
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		name, v := pairs[i], printable(pairs[i+1])
		if v == "" {
			continue
		}
		b.WriteString(name + strings.Repeat(" ", width-len(name)) + columnGap + o.paintOut(stateColours[v], v) + "\n")
	}
	return o.print(b.String())
}

// sections prints tables with an empty line before each. Empty ones are left
// out.
func (o *printer) sections(tables ...*table) error {
	for _, t := range tables {
		if len(t.rows) == 0 {
			continue
		}
		if err := o.print("\n"); err != nil {
			return err
		}
		if err := o.table(t); err != nil {
			return err
		}
	}
	return nil
}
