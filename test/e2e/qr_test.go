//go:build linux && e2e

package e2e

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vpn/test/e2e/rig"
)

// scan reads a QR code from an image, as a phone does.
func scan(t *testing.T, img []byte) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "zbarimg", "zbar-tools"), "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "PNG:-")
	cmd.Stdin = bytes.NewReader(img)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nothing can be read: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// photo draws modules; dark is true.
func photo(t *testing.T, modules [][]bool) []byte {
	t.Helper()
	const scale, margin = 5, 40
	img := image.NewGray(image.Rect(0, 0, len(modules[0])*scale+2*margin, len(modules)*scale+2*margin))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for y, row := range modules {
		for x, dark := range row {
			for i := range scale * scale {
				if dark {
					img.SetGray(margin+x*scale+i%scale, margin+y*scale+i/scale, color.Gray{})
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// screen reads half blocks, of which the lit halves are light, as on a dark
// terminal.
func screen(text string) [][]bool {
	var modules [][]bool
	for line := range strings.Lines(text) {
		var upper, lower []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			upper = append(upper, r != '█' && r != '▀')
			lower = append(lower, r != '█' && r != '▄')
		}
		modules = append(modules, upper, lower)
	}
	return modules
}

var (
	viewBox = regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`)
	run     = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`)
)

// drawing reads the rows of an SVG image.
func drawing(t *testing.T, svg string) [][]bool {
	t.Helper()
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	box := viewBox.FindStringSubmatch(svg)
	if box == nil {
		t.Fatalf("no image: %s", svg)
	}
	modules := make([][]bool, number(box[2]))
	for y := range modules {
		modules[y] = make([]bool, number(box[1]))
	}
	for _, m := range run.FindAllStringSubmatch(svg, -1) {
		x, y := number(m[1]), number(m[2])
		for i := range number(m[3]) {
			modules[y][x+i] = true
		}
	}
	return modules
}

// A user's QR code, in whatever form it is asked for, is the user's link.
func TestQRCodesAreTheLink(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.CreateUser("alice")
	link := strings.TrimSuffix(i.Must("users", "link", "alice"), "\n")
	dir := filepath.Dir(i.Data)
	file := func(name string) string { return filepath.Join(dir, name) }
	i.Must("users", "qr", "alice", "--png", file("a.png"), "--svg", file("a.svg"))
	read := func(name string) []byte {
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for form, img := range map[string]func() []byte{
		"terminal":             func() []byte { return photo(t, screen(i.Must("users", "qr", "alice"))) },
		"PNG file":             func() []byte { return read("a.png") },
		"PNG, standard output": func() []byte { return []byte(i.Must("users", "qr", "alice", "--png", "-")) },
		"SVG file":             func() []byte { return photo(t, drawing(t, string(read("a.svg")))) },
		"SVG, standard output": func() []byte { return photo(t, drawing(t, i.Must("users", "qr", "alice", "--svg", "-"))) },
	} {
		if got := scan(t, img()); got != link {
			t.Errorf("%s: %q is read, the link is %q", form, got, link)
		}
	}
}
