// Package tuitest drives the terminal UI in tests: it presses keys and reads
// what a person would see, without a terminal, a goroutine or a wait. It also
// has a fleet of users and servers that never change, for pictures of screens.
package tuitest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
)

// Now is the time in tests.
func Now() time.Time { return time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC) }

// Never is a timer that never fires, for [tui.Options.After].
func Never(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil }

// A Clock stands, until it is told to go on.
type Clock struct{ now time.Time }

// Now returns the time.
func (c *Clock) Now() time.Time { return c.now }

// Options returns how the UI is in tests: a dark theme, and a clock that
// stands at [Now].
func Options(t testing.TB) (tui.Options, *Clock) {
	t.Helper()
	clock := &Clock{Now()}
	keys, err := key.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return tui.Options{Keys: keys, Look: page.Look{Theme: theme.Dark, Mouse: true, Glyphs: "unicode"}, Dark: true, Glyphs: func(string) theme.Glyphs { return theme.Unicode() }, Now: clock.Now, After: Never}, clock
}

// A Driver is a person at a terminal.
type Driver struct {
	t     testing.TB
	model tea.Model
	w, h  int
	// Clipboard is what was sent to the terminal's clipboard last.
	Clipboard string
	// Quit: the UI has ended.
	Quit bool
}

// Drive starts the UI in a terminal of that size.
func Drive(t testing.TB, m tea.Model, w, h int) *Driver {
	t.Helper()
	d := &Driver{t: t, model: m}
	d.Size(w, h)
	d.run(m.Init())
	return d
}

// Size makes the terminal that large.
func (d *Driver) Size(w, h int) *Driver {
	d.w, d.h = w, h
	return d.Send(tea.WindowSizeMsg{Width: w, Height: h})
}

// Send hands a message to the UI, and runs all that follows from it.
func (d *Driver) Send(msg tea.Msg) *Driver {
	var cmd tea.Cmd
	d.model, cmd = d.model.Update(msg)
	d.run(cmd)
	return d
}

// Later lets time pass, at whose end the UI looks at the control plane again.
func (d *Driver) Later(c *Clock, by time.Duration) *Driver {
	c.now = c.now.Add(by)
	return d.Send(tui.Tick(c.now))
}

// run runs commands to their ends, one after the other.
func (d *Driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	case tea.QuitMsg:
		d.Quit = true
	default:
		// The library's own messages are of types that it keeps to itself.
		v := reflect.ValueOf(msg)
		if v.Kind() == reflect.String && strings.HasSuffix(v.Type().String(), "setClipboardMsg") {
			d.Clipboard = v.String()
			return
		}
		if v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]() { // a sequence
			for i := range v.Len() {
				d.run(v.Index(i).Interface().(tea.Cmd))
			}
			return
		}
		d.Send(msg)
	}
}

// Press presses keys, named as the terminal library names them, on what is on
// the screen then.
func (d *Driver) Press(keys ...string) *Driver {
	for _, k := range keys {
		d.model.(viewer).View()
		d.Send(press(k))
	}
	return d
}

// Type types text.
func (d *Driver) Type(text string) *Driver {
	for _, r := range text {
		d.Send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return d
}

func press(name string) tea.KeyPressMsg {
	var k tea.Key
	for {
		if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
			k.Mod |= tea.ModCtrl
			name = rest
		} else if rest, ok := strings.CutPrefix(name, "shift+"); ok {
			k.Mod |= tea.ModShift
			name = rest
		} else {
			break
		}
	}
	named := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"space": tea.KeySpace, "backspace": tea.KeyBackspace, "home": tea.KeyHome, "end": tea.KeyEnd, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "f1": tea.KeyF1,
	}
	if r, ok := named[name]; ok {
		k.Code = r
		if name == "space" {
			k.Text = " "
		}
		return tea.KeyPressMsg(k)
	}
	k.Code = []rune(name)[0]
	if k.Mod == 0 {
		k.Text = name
	}
	return tea.KeyPressMsg(k)
}

// Click clicks on a cell of what is on the screen now.
func (d *Driver) Click(x, y int, b tea.MouseButton) *Driver {
	d.model.(viewer).View()
	return d.Send(tea.MouseClickMsg{X: x, Y: y, Button: b})
}

// ClickOn clicks on the first place where text is.
func (d *Driver) ClickOn(text string, b tea.MouseButton) *Driver {
	d.t.Helper()
	for y, row := range strings.Split(d.Text(), "\n") {
		if x := strings.Index(row, text); x >= 0 {
			return d.Click(ansi.StringWidth(row[:x]), y, b)
		}
	}
	d.t.Fatalf("%q is not on the screen:\n%s", text, d.Text())
	return d
}

type viewer interface{ View() tea.View }

// Cells is what a terminal of that size shows.
func (d *Driver) Cells() uv.ScreenBuffer {
	b := uv.NewScreenBuffer(d.w, d.h)
	uv.NewStyledString(d.model.(viewer).View().Content).Draw(b, b.Bounds())
	return b
}

// Text is the screen without colours.
func (d *Driver) Text() string {
	rows := strings.Split(d.Cells().String(), "\n")
	for i := range rows {
		rows[i] = strings.TrimRight(strings.TrimRight(rows[i], "\r"), " ")
	}
	return strings.Join(rows, "\n") + "\n"
}

// Want fails the test unless all texts are on the screen.
func (d *Driver) Want(texts ...string) *Driver {
	d.t.Helper()
	screen := d.Text()
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			d.t.Fatalf("the screen lacks %q:\n%s", text, screen)
		}
	}
	return d
}

// WantNot fails the test if one of texts is on the screen.
func (d *Driver) WantNot(texts ...string) *Driver {
	d.t.Helper()
	screen := d.Text()
	for _, text := range texts {
		if strings.Contains(screen, text) {
			d.t.Fatalf("the screen has %q:\n%s", text, screen)
		}
	}
	return d
}

// Fits fails the test if the screen is larger than the terminal.
func (d *Driver) Fits() *Driver {
	d.t.Helper()
	lines := strings.Split(d.model.(viewer).View().Content, "\n")
	if len(lines) > d.h {
		d.t.Fatalf("%d lines in a terminal of %d", len(lines), d.h)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > d.w {
			d.t.Fatalf("line %d takes %d cells in a terminal of %d:\n%s", i, w, d.w, ansi.Strip(l))
		}
	}
	return d
}

// Golden compares the screen with the picture of the test's name: text alone
// in dark, colours too in light, which the same text has.
func (d *Driver) Golden(t *testing.T) *Driver {
	t.Helper()
	golden.RequireEqual(t, d.Text())
	t.Run("colours", func(t *testing.T) { golden.RequireEqual(t, d.Cells().Render()) })
	return d
}

// Sizes are the terminals of which there are pictures.
func Sizes() [][2]int { return [][2]int{{60, 18}, {80, 24}, {120, 40}} }

// Pictures makes a picture of one screen in each size and theme: make returns
// the UI, and keys are pressed before.
func Pictures(t *testing.T, keys []string, make func(tui.Options) tea.Model) {
	t.Helper()
	for _, size := range Sizes() {
		for _, name := range []theme.Name{theme.Dark, theme.Light} {
			t.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], name), func(t *testing.T) {
				o, _ := Options(t)
				o.Look.Theme, o.Dark = name, name == theme.Dark
				Drive(t, make(o), size[0], size[1]).Press(keys...).Fits().Golden(t)
			})
		}
	}
}

// ASCII fails the test if anything but ASCII is on a screen that is drawn for
// a terminal that can do no more: make returns the UI, and each of keys is
// pressed on a new one. What is shown of others must be ASCII.
func ASCII(t *testing.T, make func(tui.Options) tea.Model, keys ...[]string) {
	t.Helper()
	for _, size := range Sizes() {
		for _, pressed := range keys {
			o, _ := Options(t)
			o.Look.Glyphs, o.Glyphs = "ascii", func(string) theme.Glyphs { return theme.ASCII() }
			text := Drive(t, make(o), size[0], size[1]).Press(pressed...).Fits().Text()
			if i := strings.IndexFunc(text, func(r rune) bool { return r > '~' }); i >= 0 {
				t.Errorf("after %q at %dx%d there is %q:\n%s", pressed, size[0], size[1], []rune(text[i:])[0], text)
			}
		}
	}
}
