package settings

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// patch is all that was changed.
func (d *daemon) patch() vpn.ConfigPatch {
	p := vpn.ConfigPatch{Set: map[string]string{}}
	for _, k := range slices.Sorted(maps.Keys(d.edits)) {
		if e := d.edits[k]; e.unset {
			p.Unset = append(p.Unset, k)
		} else {
			p.Set[k] = e.value
		}
	}
	return p
}

// one is a patch's part about one key.
func one(p vpn.ConfigPatch, k string) vpn.ConfigPatch {
	if v, ok := p.Set[k]; ok {
		return vpn.ConfigPatch{Set: map[string]string{k: v}}
	}
	return vpn.ConfigPatch{Unset: []string{k}}
}

func keysOf(p vpn.ConfigPatch) []string {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(p.Set)), p.Unset...)))
}

// try asks what would become of all that was changed, and if that is refused,
// because of which of it.
func (d *daemon) try() tea.Cmd {
	if len(d.edits) == 0 {
		return nil
	}
	dry, p := d.dry, d.patch()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		m := triedMsg{patch: p, wrong: map[string]string{}}
		if m.change, m.err = dry.Configure(ctx, p); m.err == nil {
			return m
		}
		for _, k := range keysOf(p) {
			if _, err := dry.Configure(ctx, one(p, k)); err != nil && vpn.KindOf(err) == vpn.Invalid {
				m.wrong[k] = err.Error()
			}
		}
		return m
	}
}

// tried shows what was learnt by trying, and asks whether it is to be saved.
func (d *daemon) tried(m triedMsg) tea.Cmd {
	d.wrong = m.wrong
	if m.err != nil {
		text := m.err.Error()
		if hint := vpn.HintOf(m.err); hint != "" {
			text += "\nhint: " + hint
		}
		return d.frame.Say(page.Fault, text)
	}
	d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
		Title: "Save the configuration?", Lines: d.preview(m.change), Yes: "Save and reload", Twin: twins(m.patch),
		Do: func() tea.Cmd { return d.save(m.patch) },
	}))
	return nil
}

// preview is what saving would do, in lines.
func (d *daemon) preview(c vpn.ConfigChange) []string {
	var lines []string
	for _, x := range c.Changes {
		lines = append(lines, x.Key+": "+named(x.From)+" "+d.frame.Theme().Glyphs.Pick+" "+named(x.To))
	}
	if len(c.Changes) > 0 {
		lines = append(lines, "")
	}
	switch {
	case c.Written && len(c.Changes) > 0:
		lines = append(lines, "It is written to "+c.File+", and a reload brings it into force.")
	case c.Written:
		lines = append(lines, "It is written to "+c.File+"; what is in force stays.")
	default:
		lines = append(lines, c.File+" says that already; the daemon reads it again.")
	}
	if len(c.Restart) > 0 {
		lines = append(lines, "Not before the daemon is started again: "+strings.Join(c.Restart, ", ")+".")
	}
	for _, w := range c.Warnings {
		lines = append(lines, d.frame.Theme().Glyphs.Warn+" "+w)
	}
	return lines
}

// save writes the file and has it read.
func (d *daemon) save(p vpn.ConfigPatch) tea.Cmd {
	api, moved := d.api, d.moved
	apply := func(p vpn.ConfigPatch) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			defer moved.Store(true)
			c, err := api.Configure(ctx, p)
			if err != nil {
				return "", err
			}
			r, err := api.Reload(ctx)
			if err != nil {
				return "", vpn.Errorf(vpn.KindOf(err), "%s is written, but not in force: %w", c.File, err).WithHint("%s", vpn.HintOf(err))
			}
			return saved(c, r), nil
		}
	}
	return d.frame.Change(page.Change{
		Twin: twins(p), Do: apply(p), Undo: apply(d.opposite(p)), Affects: feed.Status,
		Then: func() tea.Cmd {
			for _, k := range keysOf(p) {
				delete(d.edits, k)
			}
			return nil
		},
	})
}

// opposite is the patch that makes of the file what it was.
func (d *daemon) opposite(p vpn.ConfigPatch) vpn.ConfigPatch {
	o := vpn.ConfigPatch{Set: map[string]string{}}
	for _, k := range keysOf(p) {
		v, _ := d.value(k)
		switch {
		case v.Pending != nil:
			o.Set[k] = *v.Pending
		case v.Origin.Layer == "file":
			o.Set[k] = v.Value
		default:
			o.Unset = append(o.Unset, k)
		}
	}
	return o
}

func saved(c vpn.ConfigChange, r vpn.Reload) string {
	text := c.File + " is written"
	if len(r.Changed) > 0 {
		text += ", in force: " + strings.Join(r.Changed, ", ")
	}
	if len(c.Restart) > 0 {
		text += "; after a restart: " + strings.Join(c.Restart, ", ")
	}
	return text
}

// reload has the daemon read its file again.
func (d *daemon) reload() tea.Cmd {
	api := d.api
	return d.frame.Change(page.Change{
		Twin: "vpn reload",
		Do: func(ctx context.Context) (string, error) {
			r, err := api.Reload(ctx)
			if err != nil || len(r.Changed) == 0 {
				return "the configuration was read again; nothing has changed", err
			}
			return "the configuration was read again; changed: " + strings.Join(r.Changed, ", "), nil
		},
		Then: d.load, Affects: feed.Status,
	})
}

// twin is the command that changes one key, in the daemon's file as it is done
// here, wherever the daemon runs.
func twin(k string, e edit) string {
	if e.unset {
		return "vpn config unset " + k + " --daemon"
	}
	return fmt.Sprintf("vpn config set %s %s --daemon", k, dialog.Quote(e.value))
}

func twins(p vpn.ConfigPatch) string {
	var out []string
	for _, k := range keysOf(p) {
		v, set := p.Set[k]
		out = append(out, twin(k, edit{v, !set}))
	}
	return strings.Join(append(out, "vpn reload"), " && ")
}
