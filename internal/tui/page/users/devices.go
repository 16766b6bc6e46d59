package users

import (
	"cmp"
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// devices are those of a user's machines that have keys of their own.
type devices struct{ p *Page }

func (d devices) open(u vpn.UserInfo) tea.Cmd {
	p := d.p
	return ask(p, func(ctx context.Context) ([]vpn.Device, error) {
		return p.api.Devices.List(ctx, string(u.ID))
	}, func(list []vpn.Device) tea.Cmd {
		items := []dialog.Item{{Text: "add a device…", Do: func() tea.Cmd { return d.add(u) }}}
		for _, dev := range list {
			items = append(items, dialog.Item{
				Text: widget.Clean(dev.Name), Note: widget.Clean(strings.Join(dev.Servers, " ")), Do: func() tea.Cmd { return d.one(u, dev) },
			})
		}
		p.frame.Open(dialog.NewPick(p.frame, "Devices of "+u.Name, "which one?", items))
		return nil
	})
}

// one offers what can be done with a device.
func (d devices) one(u vpn.UserInfo, dev vpn.Device) tea.Cmd {
	p, a := d.p, access(d)
	p.frame.Open(dialog.NewPick(p.frame, widget.Clean(dev.Name)+" of "+u.Name, "what?", []dialog.Item{
		{Text: "show its links and files", Do: func() tea.Cmd { return a.of(u, dev.Name, a.showOf(u, dev.Name)) }},
		{Text: "show its QR code", Do: func() tea.Cmd { return a.of(u, dev.Name, a.qrOf(u)) }},
		{Text: "rotate its keys…", Do: func() tea.Cmd { return openRotate(p, []vpn.UserInfo{u}, dev.Name) }},
		{Text: "remove it…", Do: func() tea.Cmd { return d.remove(u, dev) }},
	}))
	return nil
}

func (d devices) remove(u vpn.UserInfo, dev vpn.Device) tea.Cmd {
	p := d.p
	command := "vpn users device remove " + dialog.Quote(u.Name) + " " + dialog.Quote(dev.Name)
	p.frame.Open(dialog.NewConfirm(p.frame, dialog.Question{
		Title: "Remove " + dev.Name + " of " + u.Name + "?", Yes: "Remove", Danger: true, Twin: command,
		Lines: []string{"Its links end at once, and so do its connections. The other devices go on. It cannot be taken back."},
		Do: func() tea.Cmd {
			return p.frame.Change(page.Change{Twin: command, Affects: feed.Users, Do: func(ctx context.Context) (string, error) {
				c, err := p.api.Devices.Remove(ctx, string(u.ID), dev.Name)
				return "device " + dev.Name + " of " + u.Name + " is removed" + behind(c), err
			}})
		},
	}))
	return nil
}

// behind says that the workers have yet to follow.
func behind(c vpn.UserChange) string {
	if c.Synced {
		return ""
	}
	return "; the workers follow when they are back"
}

func (d devices) add(u vpn.UserInfo) tea.Cmd {
	p := d.p
	servers := serversOf(p, u)
	form := widget.NewForm(
		widget.Field{Key: "name", Label: "Device", Hint: "phone", Check: func(v string) error { return withHint(vpn.ValidName(v)) }, Help: "a name for the person's machine: a-z, 0-9, dot, dash"},
		widget.Field{Key: "server", Label: "Servers", Choices: servers, Several: true, Help: "only these; none marked: all that let " + u.Name + " in"},
	)
	if len(servers) == 0 {
		return p.frame.Say(page.Note, "no server lets "+u.Name+" in: a device would have no keys")
	}
	p.frame.Open(dialog.NewForm(p.frame, "A device of "+u.Name, []string{"It gets keys of its own, which can be taken away alone."}, form, func(f *widget.Form) page.Change {
		in := vpn.NewDevice{Name: f.Value("name"), Servers: listed(f.Value("server"))}
		var got vpn.UserChange
		return page.Change{
			Twin: "vpn users device add " + dialog.Quote(u.Name) + " " + dialog.Quote(cmp.Or(in.Name, "DEVICE")) + eachFlag("server", in.Servers), Affects: feed.Users,
			Do: func(ctx context.Context) (string, error) {
				c, err := p.api.Devices.Add(ctx, string(u.ID), in)
				got = c
				return "device " + in.Name + " of " + u.Name + " is added" + behind(c), err
			},
			Then: func() tea.Cmd { return access{p}.showNew(u, got) },
		}
	}))
	return nil
}

// showNew shows the links that a change gave a user.
func (a access) showNew(u vpn.UserInfo, c vpn.UserChange) tea.Cmd {
	list := tickets(u.Name, c.Access)
	if len(list) == 0 {
		return nil
	}
	device := list[0].device
	return a.show(u, device, list)
}

// serversOf returns the names of the servers that may let a user in.
func serversOf(p *Page, u vpn.UserInfo) []string {
	var names []string
	for _, s := range p.frame.Data().Status.Servers {
		if u.MayUse(s.ID) {
			names = append(names, s.Name)
		}
	}
	return names
}

// listed splits words at blanks and commas.
func listed(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// eachFlag writes a flag once for each value.
func eachFlag(flag string, values []string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(" --" + flag + " " + dialog.Quote(v))
	}
	return b.String()
}
