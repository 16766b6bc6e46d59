package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vpn/internal/vpn"
)

// table is text in columns, without borders, so that awk and cut can read it.
//
// A leading ">" of a head aligns the column to the right; a "+" before that
// leaves the column to wide and plain. Since programs count the columns of
// plain, new ones go to the end.
type table struct {
	head []string
	rows [][]cell
}

// A cell is a value as people read it and as programs do.
type cell struct{ text, raw string }

// add adds a row of strings and cells.
func (t *table) add(cells ...any) {
	row := make([]cell, 0, len(cells))
	for _, c := range cells {
		row = append(row, cellOf(c))
	}
	t.rows = append(t.rows, row)
}

// cellOf returns v, a string or a cell, as a cell.
func cellOf(v any) cell {
	if c, ok := v.(cell); ok {
		return c
	}
	s, _ := v.(string)
	return textCell(s)
}

func textCell(s string) cell { return cell{s, s} }

// Cells of quantities: raw they are bytes, bytes per second, RFC 3339.

func sizeCell(n uint64) cell { return cell{vpn.FormatSize(n), strconv.FormatUint(n, 10)} }

func usedCell(t vpn.Traffic) cell { return sizeCell(t.Total()) }

func nowCell(rate uint64) cell { return cell{formatNow(rate), strconv.FormatUint(rate, 10)} }

func limitCell(n uint64, format func(uint64) string) cell {
	return cell{formatLimit(n, format), strconv.FormatUint(n, 10)}
}

func countCell(n int) cell { return cell{formatCount(n), strconv.Itoa(n)} }

func timeCell(t time.Time) cell { return cell{formatTime(t), rawTime(t)} }

// secondCell is a time to the second.
func secondCell(t time.Time) cell { return cell{t.UTC().Format("2006-01-02 15:04:05 UTC"), rawTime(t)} }

// momentCell is a time of which seconds count if the steps are so small.
func momentCell(t time.Time, step time.Duration) cell {
	if step == 0 || step%time.Minute == 0 {
		return timeCell(t)
	}
	return secondCell(t)
}

func expiryCell(t time.Time) cell { return cell{formatExpiry(t), rawTime(t)} }

func rawTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// columnGap parts two columns.
const columnGap = "  "

// maxRoom is how much room a table's text is given before it is written: one
// long cell makes every line long.
const maxRoom = 4 << 20

// column is one that is shown: its place in the rows, and how it looks.
type column struct {
	at, width int
	head      string
	right     bool
}

func (o *printer) columns(t *table) []column {
	var out []column
	for i, head := range t.head {
		head, wide := strings.CutPrefix(head, "+")
		head, right := strings.CutPrefix(head, ">")
		if !wide || o.form == "wide" {
			out = append(out, column{at: i, width: utf8.RuneCountInString(head), head: head, right: right})
		}
	}
	return out
}

// table prints t. An empty one prints nothing.
func (o *printer) table(t *table) error {
	if len(t.rows) == 0 {
		return nil
	}
	columns := o.columns(t)
	texts := make([]string, 0, (1+len(t.rows))*len(columns)) // row after row, the head first
	for _, c := range columns {
		texts = append(texts, c.head)
	}
	for _, row := range t.rows {
		for i := range columns {
			text := printable(row[columns[i].at].text)
			columns[i].width = max(columns[i].width, utf8.RuneCountInString(text))
			texts = append(texts, text)
		}
	}
	line := 1
	for _, c := range columns {
		line += c.width + len(columnGap)
	}
	var b strings.Builder
	b.Grow(min((1+len(t.rows))*line, maxRoom))
	for row := range slices.Chunk(texts, len(columns)) {
		o.row(&b, row, columns)
	}
	return o.print(b.String())
}

func (o *printer) row(b *strings.Builder, cells []string, columns []column) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, text := range cells[:last+1] {
		pad := strings.Repeat(" ", columns[i].width-utf8.RuneCountInString(text))
		if columns[i].right {
			b.WriteString(pad)
		}
		if o.paintsOut {
			text = paint(true, stateColours[text], text)
		}
		b.WriteString(text)
		if i < last { // no spaces at the end of a line
			if !columns[i].right {
				b.WriteString(pad)
			}
			b.WriteString(columnGap)
		}
	}
	b.WriteByte('\n')
}

// fields prints names and values, which are strings or cells, one pair a
// line. A value that is empty is left out.
func (o *printer) fields(pairs ...any) error {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(cellOf(pairs[i]).text))
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		name, v := cellOf(pairs[i]).text, printable(cellOf(pairs[i+1]).text)
		if v == "" {
			continue
		}
		b.WriteString(name + strings.Repeat(" ", width-len(name)) + columnGap + o.paintOut(stateColours[v], v) + "\n")
	}
	return o.print(b.String())
}

// sections prints tables with an empty line between them, and, after
// something else, before the first. Empty ones are left out.
func (o *printer) sections(after bool, tables ...*table) error {
	for _, t := range tables {
		if len(t.rows) == 0 {
			continue
		}
		if after {
			if err := o.print("\n"); err != nil {
				return err
			}
		}
		if err := o.table(t); err != nil {
			return err
		}
		after = true
	}
	return nil
}
