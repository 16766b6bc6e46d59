package users

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// actions returns what does each action of the key table.
func actions(p *Page) map[string]func() tea.Cmd {
	d, a := deeds{p}, access{p}
	plain := func(do func()) func() tea.Cmd {
		return func() tea.Cmd {
			do()
			return nil
		}
	}
	toChosen := func(do func([]vpn.UserInfo) tea.Cmd) func() tea.Cmd {
		return func() tea.Cmd {
			if chosen := p.list.chosen(); len(chosen) > 0 {
				return do(chosen)
			}
			return p.frame.Say(page.Note, "there is nobody here to do that to")
		}
	}
	// What makes no sense for several is for the one under the cursor.
	toOne := func(do func(vpn.UserInfo) tea.Cmd) func() tea.Cmd {
		return func() tea.Cmd {
			if u := p.list.current(); u != nil {
				return do(*u)
			}
			return p.frame.Say(page.Note, "there is nobody here to do that to")
		}
	}
	return map[string]func() tea.Cmd{
		"users.create":     func() tea.Cmd { return openCreate(p) },
		"users.update":     toChosen(func(us []vpn.UserInfo) tea.Cmd { return openUpdate(p, us) }),
		"users.qr":         toOne(a.qr),
		"users.copy":       toOne(a.copy),
		"users.link":       toOne(a.link),
		"users.device":     toOne(devices{p}.open),
		"users.extend":     toChosen(d.extend),
		"users.reset":      toChosen(d.reset),
		"users.toggle":     toChosen(d.toggle),
		"users.kick":       toChosen(d.kick),
		"users.rotate":     toChosen(func(us []vpn.UserInfo) tea.Cmd { return openRotate(p, us, "") }),
		"users.delete":     toChosen(d.delete),
		"users.mark":       plain(p.list.mark),
		"users.mark_range": plain(p.list.table.MarkRange),
		"users.sort":       plain(p.list.nextSort),
		"users.reverse":    plain(p.list.reverse),
		"users.columns":    plain(p.list.pick),
	}
}

// deeds are what is done to users without a form.
type deeds struct{ p *Page }

func (d deeds) delete(users []vpn.UserInfo) tea.Cmd {
	p := d.p
	rest := ""
	if len(users) > 1 {
		rest = " --yes"
	}
	return p.confirm(dialog.Question{
		Title: "Delete " + whom(users) + "?", Yes: "Delete", Danger: true,
		Lines: []string{cutLine(users, "closed"), "For 24 hours it can be taken back, links and all."},
	}, users, deed{
		twin: twin(users, "delete", rest), done: "deleted", undone: "back",
		do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			return p.api.Users.Delete(ctx, string(u.ID))
		},
		undo: func(ctx context.Context, u vpn.UserInfo) error {
			_, err := p.api.Users.Restore(ctx, string(u.ID), vpn.UserRestore{})
			return err
		},
		then: func([]vpn.UserChange) tea.Cmd {
			p.inDetail = false
			return nil
		},
	})
}

func (d deeds) reset(users []vpn.UserInfo) tea.Cmd {
	p := d.p
	line := "What they have used counts from nothing again. It cannot be taken back."
	if len(users) == 1 {
		line = fmt.Sprintf("The %s used until now count no more. It cannot be taken back.", vpn.FormatSize(users[0].Used.Total()))
	}
	return p.confirm(dialog.Question{
		Title: "Reset what " + whom(users) + " used?", Yes: "Reset", Lines: []string{line},
	}, users, deed{
		twin: twin(users, "reset", ""), done: "reset",
		do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			return p.api.Users.Reset(ctx, string(u.ID))
		},
		say: func(c vpn.UserChange) string { return "what " + c.User.Name + " used is reset" + keptOut(c.User) },
	})
}

// keptOut says, after what was done to a user, that it changes nothing for
// now.
func keptOut(u vpn.UserInfo) string {
	switch u.Status {
	case vpn.Expired, vpn.Disabled:
		return ", who is kept out all the same: " + string(u.Status)
	case vpn.Limited:
		if u.Limits.Throttle == 0 {
			return ", who is kept out all the same: the quota is used up"
		}
		return ", who is throttled all the same"
	case vpn.Active, vpn.OnHold, vpn.Deleted:
	}
	return ""
}

func (d deeds) kick(users []vpn.UserInfo) tea.Cmd {
	p := d.p
	closed, lines := 0, []string{cutLine(users, "closed"), "To come back at once is allowed; t disables."}
	if people, _ := online(users); people == 0 { // the list is some seconds old
		lines[0] = "A moment ago there was no connection; one that has come since is closed."
	}
	return p.confirm(dialog.Question{
		Title: "Kick " + whom(users) + "?", Yes: "Kick", Lines: lines,
	}, users, deed{
		twin: twin(users, "kick", ""), done: "kicked",
		do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			k, err := p.api.Users.Kick(ctx, string(u.ID))
			closed += k.Connections
			return vpn.UserChange{User: u, Synced: true}, err
		},
		say: func(c vpn.UserChange) string {
			return many(closed, "connection") + " of " + c.User.Name + isAre(closed) + "closed"
		},
	})
}

// toggle disables those who are enabled or, if none is, enables all. One user
// is not asked about, as it can be taken back.
func (d deeds) toggle(users []vpn.UserInfo) tea.Cmd {
	p := d.p
	var enabled []vpn.UserInfo
	for _, u := range users {
		if u.Enabled {
			enabled = append(enabled, u)
		}
	}
	one, on, verb := len(users) == 1, len(enabled) == 0, "disable"
	if on {
		verb = "enable"
	} else {
		users = enabled
	}
	set := func(on bool) func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
		return func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			return p.api.Users.Update(ctx, string(u.ID), vpn.UserPatch{Enabled: &on})
		}
	}
	de := deed{
		twin: twin(users, verb, ""), done: verb + "d", undone: map[bool]string{true: "disabled", false: "enabled"}[on],
		do: set(on),
		undo: func(ctx context.Context, u vpn.UserInfo) error {
			_, err := set(!on)(ctx, u)
			return err
		},
		say: func(c vpn.UserChange) string {
			if on {
				return c.User.Name + " is enabled" + keptOut(c.User)
			}
			return c.User.Name + " is disabled"
		},
	}
	if one {
		return p.frame.Change(p.change(users, de))
	}
	q := dialog.Question{Title: capital(verb) + " " + whom(users) + "?", Yes: capital(verb)}
	if !on {
		q.Lines = []string{cutLine(users, "closed")}
	}
	return p.confirm(q, users, de)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// extension is by how many days users are extended.
const extension = 30

// extended returns what gives a user thirty days more, from the end or, if
// that is past, from now; false: the user has no end.
func extended(u vpn.UserInfo, now time.Time) (p vpn.UserPatch, flags string, ok bool) {
	switch {
	case u.Holds():
		s := u.ValidFor + vpn.Seconds(extension*day/time.Second)
		return vpn.UserPatch{ValidFor: &s}, " --valid-for " + vpn.FormatSpan(s.Duration()), true
	case u.ExpiresAt.IsZero():
		return p, "", false
	}
	from := u.ExpiresAt
	if from.Before(now) {
		from = now
	}
	to := from.UTC().AddDate(0, 0, extension).Truncate(time.Second)
	return vpn.UserPatch{ExpiresAt: &to}, " --expires " + to.Format(time.RFC3339), true
}

func (d deeds) extend(users []vpn.UserInfo) tea.Cmd {
	p, now := d.p, d.p.frame.Now()
	var some []vpn.UserInfo
	var twins []string
	reversible := true
	for _, u := range users {
		_, flags, ok := extended(u, now)
		if !ok {
			continue
		}
		some = append(some, u)
		if len(twins) < mostTwins {
			twins = append(twins, twin([]vpn.UserInfo{u}, "update", flags))
		} else if len(twins) == mostTwins {
			twins = append(twins, "…")
		}
		reversible = reversible && (u.Holds() || u.ExpiresAt.After(now))
	}
	if len(some) == 0 {
		return p.frame.Say(page.Note, whom(users)+" never expire"+map[bool]string{true: "s", false: ""}[len(users) == 1]+": there is nothing to extend")
	}
	de := deed{
		twin: strings.Join(twins, "; "), done: fmt.Sprintf("extended by %d days", extension), undone: "as before",
		do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
			patch, _, _ := extended(u, now)
			return p.api.Users.Update(ctx, string(u.ID), patch)
		},
		say: func(c vpn.UserChange) string {
			if c.User.Holds() {
				return c.User.Name + " is valid for " + vpn.FormatSpan(c.User.ValidFor.Duration()) + " from the first use on"
			}
			return c.User.Name + " is valid until " + moment(c.User.ExpiresAt)
		},
	}
	if reversible { // the API sets no end that is past
		de.undo = func(ctx context.Context, u vpn.UserInfo) error {
			patch := vpn.UserPatch{ExpiresAt: &u.ExpiresAt}
			if u.Holds() {
				patch = vpn.UserPatch{ValidFor: &u.ValidFor}
			}
			_, err := p.api.Users.Update(ctx, string(u.ID), patch)
			return err
		}
	}
	if len(users) == 1 {
		return p.frame.Change(p.change(some, de))
	}
	lines := []string{"Each from its own end or, if that is past, from now."}
	if never := len(users) - len(some); never > 0 {
		lines = append(lines, fmt.Sprintf("%d more of the marked never expire and stay so.", never))
	}
	return p.confirm(dialog.Question{Title: fmt.Sprintf("Extend %s by %d days?", whom(some), extension), Yes: "Extend", Lines: lines}, some, de)
}
