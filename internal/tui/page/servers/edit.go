package servers

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/protocol"
	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// edit asks for what a server is to be. Before it is, the control plane says
// what that means to those who are connected and to the links they have.
func (d *deeds) edit(s vpn.ServerInfo) {
	i := slices.IndexFunc(d.o.Protocols, func(p protocol.Protocol) bool { return p.Name() == s.Protocol })
	if i < 0 {
		return
	}
	p := d.o.Protocols[i]
	form := widget.NewForm(slices.Concat(general(p, &s), own(p, &s), last(&s))...)
	d.frame.Open(dialog.NewForm(d.frame, "Edit server "+s.Name, nil, form, func(f *widget.Form) page.Change { return d.trial(p, s, f) }).Stay())
}

// A revision is what is to be changed about a server.
type revision struct {
	server vpn.ServerInfo
	patch  vpn.ServerPatch
	values []value
	twin   string
}

// revise reads the form: only what says something else than before.
func revise(p protocol.Protocol, s vpn.ServerInfo, form *widget.Form) revision {
	r := revision{server: s, twin: "vpn server update " + dialog.Quote(s.Name)}
	set := func(field string, to func(text string)) {
		if !form.Changed(field) {
			return
		}
		text := form.Value(field)
		to(text)
		if field != fieldAllow {
			r.twin += " --" + field + " " + dialog.Quote(text)
		}
	}
	set(fieldName, func(v string) { r.patch.Name = &v })
	set(fieldPort, func(v string) {
		n, _ := strconv.ParseUint(v, 10, 16) // the form is checked before it is used
		port := uint16(n)
		r.patch.Port = &port
	})
	set(fieldHost, func(v string) { r.patch.PublicHost = &v })
	set(fieldListen, func(v string) {
		a, _ := netip.ParseAddr(v)
		r.patch.Listen = &a
	})
	r.values = changed(p, form)
	for _, v := range r.values {
		r.twin += v.flags()
	}
	set(fieldAllow, func(v string) {
		list, _ := parsePrefixes(v)
		r.patch.Allow = &list
		if len(list) == 0 {
			r.twin += " --" + fieldAllow + " none"
		}
		for _, text := range split(v) {
			r.twin += " --" + fieldAllow + " " + dialog.Quote(text)
		}
	})
	if r.patch.NoCheck = form.Value(fieldCheck) == "no"; r.patch.NoCheck {
		r.twin += " --" + fieldCheck
	}
	return r
}

// empty reports whether r changes nothing.
func (r revision) empty() bool {
	p := r.patch
	return p.Name == nil && p.Port == nil && p.PublicHost == nil && p.Listen == nil && p.Allow == nil && len(r.values) == 0
}

// trial asks what the revision would mean, and then the person.
func (d *deeds) trial(p protocol.Protocol, s vpn.ServerInfo, form *widget.Form) page.Change {
	r := revise(p, s, form)
	var said vpn.ServerChange
	return page.Change{
		Twin: r.twin,
		Do: func(ctx context.Context) (string, error) {
			if r.empty() {
				return "", vpn.Errorf(vpn.Invalid, "nothing was changed").WithHint("esc leaves it as it is")
			}
			var err error
			if r.patch.Settings, err = encode(r.values, d.o.Read); err != nil {
				return "", err
			}
			said, err = d.o.Dry.Update(ctx, s.Name, r.patch)
			return "", err
		},
		Then: func() tea.Cmd {
			d.confirm(r, said)
			return nil
		},
	}
}

// confirm shows what the control plane has said, above the form: a no leads
// back to it.
func (d *deeds) confirm(r revision, said vpn.ServerChange) {
	lines, harm := meaning(said, r.server)
	d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
		Title: "Save the changes to server " + r.server.Name + "?", Lines: append(lines, said.Warnings...), Yes: "Save", Danger: harm, Twin: r.twin,
		Do: func() tea.Cmd {
			d.frame.Close() // the form
			return d.frame.Change(d.update(r))
		},
	}))
}

// meaning says what a change does to users, and whether it hurts them.
func meaning(c vpn.ServerChange, s vpn.ServerInfo) (lines []string, harm bool) {
	if c.Effects == nil {
		return nil, false
	}
	switch c.Effects.Links {
	case vpn.LinksReplaced:
		lines, harm = append(lines, "The links that clients have work no more: every user needs a new one."), true
	case vpn.LinksChanged:
		lines = append(lines, "Links look different from now on; those that clients have work on.")
	default:
		lines = append(lines, "Links stay as they are.")
	}
	switch {
	case !c.Effects.Drops:
		lines = append(lines, "Live connections go on.")
	case s.Online > 0:
		lines, harm = append(lines, many(s.Online, "live connection")+" will end: the server starts anew."), true
	default:
		lines, harm = append(lines, "Live connections end: the server starts anew."), true
	}
	return lines, harm
}

// update does what was confirmed.
func (d *deeds) update(r revision) page.Change {
	name := r.server.Name
	if r.patch.Name != nil {
		name = *r.patch.Name
	}
	c := page.Change{
		Twin: r.twin, Affects: feed.Status,
		Do: func(ctx context.Context) (string, error) {
			c, err := d.o.API.Update(ctx, r.server.Name, r.patch)
			if err != nil {
				return "", err
			}
			text := name + " is changed"
			if e := c.Effects; e != nil && e.Links == vpn.LinksReplaced {
				text += "; every user needs a new link"
			}
			return text, nil
		},
		Then: func() tea.Cmd {
			d.list.want = name
			return nil
		},
	}
	if back, ok := r.back(); ok {
		c.Undo = func(ctx context.Context) (string, error) {
			_, err := d.o.API.Update(ctx, name, back)
			return r.server.Name + " is as it was", err
		}
	}
	return c
}

// back is the patch that takes r back; it cannot be if a file was given, as
// what was there before is not known here.
func (r revision) back() (vpn.ServerPatch, bool) {
	old := r.server
	back := vpn.ServerPatch{NoCheck: true} // it was checked when it was set
	if r.patch.Name != nil {
		back.Name = &old.Name
	}
	if r.patch.Port != nil {
		back.Port = &old.Port
	}
	if r.patch.PublicHost != nil {
		back.PublicHost = &old.PublicHost
	}
	if r.patch.Listen != nil {
		back.Listen = &old.Listen
	}
	if r.patch.Allow != nil {
		allow := append([]netip.Prefix{}, old.Allow...)
		back.Allow = &allow
	}
	if len(r.values) == 0 {
		return back, true
	}
	was, settings := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if json.Unmarshal(old.Settings, &was) != nil {
		return back, false
	}
	for _, v := range r.values {
		if v.field.File {
			return back, false
		}
		if settings[v.field.Key] = was[v.field.Key]; settings[v.field.Key] == nil {
			settings[v.field.Key] = json.RawMessage("null")
		}
	}
	var err error
	back.Settings, err = json.Marshal(settings)
	return back, err == nil
}
