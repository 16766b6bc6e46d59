// Package qr draws QR codes for phones to scan: in a terminal, as PNG and as
// SVG. It knows nothing of what the text means, and prints it nowhere else.
package qr

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"

	"github.com/skip2/go-qrcode"
)

// The widths of the light border, in modules. The standard asks for four;
// on a screen every row counts, and scanners read two well.
const (
	quietScreen = 2
	quietFile   = 4
)

// Style is how [Terminal] tells dark from light.
type Style int

const (
	// Color draws black on white by fixed colors, whatever the terminal's
	// theme. It is the one to use where escape sequences are allowed.
	Color Style = iota

	// OnDark uses no escape sequences: light modules are drawn, dark ones are
	// left to the background. For dark terminals.
	OnDark

	// OnLight is the reverse: for light terminals, and for paper.
	OnLight
)

// Options say how to draw in a terminal.
type Options struct{ Style Style }

// Size returns how many columns and rows [Terminal] takes for text.
func Size(text string) (columns, rows int, err error) {
	m, err := encode(text, quietScreen)
	return len(m), (len(m) + 1) / 2, err
}

// Terminal draws text as a QR code of half blocks, two modules in each cell,
// and nothing before or after it.
func Terminal(w io.Writer, text string, o Options) error {
	m, err := encode(text, quietScreen)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for y := 0; y < len(m); y += 2 {
		_, _ = out.WriteString(m.line(y, o.Style)) // Flush tells
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write QR code: %w", err)
	}
	return nil
}

// PNG writes text as a QR code in a PNG image, each module scale pixels wide.
func PNG(w io.Writer, text string, scale int) error {
	m, err := encode(text, quietFile)
	if err != nil {
		return err
	}
	if scale < 1 || scale > 64 {
		return fmt.Errorf("draw QR code: scale %d is not between 1 and 64", scale)
	}
	size := len(m) * scale
	img := image.NewPaletted(image.Rect(0, 0, size, size), color.Palette{color.White, color.Black})
	for y := range size {
		for x := range size {
			if m.dark(x/scale, y/scale) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	if err := png.Encode(w, img); err != nil {
		return fmt.Errorf("write QR code: %w", err)
	}
	return nil
}

// SVG writes text as a QR code in an SVG image, which scales to any size.
func SVG(w io.Writer, text string) error {
	m, err := encode(text, quietFile)
	if err != nil {
		return err
	}
	var path strings.Builder
	for y := range m {
		for x := 0; x < len(m); x++ {
			start := x
			for m.dark(x, y) {
				x++
			}
			if x > start {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", start, y, x-start, x-start)
			}
		}
	}
	_, err = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`+"\n", len(m), len(m), len(m), len(m), path.String())
	if err != nil {
		return fmt.Errorf("write QR code: %w", err)
	}
	return nil
}

// matrix holds the modules of a code with its border, by row; true is dark.
type matrix [][]bool

// encode returns the code of text. The lowest level of error correction makes
// the smallest code, and a screen does not get scratched.
func encode(text string, quiet int) (matrix, error) {
	code, err := qrcode.New(text, qrcode.Low)
	if err != nil {
		return nil, fmt.Errorf("make a QR code of %d bytes: %w", len(text), err)
	}
	code.DisableBorder = true
	bare := code.Bitmap()
	size := len(bare) + 2*quiet
	m := make(matrix, size)
	for y := range m {
		m[y] = make([]bool, size)
		if row := y - quiet; row >= 0 && row < len(bare) {
			copy(m[y][quiet:], bare[row])
		}
	}
	return m, nil
}

// dark reports the module at x, y; outside of the code all is light.
func (m matrix) dark(x, y int) bool {
	return y < len(m) && x < len(m[y]) && m[y][x]
}

// Fixed entries of the 256-color palette: themes change the first 16 only.
const (
	blackOnWhite = "\x1b[38;5;16;48;5;231m"
	reset        = "\x1b[0m"
)

// line draws the rows y and y+1 as one line of text. What is drawn is the
// foreground: dark modules, or on a dark terminal the light ones.
func (m matrix) line(y int, style Style) string {
	var out strings.Builder
	if style == Color {
		out.WriteString(blackOnWhite)
	}
	drawn := func(x, y int) bool { return m.dark(x, y) != (style == OnDark) }
	for x := range m {
		switch upper, lower := drawn(x, y), drawn(x, y+1); {
		case upper && lower:
			out.WriteString("█")
		case upper:
			out.WriteString("▀")
		case lower:
			out.WriteString("▄")
		default:
			out.WriteString(" ")
		}
	}
	if style == Color {
		out.WriteString(reset)
	}
	out.WriteString("\n")
	return out.String()
}
