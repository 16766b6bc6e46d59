package users

import (
	"cmp"
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// openCreate opens the form for a new user.
func openCreate(p *Page) tea.Cmd {
	s := &fields{now: p.frame.Now(), servers: serverNames(p)}
	form := s.make(everyServer)
	p.frame.Open(dialog.NewForm(p.frame, "New user", []string{"A name is enough. What is left empty is no limit."}, form, func(*widget.Form) page.Change {
		in := s.create()
		c := page.Change{Twin: "vpn users create " + dialog.Quote(cmp.Or(in.Name, "NAME")) + s.flags() + s.createFlags(), Affects: feed.Users}
		c.Do = func(ctx context.Context) (string, error) {
			change, err := p.api.Users.Create(ctx, in)
			return in.Name + " is created: " + hints(p) + behind(change), err
		}
		c.Then = func() tea.Cmd {
			p.list.goal = in.Name
			p.inDetail = false
			return nil
		}
		return c
	}))
	return nil
}

// hints says how to get at the new user's links.
func hints(p *Page) string {
	label := func(action string) string {
		a, _ := p.frame.Keys().Of(action)
		return a.Label()
	}
	if len(p.frame.Data().Status.Servers) == 0 {
		return "there is no server yet, and so no link: make one on screen " + label("screen.servers")
	}
	return label("users.qr") + " shows the QR code, " + label("users.copy") + " copies a link, " + label("users.link") + " shows all"
}

func serverNames(p *Page) []string {
	var names []string
	for _, s := range p.frame.Data().Status.Servers {
		names = append(names, s.Name)
	}
	return names
}

// create returns the user that was described. What cannot be read is left
// out: the form does not get there with it.
func (s *fields) create() vpn.NewUser {
	in := vpn.NewUser{Name: s.form.Value("name"), Limits: s.limits(), Tags: listed(s.form.Value("tag")), Email: s.form.Value("email"), Note: s.form.Value("note")}
	in.ExpiresAt, _ = vpn.ParseWhen(s.form.Value("expires"), s.now)
	if d, err := vpn.ParseSpan(s.form.Value("valid-for")); err == nil {
		in.ValidFor = vpn.Seconds(d / time.Second)
	}
	if servers, all := s.allowed(); !all {
		in.Servers = &servers
	}
	return in
}

// limits are what the fields say, whether they were changed or not.
func (s *fields) limits() vpn.Limits {
	var l vpn.Limits
	v := s.form.Value
	l.Quota, _ = vpn.ParseSize(v("quota"))
	l.Period = vpn.Period{Every: s.cycle(), ResetsOn: v("resets-on"), TimeZone: v("time-zone")}
	l.Throttle, _ = parseAfter(v("after-quota"))
	l.RateDown, _ = vpn.ParseRate(v("rate-down"))
	l.RateUp, _ = vpn.ParseRate(v("rate-up"))
	l.Devices, _ = parseCount(v("devices"))
	l.Connections, _ = parseCount(v("connections"))
	return l
}

// allowed are the servers that are marked, or that all are.
func (s *fields) allowed() (names []string, all bool) {
	names = []string{}
	for _, n := range choicesIn(s.form.Value("server")) {
		if n == everyServer {
			return nil, true
		}
		names = append(names, n)
	}
	return names, false
}

func (s *fields) createFlags() string {
	flags := ""
	if servers, all := s.allowed(); !all {
		flags = eachFlag("server", servers)
	}
	return flags + eachFlag("tag", listed(s.form.Value("tag")))
}
