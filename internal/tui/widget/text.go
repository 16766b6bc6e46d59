// Package widget draws the parts that screens are made of: text that fits,
// panes, tables, charts, bars, fields. A widget turns values into lines of an
// exact size and keeps only what is on the screen: a cursor, a selection.
//
// It knows nothing of users or servers, does no I/O and starts nothing. None
// of it may be used concurrently.
package widget

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"vpn/internal/tui/theme"
)

// Clean makes text of others fit for a line: escape codes, control and format
// characters (those that turn the direction of writing, too) are left out, so
// that it can move no cursor, change no colour and hide nothing.
func Clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, ansi.Strip(strings.ToValidUTF8(s, "")))
}

// Width returns how many cells s takes; escape codes take none.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c >= ' ' && c < 0x7f:
			n, i = n+1, i+1
			continue
		case c == 0x1b:
			if end := colour(s[i:]); end > 0 {
				i += end
				continue
			}
		default:
			if r, size := utf8.DecodeRuneInString(s[i:]); drawn(r) {
				n, i = n+1, i+size
				continue
			}
		}
		return ansi.StringWidth(s) // which knows all of Unicode, and takes its time
	}
	return n
}

// colour returns how long the code is with which s begins, if it is one that
// sets colours; else 0.
func colour(s string) int {
	if len(s) < 3 || s[1] != '[' {
		return 0
	}
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == ';':
		case c == 'm':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// drawn reports whether r is of what frames and charts are drawn with, which
// takes one cell.
func drawn(r rune) bool {
	switch {
	case r >= 0x2500 && r <= 0x259f, r >= 0x2800 && r <= 0x28ff: // boxes, blocks and braille
		return true
	}
	switch r {
	case '↑', '↓', '●', '◐', '○', '…', '·', '▸', '✓', '✗', '∞':
		return true
	}
	return false
}

// Fit makes s exactly w cells wide.
func Fit(t *theme.Theme, s string, w int) string {
	s, free := cut(t, s, w)
	return s + blank(free)
}

// FitRight is Fit for what stands at the right.
func FitRight(t *theme.Theme, s string, w int) string {
	s, free := cut(t, s, w)
	return blank(free) + s
}

// FitCenter is Fit for what stands in the middle.
func FitCenter(t *theme.Theme, s string, w int) string {
	s, free := cut(t, s, w)
	return blank(free/2) + s + blank(free-free/2)
}

func cut(t *theme.Theme, s string, w int) (string, int) {
	if w <= 0 {
		return "", 0
	}
	n := Width(s)
	if n > w {
		s = ansi.Truncate(s, w, t.Glyphs.Ellipsis)
		n = ansi.StringWidth(s)
	}
	return s, w - n
}

const blanks = "                                                                                                                                "

func blank(n int) string {
	if n <= 0 {
		return ""
	}
	if n <= len(blanks) {
		return blanks[:n]
	}
	return strings.Repeat(" ", n)
}

// Lines makes lines exactly h lines of w cells.
func Lines(t *theme.Theme, lines []string, w, h int) []string {
	out := make([]string, 0, max(h, 0))
	for i := range h {
		s := ""
		if i < len(lines) {
			s = lines[i]
		}
		out = append(out, Fit(t, s, w))
	}
	return out
}

// Beside puts blocks of lines side by side. All must be equally high.
func Beside(blocks ...[]string) []string {
	if len(blocks) == 0 {
		return nil
	}
	out := make([]string, len(blocks[0]))
	for i := range out {
		var b strings.Builder
		for _, block := range blocks {
			if i < len(block) {
				b.WriteString(block[i])
			}
		}
		out[i] = b.String()
	}
	return out
}

// Wrap breaks text into lines of at most w cells, between words where it can.
func Wrap(text string, w int) []string {
	if w < 1 {
		return nil
	}
	return strings.Split(ansi.Wrap(text, w, ""), "\n")
}

// WrapWords is [Wrap] for text whose words must stay whole, hyphens or not,
// as those of a command line and names.
func WrapWords(text string, w int) []string {
	if w < 1 {
		return nil
	}
	var out []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= w:
			line += " " + word
		default:
			out = append(out, line)
			line = word
		}
		if Width(line) > w { // a word that no line can hold
			parts := strings.Split(ansi.Hardwrap(line, w, false), "\n")
			out, line = append(out, parts[:len(parts)-1]...), parts[len(parts)-1]
		}
	}
	return append(out, line)
}

// Over lays a block of lines over others, at column x and line y. What does
// not fit is cut off.
func Over(under, block []string, x, y int) []string {
	for i, line := range block {
		if y+i < 0 || y+i >= len(under) {
			continue
		}
		w, all := ansi.StringWidth(line), ansi.StringWidth(under[y+i])
		left := ansi.Truncate(under[y+i], x, "")
		right := ""
		if rest := all - x - w; rest > 0 {
			// Of a wide letter that is half below the block, nothing is left.
			if right = ansi.TruncateLeft(under[y+i], x+w, ""); ansi.StringWidth(right) > rest {
				right = ansi.TruncateLeft(under[y+i], x+w+1, "")
			}
			right = blank(rest-ansi.StringWidth(right)) + right
		}
		under[y+i] = left + blank(x-ansi.StringWidth(left)) + line + right
	}
	return under
}

// Scrolled returns the h of n lines that are shown: as few as possible are
// moved from top on so that line at is among them.
func Scrolled(top, at, n, h int) int {
	top = min(top, at)
	top = max(top, at-h+1)
	return max(min(top, n-h), 0)
}
