package settings

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"charm.land/lipgloss/v2"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// edit is what is to become of a value: another one, or what it is without
// the file.
type edit struct {
	value string
	unset bool
}

// daemon is the section of the daemon's configuration.
type daemon struct {
	frame    page.Frame
	api, dry API

	config vpn.Configuration
	known  bool
	err    error
	edits  map[string]edit
	wrong  map[string]string // what is wrong with them
	table  *widget.Table

	// moved is set by whatever has changed the configuration, outside of the
	// UI's goroutine: what is known of it is old.
	moved *atomic.Bool
}

type (
	configMsg struct {
		config vpn.Configuration
		err    error
	}
	// triedMsg is how the dry run went.
	triedMsg struct {
		patch  vpn.ConfigPatch
		change vpn.ConfigChange
		err    error
		wrong  map[string]string
	}
)

const askTimeout = 10 * time.Second

func newDaemon(f page.Frame, api, dry API) *daemon {
	d := &daemon{frame: f, api: api, dry: dry, edits: map[string]edit{}, wrong: map[string]string{}, moved: &atomic.Bool{}}
	style := func(row int) *lipgloss.Style {
		t := f.Theme()
		k := d.config.Values[row].Key
		switch _, changed := d.edits[k]; {
		case d.wrong[k] != "":
			return &t.Bad
		case changed:
			return &t.Warn
		}
		return nil
	}
	d.table = widget.NewTable(
		widget.Column{Title: "", Min: 1, Style: style, Text: func(row int) string { return d.sign(d.config.Values[row].Key) }},
		widget.Column{Title: "KEY", Min: 12, Flex: 1, Style: style, Text: func(row int) string { return d.config.Values[row].Key }},
		widget.Column{Title: "VALUE", Min: 24, Flex: 4, Style: style, Text: func(row int) string { return d.shown(d.config.Values[row]) }},
		widget.Column{Title: "FROM", Min: 15, Flex: 1, Leaves: 1, Text: func(row int) string { return briefly(d.config.Values[row].Origin) }},
	)
	return d
}

func (d *daemon) sign(k string) string {
	g := d.frame.Theme().Glyphs
	switch _, changed := d.edits[k]; {
	case d.wrong[k] != "":
		return g.Bad
	case changed:
		return g.Changed
	}
	return ""
}

// shown is a value and what is to become of it.
func (d *daemon) shown(v vpn.ConfigValue) string {
	arrow := " " + d.frame.Theme().Glyphs.Pick + " "
	e, changed := d.edits[v.Key]
	switch {
	case d.wrong[v.Key] != "":
		return d.wrong[v.Key]
	case changed && e.unset:
		return named(v.Value) + arrow + "its default"
	case changed:
		return named(v.Value) + arrow + named(e.value)
	case v.Pending != nil:
		return named(v.Value) + arrow + named(*v.Pending) + " by a reload"
	}
	return named(v.Value)
}

// named is a value that can be seen.
func named(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// originOf says in words where a value comes from.
func originOf(o vpn.ConfigOrigin) string {
	switch o.Layer {
	case "file":
		if i := strings.LastIndexByte(o.Where, ':'); i >= 0 {
			return "the file, line " + o.Where[i+1:]
		}
		return "the file"
	case "environment":
		return "the environment, " + o.Where
	case "flag":
		return "the command line, " + o.Where
	}
	return "its default"
}

// briefly is where a value comes from, as it stands in a column.
func briefly(o vpn.ConfigOrigin) string {
	switch o.Layer {
	case "file":
		return strings.TrimPrefix(originOf(o), "the ")
	case "environment":
		return "variable " + o.Where
	case "flag":
		return "flag " + o.Where
	}
	return "default"
}

// load asks for the configuration.
func (d *daemon) load() tea.Cmd {
	api := d.api
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		c, err := api.Configuration(ctx)
		return configMsg{c, err}
	}
}

func (d *daemon) take(m configMsg) {
	if d.err = m.err; m.err != nil {
		return
	}
	d.config, d.known = m.config, true
	for k, e := range d.edits {
		if v, ok := d.value(k); !ok || !e.unset && e.value == v.Value && v.Pending == nil && v.Origin.Layer == "file" {
			delete(d.edits, k) // it is so already
		}
	}
	d.table.SetRows(len(m.config.Values), func(row int) string { return d.config.Values[row].Key }, nil)
}

func (d *daemon) value(k string) (vpn.ConfigValue, bool) {
	i := slices.IndexFunc(d.config.Values, func(v vpn.ConfigValue) bool { return v.Key == k })
	if i < 0 {
		return vpn.ConfigValue{}, false
	}
	return d.config.Values[i], true
}

// row is the value under the cursor.
func (d *daemon) row() (vpn.ConfigValue, bool) {
	if i := d.table.Row(); i >= 0 && i < len(d.config.Values) {
		return d.config.Values[i], true
	}
	return vpn.ConfigValue{}, false
}

func (d *daemon) first() bool { return d.table.Row() <= 0 }

// wanted is what a value is to be, as far as is known.
func (d *daemon) wanted(v vpn.ConfigValue) string {
	if e, ok := d.edits[v.Key]; ok && !e.unset {
		return e.value
	}
	if v.Pending != nil {
		return *v.Pending
	}
	return v.Value
}

func (d *daemon) note(v vpn.ConfigValue, e edit) {
	delete(d.wrong, v.Key)
	if !e.unset && e.value == v.Value && v.Pending == nil {
		delete(d.edits, v.Key)
		return
	}
	d.edits[v.Key] = e
}

// edit asks for another value. It is checked by a dry run before it is taken.
func (d *daemon) edit() tea.Cmd {
	v, ok := d.row()
	if !ok {
		return nil
	}
	field := widget.Field{
		Key: v.Key, Label: v.Key, Value: d.wanted(v), Choices: v.Choices, Hint: v.Example,
		Help: v.Key + " is " + v.Doc + ".",
	}
	dry := d.dry
	d.frame.Open(dialog.NewForm(d.frame, "Configuration", nil, widget.NewForm(field), func(f *widget.Form) page.Change {
		value := f.Value(v.Key)
		return page.Change{
			Twin: twin(v.Key, edit{value: value}),
			Do: func(ctx context.Context) (string, error) {
				_, err := dry.Configure(ctx, vpn.ConfigPatch{Set: map[string]string{v.Key: value}})
				return v.Key + " is to be " + named(value) + ": ctrl+s saves it", err
			},
			Then: func() tea.Cmd {
				d.note(v, edit{value: value})
				return nil
			},
		}
	}))
	return nil
}

// choose takes the choice that is n further, of a value that has choices.
func (d *daemon) choose(n int) tea.Cmd {
	v, ok := d.row()
	if !ok || len(v.Choices) == 0 {
		return nil
	}
	c := v.Choices
	i := slices.Index(c, d.wanted(v))
	d.note(v, edit{value: c[(i+n+2*len(c))%len(c)]})
	return nil
}

// drop takes back what was changed under the cursor.
func (d *daemon) drop() bool {
	v, _ := d.row()
	_, ok := d.edits[v.Key]
	delete(d.edits, v.Key)
	delete(d.wrong, v.Key)
	return ok
}

// unset gives the value under the cursor its default again.
func (d *daemon) unset() tea.Cmd {
	v, ok := d.row()
	switch {
	case !ok:
	case v.Origin.Layer == "default" && v.Pending == nil:
		if !d.drop() {
			return d.frame.Say(page.Note, v.Key+" has its default")
		}
	case v.Origin.Layer == "file" || v.Pending != nil:
		d.note(v, edit{unset: true})
	default:
		return d.frame.Say(page.Note, v.Key+" comes from "+originOf(v.Origin)+": it can be changed there only")
	}
	return nil
}
