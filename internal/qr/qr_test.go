package qr_test

import (
	"bytes"
	"errors"
	"image/color"
	"image/png"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/skip2/go-qrcode"

	"vpn/internal/qr"
)

var link = "vless://3f8a1c52-9d0e-4b7a-8c66-0e5d1f2a7b90@vpn.example.com:8443?type=tcp&encryption=none&security=reality" +
	"&pbk=hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo&fp=chrome&sni=www.example.com&sid=0123456789abcdef&spx=%2F&flow=xtls-rprx-vision#main-alice"

var texts = map[string]string{
	"a letter": "a", "a link": link, "a number": "0123456789", "not ASCII": "älice 🙂", "long": strings.Repeat("x", 1000),
}

// bare returns the modules that the library computes, without a border.
func bare(t *testing.T, text string) [][]bool {
	t.Helper()
	code, err := qrcode.New(text, qrcode.Low)
	if err != nil {
		t.Fatal(err)
	}
	code.DisableBorder = true
	return code.Bitmap()
}

// screen is a terminal of a certain look: it turns text into pixels, two to a
// cell, true for dark ones.
func screen(t *testing.T, text string, darkTheme bool) [][]bool {
	t.Helper()
	var pixels [][]bool
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		foreground, background := !darkTheme, darkTheme // is it dark?
		if strings.HasPrefix(line, "\x1b") {
			const black, white, off = "\x1b[38;5;16;", "48;5;231m", "\x1b[0m"
			if !strings.HasPrefix(line, black+white) || !strings.HasSuffix(line, off) {
				t.Fatalf("unknown escape sequence in %q", line)
			}
			line = strings.TrimSuffix(strings.TrimPrefix(line, black+white), off)
			foreground, background = true, false
		}
		pick := map[bool]bool{true: foreground, false: background}
		var upper, lower []bool
		for _, r := range line {
			if !strings.ContainsRune(" ▀▄█", r) {
				t.Fatalf("%q is drawn", r)
			}
			upper = append(upper, pick[r == '▀' || r == '█'])
			lower = append(lower, pick[r == '▄' || r == '█'])
		}
		pixels = append(pixels, upper, lower)
	}
	return pixels
}

// inside cuts the border off, after a look that all of it is light. Code rows
// come in pairs, so there may be one more below.
func inside(t *testing.T, pixels [][]bool, quiet, size int) [][]bool {
	t.Helper()
	if got := len(pixels[0]); got != size+2*quiet || len(pixels) < got || len(pixels) > got+1 {
		t.Fatalf("%d by %d pixels for a code of %d", got, len(pixels), size)
	}
	var out [][]bool
	for y, row := range pixels[:size+2*quiet] {
		for x, dark := range row {
			if border := x < quiet || y < quiet || x >= size+quiet || y >= size+quiet; border && dark {
				t.Fatalf("the border is dark at %d, %d", x, y)
			}
		}
		if y >= quiet && y < size+quiet {
			out = append(out, row[quiet:size+quiet])
		}
	}
	return out
}

func TestTerminal(t *testing.T) {
	for what, text := range texts {
		want := bare(t, text)
		for name, c := range map[string]struct {
			style  qr.Style
			themes []bool // is it dark?
		}{
			"color":    {qr.Color, []bool{true, false}},
			"on dark":  {qr.OnDark, []bool{true}},
			"on light": {qr.OnLight, []bool{false}},
		} {
			var out bytes.Buffer
			if err := qr.Terminal(&out, text, qr.Options{Style: c.style}); err != nil {
				t.Fatal(err)
			}
			if c.style != qr.Color && strings.Contains(out.String(), "\x1b") {
				t.Errorf("%s %s has escape sequences", what, name)
			}
			for _, dark := range c.themes {
				if diff := cmp.Diff(want, inside(t, screen(t, out.String(), dark), 2, len(want))); diff != "" {
					t.Errorf("%s %s is another code: %s", what, name, diff)
				}
			}
			columns, rows, err := qr.Size(text)
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			plain := strings.NewReplacer("\x1b[38;5;16;48;5;231m", "", "\x1b[0m", "").Replace(lines[0])
			if err != nil || rows != len(lines) || columns != utf8.RuneCountInString(plain) {
				t.Errorf("%s %s: size is %d by %d, %v", what, name, columns, rows, err)
			}
		}
	}
}

// A link of the usual length fits a screen of 80 columns.
func TestSizeOfALink(t *testing.T) {
	if columns, rows, err := qr.Size(link); err != nil || columns > 69 || rows > 35 {
		t.Errorf("it takes %d by %d, %v", columns, rows, err)
	}
}

func TestPNG(t *testing.T) {
	const scale = 3
	want := bare(t, link)
	var out bytes.Buffer
	if err := qr.PNG(&out, link, scale); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	size := len(want) + 8
	if img.Bounds().Dx() != size*scale || img.Bounds().Dy() != size*scale {
		t.Fatalf("image is %v", img.Bounds())
	}
	pixels := make([][]bool, size)
	for y := range size {
		for x := range size {
			gray := color.GrayModel.Convert(img.At(x*scale+scale-1, y*scale+scale-1)).(color.Gray)
			pixels[y] = append(pixels[y], gray.Y == 0)
		}
	}
	if diff := cmp.Diff(want, inside(t, pixels, 4, len(want))); diff != "" {
		t.Error(diff)
	}
}

func TestSVG(t *testing.T) {
	want := bare(t, link)
	var out bytes.Buffer
	if err := qr.SVG(&out, link); err != nil {
		t.Fatal(err)
	}
	size := len(want) + 8
	if !strings.Contains(out.String(), `viewBox="0 0 `+strconv.Itoa(size)+` `+strconv.Itoa(size)+`"`) {
		t.Errorf("%.120s", out.String())
	}
	pixels := make([][]bool, size)
	for y := range pixels {
		pixels[y] = make([]bool, size)
	}
	for _, run := range svgRuns(t, out.String()) {
		for x := run.x; x < run.x+run.width; x++ {
			pixels[run.y][x] = true
		}
	}
	if diff := cmp.Diff(want, inside(t, pixels, 4, len(want))); diff != "" {
		t.Error(diff)
	}
}

func TestTextsThatDoNotFit(t *testing.T) {
	for what, text := range map[string]string{"nothing": "", "too much": strings.Repeat("planted", 1000)} {
		for name, err := range map[string]error{
			"terminal": qr.Terminal(io.Discard, text, qr.Options{}), "png": qr.PNG(io.Discard, text, 4), "svg": qr.SVG(io.Discard, text),
		} {
			if err == nil || strings.Contains(err.Error(), "planted") {
				t.Errorf("%s as %s: %v", what, name, err)
			}
		}
		if _, _, err := qr.Size(text); err == nil {
			t.Errorf("%s has a size", what)
		}
	}
	for _, scale := range []int{0, -1, 65} {
		if err := qr.PNG(io.Discard, "a", scale); err == nil {
			t.Errorf("scale %d is taken", scale)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrors(t *testing.T) {
	for name, err := range map[string]error{
		"terminal": qr.Terminal(broken{}, link, qr.Options{}), "png": qr.PNG(broken{}, link, 4), "svg": qr.SVG(broken{}, link),
	} {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
