package widget

import (
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/theme"
)

// Area draws values as an area w cells wide and h lines high, the newest at
// the right edge; most is as high as the area. Hanging areas grow downwards.
// With braille a cell shows two values, else one.
func Area(t *theme.Theme, values []float64, most float64, w, h int, hanging bool, style lipgloss.Style) []string {
	if w < 1 || h < 1 {
		return nil
	}
	per, levels := 1, len(t.Glyphs.Levels)
	if t.Glyphs.Braille {
		per, levels = 2, 4
	}
	values = values[max(len(values)-per*w, 0):]
	off := per*w - len(values)
	height := func(i int) int { // in levels
		if i < off || most <= 0 || values[i-off] <= 0 {
			return 0
		}
		return max(min(int(values[i-off]/most*float64(h*levels)+0.5), h*levels), 1)
	}
	out := make([]string, h)
	line := make([]string, w)
	for y := range h {
		floor := (h - 1 - y) * levels
		if hanging {
			floor = y * levels
		}
		for x := range w {
			left := max(min(height(per*x)-floor, levels), 0)
			if per == 2 {
				line[x] = string(dots(left, max(min(height(2*x+1)-floor, levels), 0), hanging))
			} else {
				line[x] = block(t, left, hanging)
			}
		}
		out[y] = style.Render(strings.Join(line, ""))
	}
	return out
}

// dots is the braille character with two columns of so many dots, from below
// or, hanging, from above.
func dots(left, right int, hanging bool) rune {
	// From below; Unicode numbers dots 7 and 8, the lowest, last.
	columns := [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}
	r := rune(0x2800)
	for c, n := range [2]int{left, right} {
		for i := range n {
			if hanging {
				r |= columns[c][3-i]
			} else {
				r |= columns[c][i]
			}
		}
	}
	return r
}

// block is a cell filled to a level. There are no blocks that hang: half full
// and more is full.
func block(t *theme.Theme, level int, hanging bool) string {
	levels := t.Glyphs.Levels
	switch {
	case level == 0:
		return " "
	case hanging && level >= len(levels)/2, level == len(levels):
		return levels[len(levels)-1]
	case hanging:
		return levels[0]
	}
	return levels[level-1]
}

// Mirror draws two histories as one chart, down above and up hanging below
// it, with the scales at the left. format writes a value of the scale in at
// most 7 cells.
func Mirror(t *theme.Theme, down, up []float64, w, h int, format func(float64) string) []string {
	const scale = 8
	cw := w - scale
	if cw < 4 || h < 2 {
		return Lines(t, nil, w, h)
	}
	n := cw
	if t.Glyphs.Braille {
		n = 2 * cw
	}
	down, up = down[max(len(down)-n, 0):], up[max(len(up)-n, 0):]
	highest := func(v []float64) float64 {
		if len(v) == 0 {
			return 0
		}
		return slices.Max(v)
	}
	mostDown, mostUp := highest(down), highest(up)
	// The larger direction gets more of the room, and the other a quarter.
	above := (h + 1) / 2
	if all := mostDown + mostUp; all > 0 {
		least := max(h/4, 1)
		above = max(min(int(float64(h)*mostDown/all+0.5), h-least), least)
	}
	lines := Area(t, down, mostDown, cw, above, false, t.Down)
	lines = append(lines, Area(t, up, mostUp, cw, h-above, true, t.Up)...)
	for i := range lines {
		label := ""
		switch i {
		case 0:
			label = t.Glyphs.Down + format(mostDown)
		case above - 1:
			label = "0"
		}
		if i == h-1 {
			label = t.Glyphs.Up + format(mostUp)
		}
		lines[i] = t.Muted.Render(FitRight(t, label, scale-1)) + " " + lines[i]
	}
	return lines
}

// Spark draws values as one line of w cells, the newest at the right edge.
func Spark(t *theme.Theme, values []float64, w int) string {
	if w < 1 {
		return ""
	}
	values = values[max(len(values)-w, 0):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	b.WriteString(blank(w - len(values)))
	levels := t.Glyphs.Levels
	for _, v := range values {
		i := 0
		if most > 0 && v > 0 {
			i = min(int(v/most*float64(len(levels)-1)+0.5), len(levels)-1)
		}
		b.WriteString(levels[i])
	}
	return b.String()
}

// Bar draws a part of a whole, from 0 to 1, as w cells.
func Bar(t *theme.Theme, part float64, w int) string {
	if w < 1 {
		return ""
	}
	g := t.Glyphs
	cells := max(min(part, 1), 0) * float64(w)
	full := int(cells)
	b := strings.Repeat(g.Full, full)
	if rest := int((cells - float64(full)) * float64(len(g.Parts)+1)); full < w && rest > 0 {
		b += g.Parts[rest-1]
		full++
	}
	return b + strings.Repeat(g.Empty, w-full)
}

// Gauge draws "CPU ████░░░░  62%" in w cells, in the colour of a warning from
// 75 % on and of a fault from 90 % on.
func Gauge(t *theme.Theme, label string, part float64, w int) string {
	style := t.OK
	switch {
	case part >= 0.9:
		style = t.Bad
	case part >= 0.75:
		style = t.Warn
	}
	percent := FitRight(t, percentOf(part), 5)
	label = Fit(t, label, 5)
	bar := w - 5 - 5 - 1
	if bar < 3 {
		return Fit(t, label+style.Render(percent), w)
	}
	return label + style.Render(Bar(t, part, bar)) + " " + style.Render(percent)
}

func percentOf(part float64) string { return strconv.Itoa(int(part*100+0.5)) + "%" }
