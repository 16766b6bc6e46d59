//go:build e2e

package qr_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vpn/internal/qr"
)

// scan reads a QR code from an image with a program of others.
func scan(t *testing.T, img []byte) string {
	t.Helper()
	zbar, err := exec.LookPath("zbarimg")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("zbarimg is missing: install zbar-tools")
		}
		t.Skip("zbarimg is missing: install zbar-tools")
	}
	cmd := exec.CommandContext(t.Context(), zbar, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "PNG:-")
	cmd.Stdin = bytes.NewReader(img)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nothing can be read: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// photo turns a screen into an image: some pixels of the theme around it, and
// each cell twice as high as it is wide.
func photo(t *testing.T, pixels [][]bool, darkTheme bool) []byte {
	t.Helper()
	const scale, margin = 5, 40
	width, height := len(pixels[0])*scale+2*margin, len(pixels)*scale+2*margin
	img := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			dark := darkTheme
			if row, column := (y-margin)/scale, (x-margin)/scale; y >= margin && x >= margin && row < len(pixels) && column < len(pixels[0]) {
				dark = pixels[row][column]
			}
			if !dark {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestScannersReadTerminals(t *testing.T) {
	for what, text := range texts {
		for name, c := range map[string]struct {
			style  qr.Style
			themes []bool // is it dark?
		}{
			"color":    {qr.Color, []bool{true, false}},
			"on dark":  {qr.OnDark, []bool{true}},
			"on light": {qr.OnLight, []bool{false}},
		} {
			for _, dark := range c.themes {
				var out bytes.Buffer
				if err := qr.Terminal(&out, text, qr.Options{Style: c.style}); err != nil {
					t.Fatal(err)
				}
				if got := scan(t, photo(t, screen(t, out.String(), dark), dark)); got != text {
					t.Errorf("%s %s, dark theme %v: %q is read", what, name, dark, got)
				}
			}
		}
	}
}

func TestScannersReadFiles(t *testing.T) {
	for what, text := range texts {
		var out bytes.Buffer
		if err := qr.PNG(&out, text, 4); err != nil {
			t.Fatal(err)
		}
		if got := scan(t, out.Bytes()); got != text {
			t.Errorf("%s as PNG: %q is read", what, got)
		}

		out.Reset()
		if err := qr.SVG(&out, text); err != nil {
			t.Fatal(err)
		}
		size := len(bare(t, text)) + 8
		pixels := make([][]bool, size)
		for y := range pixels {
			pixels[y] = make([]bool, size)
		}
		for _, run := range svgRuns(t, out.String()) {
			for x := run.x; x < run.x+run.width; x++ {
				pixels[run.y][x] = true
			}
		}
		if got := scan(t, photo(t, pixels, false)); got != text {
			t.Errorf("%s as SVG: %q is read", what, got)
		}
	}
}
