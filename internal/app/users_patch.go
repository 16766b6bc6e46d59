package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Update changes a user. What the change forbids is cut at once.
func (u *Users) Update(ctx context.Context, name string, p vpn.UserPatch) (vpn.UserChange, error) {
	return u.change(ctx, "users.update", name, func(tx Tx, usr *vpn.User) (string, error) {
		servers, err := allow(tx, usr, p)
		if err != nil {
			return "", err
		}
		return u.patch(usr, p, servers)
	})
}

// changes is what a patch did, for the audit log.
type changes []string

func (c *changes) note(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// set takes a new value, if there is one.
func set[T any](c *changes, name string, to, from *T) {
	if from != nil {
		c.note("%s %v", name, *from)
		*to = *from
	}
}

// patch applies p, but for what was done before, and says for the audit log
// what it changes.
func (u *Users) patch(usr *vpn.User, p vpn.UserPatch, did changes) (string, error) {
	if p.Name != nil {
		if err := vpn.ValidName(*p.Name); err != nil {
			return "", err
		}
	}
	set(&did, "name", &usr.Name, p.Name)
	if err := u.patchEnd(&did, usr, p); err != nil {
		return "", err
	}
	set(&did, "enabled", &usr.Enabled, p.Enabled)
	l := &usr.Limits
	set(&did, "quota", &l.Quota, p.Quota)
	if p.Throttle != nil && *p.Throttle > 0 && l.Quota == 0 {
		return "", errNoQuota
	}
	patchPeriod(&did, &l.Period, p)
	set(&did, "throttle", &l.Throttle, p.Throttle)
	set(&did, "rate_up", &l.RateUp, p.RateUp)
	set(&did, "rate_down", &l.RateDown, p.RateDown)
	set(&did, "devices", &l.Devices, p.Devices)
	set(&did, "connections", &l.Connections, p.Connections)
	if err := patchTags(&did, usr, p); err != nil {
		return "", err
	}
	set(&did, "email", &usr.Email, p.Email)
	if p.Note != nil { // what it says is nobody's business in the log
		did.note("note")
		usr.Note = *p.Note
	}
	if len(did) == 0 {
		return "", vpn.Errorf(vpn.Invalid, "nothing to change was named").WithHint("see: vpn users update --help")
	}
	if err := checkLimits(*l); err != nil {
		return "", err
	}
	return strings.Join(did, ", "), checkAbout(usr.Tags, usr.Email, usr.Note)
}

// patchEnd changes when a user's time is over.
func (u *Users) patchEnd(did *changes, usr *vpn.User, p vpn.UserPatch) error {
	switch {
	case p.ExpiresAt != nil && p.ValidFor != nil:
		return errTwoEnds
	case p.ExpiresAt != nil:
		if err := u.checkExpiry(*p.ExpiresAt, "to keep the user out now: vpn users disable "+usr.Name); err != nil {
			return err
		}
		did.note("expires_at %s", p.ExpiresAt.UTC().Format(time.RFC3339))
		usr.ExpiresAt, usr.Hold = *p.ExpiresAt, vpn.Hold{}
	case p.ValidFor != nil:
		if err := checkValidFor(*p.ValidFor); err != nil {
			return err
		}
		did.note("valid_for %s", vpn.FormatSpan(p.ValidFor.Duration()))
		usr.ExpiresAt, usr.Hold = time.Time{}, hold(*p.ValidFor, u.Now())
	}
	return nil
}

// patchPeriod changes a period. Another cycle begins on its own first day
// unless one is named.
func patchPeriod(did *changes, to *vpn.Period, p vpn.UserPatch) {
	if p.Period != nil && *p.Period != to.Every {
		to.ResetsOn = ""
		if *p.Period == vpn.NoCycle {
			to.TimeZone = ""
		}
	}
	set(did, "period", &to.Every, p.Period)
	set(did, "resets_on", &to.ResetsOn, p.ResetsOn)
	set(did, "time_zone", &to.TimeZone, p.TimeZone)
}

func patchTags(did *changes, usr *vpn.User, p vpn.UserPatch) error {
	for _, tag := range p.RemoveTags {
		if !slices.Contains(usr.Tags, tag) {
			err := vpn.Errorf(vpn.Invalid, "user %q has no tag %q", usr.Name, tag)
			if len(usr.Tags) == 0 {
				return err.WithHint("it has none at all")
			}
			return err.WithHint("it has: %s", strings.Join(usr.Tags, ", "))
		}
	}
	if len(p.RemoveTags) > 0 {
		did.note("remove_tags %s", strings.Join(p.RemoveTags, " "))
	}
	if len(p.AddTags) > 0 {
		did.note("add_tags %s", strings.Join(p.AddTags, " "))
	}
	left := slices.DeleteFunc(slices.Clone(usr.Tags), func(tag string) bool { return slices.Contains(p.RemoveTags, tag) })
	usr.Tags = sortedTags(append(left, p.AddTags...))
	return nil
}
