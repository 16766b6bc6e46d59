package settings

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

// Look is how the UI looks to one person.
type Look struct {
	Theme   theme.Name
	Mouse   bool
	Refresh time.Duration
	Glyphs  string // auto, unicode, blocks or ascii
}

// Standard is how it looks to somebody who has chosen nothing.
func Standard() Look {
	return Look{Theme: theme.Auto, Mouse: true, Refresh: time.Second, Glyphs: "auto"}
}

// Preferences is where the look is kept. Its methods run outside of the UI's
// goroutine, but for File.
type Preferences interface {
	Load() (Look, error)
	Save(l Look) error
	File() string // empty: there is no place
}

// Appearance is how the UI looks now. It is used in the UI's goroutine.
type Appearance interface {
	Look() Look
	Apply(l Look)
}

// The rows, by number.
const (
	rowTheme = iota
	rowMouse
	rowRefresh
	rowGlyphs
	rows
)

// appearance is the section of the person in front of the UI.
type appearance struct {
	frame page.Frame
	prefs Preferences
	now   Appearance

	at    int
	first Look // which a flag or a variable may have given for this time
	saved Look
	known bool
	err   error
}

type savedMsg struct {
	look Look
	err  error
}

func (a *appearance) load() tea.Cmd {
	prefs := a.prefs
	return func() tea.Msg {
		l, err := prefs.Load()
		return savedMsg{l, err}
	}
}

// take takes what is saved. What cannot be read is as if nothing were.
func (a *appearance) take(m savedMsg) {
	a.saved, a.err, a.known = m.look, m.err, true
	if m.err != nil {
		a.saved = Standard()
	}
}

// row is one thing that can be chosen.
type row struct {
	name, doc string
	choices   []string
}

func rowOf(i int) row {
	switch i {
	case rowTheme:
		r := row{name: "Theme", doc: "The colours. auto is dark or light, as the terminal says; ansi16 takes the terminal's own colours; ctrl+t goes through them from any screen."}
		for _, n := range theme.Names() {
			r.choices = append(r.choices, string(n))
		}
		return r
	case rowMouse:
		return row{"Mouse", "on: clicks and the wheel are the UI's, and shift selects text in most terminals. off: the mouse is the terminal's. M switches it from any screen.", []string{"on", "off"}}
	case rowRefresh:
		return row{"Refresh", "How often the control plane is asked what goes on. Over a slow line, rarely is better.", []string{"1s", "2s", "5s"}}
	}
	return row{"Glyphs", "What charts, frames and signs are drawn with. auto: what the terminal can show. blocks: for fonts whose braille is poor. ascii: for the Linux console, and terminals without UTF-8.", []string{"auto", "unicode", "blocks", "ascii"}}
}

// value is what a look has in a row.
func (l Look) value(i int) string {
	switch i {
	case rowTheme:
		return string(l.Theme)
	case rowMouse:
		if l.Mouse {
			return "on"
		}
		return "off"
	case rowRefresh:
		return l.Refresh.String()
	}
	return l.Glyphs
}

// with is l with another value in a row.
func (l Look) with(i int, value string) Look {
	switch i {
	case rowTheme:
		l.Theme = theme.Name(value)
	case rowMouse:
		l.Mouse = value == "on"
	case rowRefresh:
		if d, err := time.ParseDuration(value); err == nil {
			l.Refresh = d
		}
	default:
		l.Glyphs = value
	}
	return l
}

// choose takes the choice that is d further, at once.
func (a *appearance) choose(d int) {
	c := rowOf(a.at).choices
	l := a.now.Look()
	i := slices.Index(c, l.value(a.at)) // -1: something else, by a flag
	a.now.Apply(l.with(a.at, c[(i+d+2*len(c))%len(c)]))
}

// differs reports whether a person has chosen something else than is saved.
func (a *appearance) differs(i int) bool {
	now := a.now.Look().value(i)
	return a.known && now != a.saved.value(i) && now != a.first.value(i)
}

// toSave is what is to be kept: what was chosen or, if nothing was, all that
// is seen.
func (a *appearance) toSave() Look {
	look := a.now.Look()
	if a.changed() == 0 {
		return look
	}
	for i := range rows {
		if !a.differs(i) {
			look = look.with(i, a.saved.value(i))
		}
	}
	return look
}

func (a *appearance) changed() int {
	n := 0
	for i := range rows {
		if a.differs(i) {
			n++
		}
	}
	return n
}

func (a *appearance) drop() bool {
	if !a.differs(a.at) {
		return false
	}
	a.now.Apply(a.now.Look().with(a.at, a.saved.value(a.at)))
	return true
}

func (a *appearance) reset() { a.now.Apply(a.now.Look().with(a.at, Standard().value(a.at))) }

// save keeps the look for the next time.
func (a *appearance) save() tea.Cmd {
	prefs, look, file := a.prefs, a.toSave(), a.prefs.File()
	if !a.known || look == a.saved {
		return nil
	}
	switch {
	case file == "":
		return a.frame.Say(page.Fault, "there is no place for preferences\nhint: set HOME or XDG_CONFIG_HOME")
	case a.err != nil: // what is there is not to be lost by a key
		return a.frame.Say(page.Fault, "the appearance is not saved: "+a.err.Error()+"\nhint: "+vpn.HintOf(a.err))
	}
	return a.frame.Change(page.Change{
		Do: func(context.Context) (string, error) {
			if err := prefs.Save(look); err != nil {
				return "", err
			}
			return "the appearance is in " + file, nil
		},
		Then: func() tea.Cmd {
			a.saved, a.first = look, look
			return nil
		},
	})
}
