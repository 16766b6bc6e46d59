package tuitest

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// Alone returns the UI with one page; all other screens are blank.
func Alone(o tui.Options, screen key.Screen, p func(page.Frame) page.Page) *tui.App {
	o.Pages = func(f page.Frame) []page.Page {
		var pages []page.Page
		for _, s := range key.Screens() {
			if s == screen {
				pages = append(pages, p(f))
			} else {
				pages = append(pages, &Blank{Theme: f.Theme(), Title: s.String()})
			}
		}
		return pages
	}
	return tui.New(o)
}

// Blank is a page that shows what it was asked to show.
type Blank struct {
	Theme *theme.Theme
	Title string
	What  string
}

var _ page.Page = (*Blank)(nil)

// Needs says nothing.
func (*Blank) Needs() feed.Topic { return 0 }

// Show keeps what.
func (b *Blank) Show(what string) tea.Cmd {
	b.What = what
	return nil
}

// Do does nothing.
func (*Blank) Do(string) (tea.Cmd, bool) { return nil, false }

// Type takes nothing.
func (*Blank) Type(tea.Msg) bool { return false }

// Update does nothing.
func (*Blank) Update(tea.Msg) tea.Cmd { return nil }

// Learn does nothing.
func (*Blank) Learn(feed.Topic) {}

// Render says what it was asked to show.
func (b *Blank) Render(w, h int) []string {
	return widget.Lines(b.Theme, []string{b.Title + " shows " + b.What}, w, h)
}

// Click does nothing.
func (*Blank) Click(int, int) tea.Cmd { return nil }

// Rows are none.
func (*Blank) Rows() page.Rows { return none{} }

type none struct{}

func (none) Point(int, int) bool { return false }

func (none) Anchor() (x, y int, ok bool) { return 0, 0, false }

// Wheel does nothing.
func (*Blank) Wheel(int) {}

// Deaf is a UI that has heard nothing of the control plane yet.
type Deaf struct{ *tui.App }

// Init asks for nothing.
func (Deaf) Init() tea.Cmd { return nil }

// Update takes what comes, and asks for nothing.
func (d Deaf) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	d.App.Update(msg)
	return d, nil
}

// Loading makes pictures of a screen of which nothing has come for a while:
// make returns the UI, and keys are pressed before.
func Loading(t *testing.T, keys []string, make func(tui.Options) *tui.App) {
	t.Helper()
	Pictures(t, keys, func(o tui.Options) tea.Model {
		now := Now()
		o.Now = func() time.Time { now = now.Add(time.Second); return now }
		return Deaf{make(o)}
	})
}
