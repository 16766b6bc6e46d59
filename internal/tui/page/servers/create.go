package servers

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/protocol"
	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// create asks for the protocol, and then for what a server of it needs. All
// of that may be left open.
func (d *deeds) create() {
	items := make([]dialog.Item, 0, len(d.o.Protocols))
	for i, p := range d.o.Protocols {
		note := ""
		if i == 0 {
			note = "recommended"
		}
		items = append(items, dialog.Item{Text: pad(string(p.Name()), 13) + purpose(p), Note: note, Do: func() tea.Cmd {
			d.createOf(p)
			return nil
		}})
	}
	d.frame.Open(dialog.NewPick(d.frame, "New server: what will clients speak?", "type to find, enter takes it", items))
}

// purpose is one line on what a protocol is for.
func purpose(p protocol.Protocol) string {
	switch p.Name() {
	case "vless":
		return "looks like a web site"
	case "shadowsocks":
		return "Outline's protocol: a link, many apps"
	case "wireguard":
		return "a whole device; light on batteries"
	case "mixed":
		return "HTTP and SOCKS5 proxy on one port"
	case "http":
		return "HTTP proxy, over TLS if wanted"
	case "socks5":
		return "SOCKS5 proxy, UDP too"
	}
	return strings.Join(p.Networks(), " and ")
}

func pad(s string, w int) string { return s + strings.Repeat(" ", max(w-len(s), 1)) }

func (d *deeds) createOf(p protocol.Protocol) {
	form := widget.NewForm(slices.Concat(general(p, nil), own(p, nil), []widget.Field{home()}, last(nil))...)
	intro := []string{string(p.Name()) + ": " + purpose(p), "What is left empty is chosen; every user gets access."}
	d.frame.Open(dialog.NewForm(d.frame, "New "+string(p.Name())+" server", intro, form, func(f *widget.Form) page.Change { return d.creation(p, f) }))
}

// creation is what the form says.
func (d *deeds) creation(p protocol.Protocol, form *widget.Form) page.Change {
	in := vpn.NewServer{Name: form.Value(fieldName), Protocol: p.Name(), PublicHost: form.Value(fieldHost), NoCheck: form.Value(fieldCheck) == "no"}
	twin := "vpn server create"
	if in.Name != "" {
		twin += " " + dialog.Quote(in.Name)
	}
	if p.Name() != d.o.Protocols[0].Name() {
		twin += " --protocol " + string(p.Name())
	}
	if n, err := strconv.ParseUint(form.Value(fieldPort), 10, 16); err == nil {
		in.Port = uint16(n)
	}
	if a, err := netip.ParseAddr(form.Value(fieldListen)); err == nil {
		in.Listen = a
	}
	in.Allow, _ = parsePrefixes(form.Value(fieldAllow)) // the form was checked
	if at := form.Value(fieldHome); at != open {
		in.Runtime = at
		twin += " --" + fieldHome + " " + at
	}
	for _, flag := range []string{fieldPort, fieldHost, fieldListen} {
		if v := form.Value(flag); v != "" {
			twin += " --" + flag + " " + dialog.Quote(v)
		}
	}
	values := changed(p, form)
	for _, v := range values {
		twin += v.flags()
	}
	for _, s := range split(form.Value(fieldAllow)) {
		twin += " --" + fieldAllow + " " + dialog.Quote(s)
	}
	if in.NoCheck {
		twin += " --" + fieldCheck
	}
	made := ""
	return page.Change{
		Twin: twin, Affects: feed.Status,
		Do: func(ctx context.Context) (string, error) {
			var err error
			if in.Settings, err = encode(values, d.o.Read); err != nil {
				return "", err
			}
			c, err := d.o.API.Create(ctx, in)
			if err != nil {
				return "", err
			}
			made = c.Server.Name
			text := made + " is there, at " + c.Server.Endpoint
			if err := trouble(c); err != nil { // it is there all the same
				text += "\n" + err.Error()
			}
			return said(c, text), nil
		},
		Then: func() tea.Cmd {
			d.list.want = made
			return nil
		},
	}
}
