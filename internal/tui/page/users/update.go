package users

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// openUpdate opens the form that changes users: of one with what there is, of
// several with what is to be the same for all.
func openUpdate(p *Page, users []vpn.UserInfo) tea.Cmd {
	if len(users) > 1 {
		s := &fields{now: p.frame.Now(), servers: serverNames(p), many: true, had: tagsOf(users)}
		s.make("")
		s.open(p, fmt.Sprintf("Edit %d users", len(users)), named(users), users)
		return nil
	}
	// The list may know less than the whole user, and what it knows may be old.
	return ask(p, func(ctx context.Context) (vpn.UserDetail, error) {
		return p.api.Users.Show(ctx, string(users[0].ID))
	}, func(u vpn.UserDetail) tea.Cmd {
		s := &fields{now: p.frame.Now(), servers: serverNames(p), old: &u.User}
		s.make(strings.Join(allowedNames(p, u.User), ","))
		s.open(p, "Edit "+u.Name, "Only what you change is changed.", []vpn.UserInfo{u.UserInfo})
		return nil
	})
}

// allowedNames are the servers that let u in, as the form's choices.
func allowedNames(p *Page, u vpn.User) []string {
	if u.AllowedServers == nil {
		return []string{everyServer}
	}
	var names []string
	for _, s := range p.frame.Data().Status.Servers {
		if u.MayUse(s.ID) {
			names = append(names, s.Name)
		}
	}
	return names
}

func (s *fields) open(p *Page, title, intro string, users []vpn.UserInfo) {
	p.frame.Open(dialog.NewForm(p.frame, title, []string{intro}, s.form, func(*widget.Form) page.Change {
		patch, empty := s.patch()
		flags := s.flags() + s.patchFlags()
		if empty {
			return page.Change{Twin: "", Do: func(context.Context) (string, error) {
				return "", vpn.Errorf(vpn.Invalid, "nothing is changed").WithHint("change a field, or press esc")
			}}
		}
		return p.change(users, p.updating(users, patch, flags))
	}))
}

// updating is the deed that changes users by a patch.
func (p *Page) updating(users []vpn.UserInfo, patch vpn.UserPatch, flags string) deed {
	before := map[vpn.UserID]vpn.User{}
	d := deed{
		twin: twin(users, "update", flags), done: "changed", undone: "as before",
		do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			was, err := p.api.Users.Show(ctx, string(u.ID))
			if err != nil {
				return vpn.UserChange{}, err
			}
			mine := patch
			if len(users) > 1 { // not all of them have the tags that go
				mine.RemoveTags = slices.DeleteFunc(slices.Clone(patch.RemoveTags), func(tag string) bool { return !slices.Contains(was.Tags, tag) })
			}
			if reflect.ValueOf(mine).IsZero() {
				before[u.ID] = was.User
				return vpn.UserChange{User: was.UserInfo, Synced: true}, nil
			}
			c, err := p.api.Users.Update(ctx, string(u.ID), mine)
			if err == nil {
				before[u.ID] = was.User
			}
			return c, err
		},
		undo: func(ctx context.Context, u vpn.UserInfo) error {
			back := inverse(before[u.ID], patch)
			if reflect.ValueOf(back).IsZero() {
				return nil // it was as it should be
			}
			_, err := p.api.Users.Update(ctx, string(u.ID), back)
			return err
		},
		say: func(c vpn.UserChange) string { return c.User.Name + " is changed" + keptOut(c.User) },
	}
	if endsFor := func(u vpn.UserInfo) bool {
		return !u.Holds() && !u.ExpiresAt.IsZero() && !u.ExpiresAt.After(p.frame.Now())
	}; (patch.ExpiresAt != nil || patch.ValidFor != nil) && slices.ContainsFunc(users, endsFor) {
		d.undo = nil // the API sets no end that is past
	}
	return d
}

// patch returns what was changed in the form; empty: nothing.
func (s *fields) patch() (p vpn.UserPatch, empty bool) {
	empty = true
	l := s.limits()
	var expires time.Time
	set := func(key string, to func(v string)) {
		if v, given := s.given(key); given {
			to(v)
			empty = false
		}
	}
	set("name", func(v string) { p.Name = &v })
	set("quota", func(string) { p.Quota = &l.Quota })
	set("quota-period", func(string) { p.Period = &l.Period.Every })
	set("resets-on", func(string) { p.ResetsOn = &l.Period.ResetsOn })
	set("time-zone", func(string) { p.TimeZone = &l.Period.TimeZone })
	set("after-quota", func(string) { p.Throttle = &l.Throttle })
	set("rate-down", func(string) { p.RateDown = &l.RateDown })
	set("rate-up", func(string) { p.RateUp = &l.RateUp })
	set("devices", func(string) { p.Devices = &l.Devices })
	set("connections", func(string) { p.Connections = &l.Connections })
	set("expires", func(v string) {
		expires, _ = vpn.ParseWhen(v, s.now)
		p.ExpiresAt = &expires
	})
	set("valid-for", func(v string) {
		d, _ := vpn.ParseSpan(v)
		seconds := vpn.Seconds(d / time.Second)
		p.ValidFor = &seconds
	})
	set("email", func(v string) { p.Email = &v })
	set("note", func(v string) { p.Note = &v })
	p.AddTags, p.RemoveTags = s.tags()
	if s.form.Changed("server") {
		if servers, all := s.allowed(); all {
			p.AllServers = true
		} else {
			p.Servers = &servers
		}
	}
	return p, empty && len(p.AddTags)+len(p.RemoveTags) == 0 && !s.form.Changed("server")
}

// tags are those that come and those that go.
func (s *fields) tags() (add, remove []string) {
	if s.many {
		return listed(s.form.Value("add-tag")), listed(s.form.Value("remove-tag"))
	}
	now := listed(s.form.Value("tag"))
	for _, tag := range now {
		if !slices.Contains(s.old.Tags, tag) {
			add = append(add, tag)
		}
	}
	for _, tag := range s.old.Tags {
		if !slices.Contains(now, tag) {
			remove = append(remove, tag)
		}
	}
	return add, remove
}

func (s *fields) patchFlags() string {
	flags := ""
	if s.form.Changed("server") {
		switch servers, all := s.allowed(); {
		case all:
			flags = " --all-servers"
		case len(servers) == 0:
			flags = " --server none"
		default:
			flags = eachFlag("server", servers)
		}
	}
	add, remove := s.tags()
	return flags + eachFlag("add-tag", add) + eachFlag("remove-tag", remove)
}

// inverse returns what makes a user that a patch has changed as it was
// before.
func inverse(was vpn.User, p vpn.UserPatch) vpn.UserPatch {
	l := was.Limits
	var q vpn.UserPatch
	if p.Name != nil {
		q.Name = &was.Name
	}
	if p.Quota != nil || p.Throttle != nil { // one goes with the other
		q.Quota, q.Throttle = &l.Quota, &l.Throttle
	}
	if p.Period != nil || p.ResetsOn != nil || p.TimeZone != nil {
		q.Period, q.ResetsOn, q.TimeZone = &l.Period.Every, &l.Period.ResetsOn, &l.Period.TimeZone
	}
	if p.RateUp != nil {
		q.RateUp = &l.RateUp
	}
	if p.RateDown != nil {
		q.RateDown = &l.RateDown
	}
	if p.Devices != nil {
		q.Devices = &l.Devices
	}
	if p.Connections != nil {
		q.Connections = &l.Connections
	}
	if p.ExpiresAt != nil || p.ValidFor != nil {
		if was.Holds() {
			q.ValidFor = &was.ValidFor
		} else {
			q.ExpiresAt = &was.ExpiresAt
		}
	}
	if p.Servers != nil || p.AllServers {
		q.AllServers = was.AllowedServers == nil
		if !q.AllServers {
			servers := make([]string, 0, len(was.AllowedServers))
			for _, id := range was.AllowedServers {
				servers = append(servers, string(id))
			}
			q.Servers = &servers
		}
	}
	for _, tag := range p.AddTags {
		if !slices.Contains(was.Tags, tag) {
			q.RemoveTags = append(q.RemoveTags, tag)
		}
	}
	for _, tag := range p.RemoveTags {
		if slices.Contains(was.Tags, tag) {
			q.AddTags = append(q.AddTags, tag)
		}
	}
	if p.Email != nil {
		q.Email = &was.Email
	}
	if p.Note != nil {
		q.Note = &was.Note
	}
	return q
}
