//go:build linux

package rig

import (
	"fmt"
	"html"
	"image/color"
	"os"
	"os/exec"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
)

// Cells of a picture, in pixels.
const (
	cellWidth  = 9
	cellHeight = 19
)

// Picture writes what is on the screen to a PNG file, as a terminal would
// show it.
func (tm *Terminal) Picture(file string, dark bool) {
	tm.t.Helper()
	background, foreground := color.Color(color.RGBA{0x16, 0x18, 0x21, 0xff}), color.Color(color.RGBA{0xe6, 0xe6, 0xe6, 0xff})
	if !dark {
		background, foreground = color.White, color.RGBA{0x1f, 0x23, 0x28, 0xff}
	}
	cells := uv.NewScreenBuffer(tm.width, tm.height)
	uv.NewStyledString(strings.TrimRight(tm.must("capture-pane", "-e", "-p", "-N"), "\n")).Draw(cells, cells.Bounds())
	var b strings.Builder
	w, h := tm.width*cellWidth, tm.height*cellHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"><rect width="%d" height="%d" fill="%s"/>`, w, h, w, h, css(background))
	for y := range tm.height {
		for x := range tm.width {
			if c := cells.CellAt(x, y); c != nil {
				draw(&b, c, x*cellWidth, y*cellHeight, foreground, background)
			}
		}
	}
	b.WriteString("</svg>")
	cmd := exec.Command("rsvg-convert", "-o", file)
	cmd.Stdin = strings.NewReader(b.String())
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		tm.t.Fatalf("rsvg-convert: %v", err)
	}
}

func css(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// draw draws one cell. What fills it to its edge is drawn as a shape: fonts
// leave gaps.
func draw(b *strings.Builder, c *uv.Cell, x, y int, foreground, background color.Color) {
	fg, bg := c.Style.Fg, c.Style.Bg
	if fg == nil {
		fg = foreground
	}
	if bg == nil {
		bg = background
	}
	if c.Style.Attrs&uv.AttrReverse != 0 {
		fg, bg = bg, fg
	}
	box := func(fill color.Color, x, y, w, h float64) {
		fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="%s" shape-rendering="crispEdges"/>`, x, y, w, h, css(fill))
	}
	left, top := float64(x), float64(y)
	if bg != background {
		box(bg, left, top, cellWidth*float64(max(c.Width, 1)), cellHeight)
	}
	if strings.TrimSpace(c.Content) == "" {
		return
	}
	r := []rune(c.Content)[0]
	const half = float64(cellHeight) / 2
	switch {
	case r == '█':
		box(fg, left, top, cellWidth, cellHeight)
	case r == '▀':
		box(fg, left, top, cellWidth, half)
	case r == '▄':
		box(fg, left, top+half, cellWidth, half)
	case r >= '▁' && r <= '▇':
		h := cellHeight * float64(r-'▁'+1) / 8
		box(fg, left, top+cellHeight-h, cellWidth, h)
	case r >= '▉' && r <= '▏':
		box(fg, left, top, cellWidth*float64('▏'-r+1)/8, cellHeight)
	case r >= 0x2800 && r <= 0x28ff:
		for i, dot := range [8][2]float64{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}} {
			if (r-0x2800)&(1<<i) != 0 {
				box(fg, left+1+dot[0]*4.5, top+1+dot[1]*cellHeight/4, 3, 3)
			}
		}
	default:
		weight, line := "", ""
		if c.Style.Attrs&uv.AttrBold != 0 {
			weight = ` font-weight="bold"`
		}
		if c.Style.Underline != 0 {
			line = ` text-decoration="underline"`
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" font-family="DejaVu Sans Mono" font-size="15" textLength="%d" fill="%s"%s%s>%s</text>`,
			x, y+14, cellWidth*max(c.Width, 1), css(fg), weight, line, html.EscapeString(c.Content))
	}
}
