// Package theme is how the terminal UI looks: styles by meaning, and the
// signs that it draws with. Screens name what something means and never a
// colour or a box-drawing character.
//
// A theme changes neither text nor layout. What a colour says is always said
// by a word or a sign too: under NO_COLOR only bold and underline are left.
package theme

import (
	"image/color"
	"slices"

	"charm.land/lipgloss/v2"

	"vpn/internal/vpn"
)

// Name names a theme.
type Name string

// The themes. Auto is dark or light, as the terminal says.
const (
	Auto         Name = "auto"
	Dark         Name = "dark"
	Light        Name = "light"
	HighContrast Name = "high-contrast"
	ANSI16       Name = "ansi16" // only the terminal's own 16 colours
)

// Names returns all of them, in the order in which they are offered.
func Names() []Name { return []Name{Auto, Dark, Light, HighContrast, ANSI16} }

// Valid returns an error of kind [vpn.Invalid] if there is no theme n.
func (n Name) Valid() error {
	if slices.Contains(Names(), n) {
		return nil
	}
	names := make([]string, 0, len(Names()))
	for _, n := range Names() {
		names = append(names, string(n))
	}
	return vpn.Unknown("theme", string(n), names)
}

// A Theme is made by [New] and never changed. It may be used concurrently.
type Theme struct {
	Name   Name
	IsDark bool
	Glyphs Glyphs

	// Text.
	Text, Muted, Faint, Title, Accent lipgloss.Style
	// States.
	OK, Warn, Bad lipgloss.Style
	// Directions of traffic, from the user's point of view.
	Down, Up lipgloss.Style
	// The row under the cursor: with the keys, and without.
	Selected, Resting lipgloss.Style
	// Frames: of a pane with the keys, and of any other.
	Focus, Border lipgloss.Style
	// Tabs, keys in the last line, what a search has found, buttons.
	Tab, TabActive, Key, Match, Button, Danger lipgloss.Style
	// The inside of what lies above a screen.
	Modal lipgloss.Style
}

// palette is what themes differ in.
type palette struct {
	text, muted, faint, accent, onAccent, ok, warn, bad, onBad, down, up, border, raised color.Color
}

// New returns the theme n, drawn with g. dark is what the terminal's
// background is, which only [Auto] and the themes made for both ask.
func New(n Name, dark bool, g Glyphs) *Theme {
	switch n {
	case Dark:
		dark = true
	case Light:
		dark = false
	}
	return styles(&Theme{Name: n, IsDark: dark, Glyphs: g}, colours(n, dark))
}

func colours(n Name, dark bool) palette {
	pick := lipgloss.LightDark(dark)
	c := func(light, dark string) color.Color { return pick(lipgloss.Color(light), lipgloss.Color(dark)) }
	switch n {
	case HighContrast:
		return palette{
			text: c("#000000", "#ffffff"), muted: c("#000000", "#ffffff"), faint: c("#3a3a3a", "#c8c8c8"),
			accent: c("#0000b0", "#ffff00"), onAccent: c("#ffffff", "#000000"),
			ok: c("#004d00", "#5fff5f"), warn: c("#5c3300", "#ffd75f"), bad: c("#9b0000", "#ff8787"), onBad: c("#ffffff", "#000000"),
			down: c("#0000b0", "#5fffff"), up: c("#6a006a", "#ffafff"), border: c("#000000", "#ffffff"), raised: c("#ffffff", "#000000"),
		}
	case ANSI16:
		// 7 and 15 are dark enough on neither background of a terminal whose
		// colours are its owner's, so text has the terminal's own.
		return palette{
			muted: lipgloss.NoColor{}, text: lipgloss.NoColor{}, faint: lipgloss.BrightBlack,
			accent: pick(lipgloss.Blue, lipgloss.BrightCyan), onAccent: pick(lipgloss.BrightWhite, lipgloss.Black),
			ok: pick(lipgloss.Green, lipgloss.BrightGreen), warn: pick(lipgloss.Magenta, lipgloss.BrightYellow),
			bad: pick(lipgloss.Red, lipgloss.BrightRed), onBad: pick(lipgloss.BrightWhite, lipgloss.Black),
			down: pick(lipgloss.Blue, lipgloss.BrightCyan), up: pick(lipgloss.Magenta, lipgloss.BrightMagenta),
			border: lipgloss.BrightBlack, raised: lipgloss.NoColor{},
		}
	}
	return palette{
		text: c("#1f2328", "#e6e6e6"), muted: c("#57606a", "#9aa4b2"), faint: c("#6e7781", "#7d8594"),
		accent: c("#0550ae", "#7aa2f7"), onAccent: c("#ffffff", "#11131a"),
		ok: c("#116329", "#9ece6a"), warn: c("#7d4e00", "#e0af68"), bad: c("#a40e26", "#f7768e"), onBad: c("#ffffff", "#11131a"),
		down: c("#0550ae", "#7dcfff"), up: c("#8250df", "#bb9af7"), border: c("#afb8c1", "#3b4252"), raised: c("#ffffff", "#1a1d27"),
	}
}

func styles(t *Theme, p palette) *Theme {
	fg := func(c color.Color) lipgloss.Style { return lipgloss.NewStyle().Foreground(c) }
	t.Text, t.Muted, t.Faint = fg(p.text), fg(p.muted), fg(p.faint)
	t.Title, t.Accent = fg(p.text).Bold(true), fg(p.accent).Bold(true)
	t.OK, t.Warn, t.Bad = fg(p.ok), fg(p.warn), fg(p.bad)
	t.Down, t.Up = fg(p.down), fg(p.up)
	// Without colours bold is left, and the cursor's own sign.
	t.Selected = fg(p.onAccent).Background(p.accent).Bold(true)
	t.Resting = fg(p.accent).Bold(true)
	t.Focus, t.Border = fg(p.accent), fg(p.border)
	t.Tab, t.TabActive = fg(p.muted), fg(p.accent).Bold(true).Underline(true)
	t.Key = fg(p.accent).Bold(true)
	t.Match = fg(p.onAccent).Background(p.warn).Bold(true)
	t.Button = t.Selected
	t.Danger = fg(p.onBad).Background(p.bad).Bold(true)
	t.Modal = fg(p.text)
	return t
}
