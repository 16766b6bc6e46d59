package dialog

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/qr"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// QR is a code to scan: black on white, whatever the theme.
type QR struct {
	frame page.Frame
	title string
	text  string
	code  []string
	cols  int
	err   error
	save  func() tea.Cmd
	twin  string
}

// NewQR returns the code of text. save writes it to a file, for terminals that
// are too small for it, as does the command twin.
func NewQR(f page.Frame, title, text, twin string, save func() tea.Cmd) *QR {
	d := &QR{frame: f, title: title, text: text, save: save, twin: twin}
	d.cols, _, d.err = qr.Size(text)
	return d
}

// Update takes a key.
func (d *QR) Update(msg tea.Msg) tea.Cmd {
	switch pressed(msg) {
	case "s":
		d.frame.Close()
		return d.save()
	case "y":
		return d.frame.Copy(d.text, d.title)
	case "enter", "q", "r":
		d.frame.Close()
	}
	return nil
}

func (d *QR) draw() error {
	if d.code != nil {
		return nil
	}
	var b strings.Builder
	if err := qr.Terminal(&b, d.text, qr.Options{Style: qr.Color}); err != nil {
		return err
	}
	d.code = strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	return nil
}

// Render draws the code, with as much around it as there is room for, or how
// else to get at it.
func (d *QR) Render(t *theme.Theme, w, h int) []string {
	if d.err == nil {
		d.err = d.draw()
	}
	foot := hint(t, "s", "save as PNG", "y", "copy the link", "esc", "close")
	switch {
	case d.err != nil:
		return box(t, d.title, []string{t.Bad.Render(d.err.Error()), "", foot}, w, h)
	case d.cols > w || len(d.code) > h:
		lines := []string{
			"The code takes " + strconv.Itoa(d.cols) + " columns and " + strconv.Itoa(len(d.code)) + " rows;",
			"the terminal has " + strconv.Itoa(w) + " and " + strconv.Itoa(h) + ".",
		}
		lines = append(append(lines, twin(t, d.twin, w-6, h-len(lines)-6)...), "", foot)
		return box(t, d.title, lines, w, h)
	case d.cols+4 > w || len(d.code)+4 > h:
		return d.code // it is worth more than what would be around it
	}
	lines := make([]string, 0, len(d.code)+2)
	inner := max(d.cols, min(widget.Width(foot), w-6))
	for _, l := range d.code {
		lines = append(lines, strings.Repeat(" ", (inner-d.cols)/2)+l)
	}
	lines = append(lines, "", foot)
	lines = append(lines, twin(t, d.twin, inner, h-len(lines)-2)...)
	if len(lines)+2 > h {
		lines = lines[:len(d.code)]
	}
	return widget.Pane{Title: d.title, Focus: true}.Render(t, inner+4, len(lines)+2, indent(lines))
}

func indent(lines []string) []string {
	for i := range lines {
		lines[i] = " " + lines[i]
	}
	return lines
}

// Click does nothing.
func (d *QR) Click(int, int) tea.Cmd { return nil }
