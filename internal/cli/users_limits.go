package cli

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"vpn/internal/vpn"
)

// userFlags are the flags of what a user may use, and of what is written
// about one.
type userFlags struct {
	limits      vpn.Limits
	expires     time.Time
	validFor    vpn.Seconds
	email, note string
}

func (u *userFlags) add(fs *pflag.FlagSet, now func() time.Time) {
	l := &u.limits
	fs.Var(sizeValue(&l.Quota), "quota", "traffic, up and down together: 50GB, 10GiB, none")
	fs.Var(cycleValue(&l.Period.Every), "quota-period", "how often usage begins anew: day, week, month, year, none; 30d: the last 30 days")
	fs.Var(textValue(&l.Period.ResetsOn, "DAY"), "resets-on", "on which day: 15 of a month, mon of a week, 03-15 of a year")
	fs.Var(textValue(&l.Period.TimeZone, "ZONE"), "time-zone", "at whose midnight: Europe/Berlin; UTC if left out")
	fs.Var(afterValue(&l.Throttle), "after-quota", "when the quota is used up: cut, or throttle:1mbit, both ways together")
	fs.Var(whenValue(&u.expires, now), "expires", "the end: 30d, 2026-12-31, 2026-12-31T15:00 (UTC), never")
	fs.Var(spanValue(&u.validFor), "valid-for", "the end, counted from the first use: 30d, 12h, 2w, 1y")
	fs.Var(rateValue(&l.RateUp), "rate-up", "speed from the user: 20mbit, 2.5MB/s, none")
	fs.Var(rateValue(&l.RateDown), "rate-down", "speed to the user")
	fs.Var(countValue(&l.Devices), "devices", "networks at one time from which the user connects, or none")
	fs.Var(countValue(&l.Connections), "connections", "connections at one time, or none")
	fs.Var(textValue(&u.email, "ADDRESS"), "email", "the user's e-mail address, for your own use")
	fs.Var(textValue(&u.note, "TEXT"), "note", "what you want to remember, in one line")
}

// create returns the user that the flags describe.
func (u *userFlags) create(name string, tags []string) vpn.NewUser {
	return vpn.NewUser{
		Name: name, Limits: u.limits, ExpiresAt: u.expires, ValidFor: u.validFor, Tags: tags, Email: u.email, Note: u.note,
	}
}

// patch returns what those flags change that were given, and whether any was.
func (u *userFlags) patch(fs *pflag.FlagSet) (p vpn.UserPatch, given bool) {
	l := &u.limits
	for name, set := range map[string]func(){
		"quota":        func() { p.Quota = &l.Quota },
		"quota-period": func() { p.Period = &l.Period.Every },
		"resets-on":    func() { p.ResetsOn = &l.Period.ResetsOn },
		"time-zone":    func() { p.TimeZone = &l.Period.TimeZone },
		"after-quota":  func() { p.Throttle = &l.Throttle },
		"expires":      func() { p.ExpiresAt = &u.expires },
		"valid-for":    func() { p.ValidFor = &u.validFor },
		"rate-up":      func() { p.RateUp = &l.RateUp },
		"rate-down":    func() { p.RateDown = &l.RateDown },
		"devices":      func() { p.Devices = &l.Devices },
		"connections":  func() { p.Connections = &l.Connections },
		"email":        func() { p.Email = &u.email },
		"note":         func() { p.Note = &u.note },
	} {
		if fs.Changed(name) {
			set()
			given = true
		}
	}
	return p, given
}

func cycleValue(to *vpn.Cycle) *value[vpn.Cycle] {
	return &value[vpn.Cycle]{to: to, parse: vpn.ParseCycle, kind: "PERIOD"}
}

func spanValue(to *vpn.Seconds) *value[vpn.Seconds] {
	parse := func(s string) (vpn.Seconds, error) {
		d, err := vpn.ParseSpan(s)
		return vpn.Seconds(d / time.Second), err
	}
	return &value[vpn.Seconds]{to: to, parse: parse, kind: "TIME"}
}

func textValue(to *string, kind string) *value[string] {
	return &value[string]{to: to, parse: func(s string) (string, error) { return s, nil }, kind: kind}
}

// afterValue reads what comes after the quota, as a rate; cut is none.
func afterValue(to *uint64) *value[uint64] {
	parse := func(s string) (uint64, error) {
		rate, slow := strings.CutPrefix(s, "throttle:")
		switch {
		case s == "cut":
			return 0, nil
		case !slow:
			return 0, vpn.Errorf(vpn.Invalid, "%q is nothing that can come after a quota", s).WithHint("write cut, or throttle:1mbit")
		}
		n, err := vpn.ParseRate(rate)
		if err == nil && n == 0 {
			return 0, vpn.Errorf(vpn.Invalid, "a throttle of %q slows nobody down", rate).
				WithHint("write it like throttle:1mbit; for no end of full speed: --quota none")
		}
		return n, err
	}
	return &value[uint64]{to: to, parse: parse, kind: "ACTION"}
}

func statusValue(to *vpn.UserStatus) *value[vpn.UserStatus] {
	parse := func(s string) (vpn.UserStatus, error) {
		word := vpn.UserStatus(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(s)))
		for _, known := range vpn.Findable() {
			if word == known {
				return known, nil
			}
		}
		return "", vpn.Unknown("status", s, statusWords())
	}
	return &value[vpn.UserStatus]{to: to, parse: parse, kind: "STATUS"}
}

func statusWords() []string {
	return namesOf(vpn.Findable(), func(s vpn.UserStatus) string { return string(s) })
}

// Cells of users.

// userStatusCell says what people call it: programs read the API's word.
func userStatusCell(u vpn.UserInfo) cell {
	c := cell{string(u.Status), string(u.Status)}
	switch {
	case u.Status == vpn.OnHold:
		c.text = "on hold"
	case u.Status == vpn.Limited && u.Limits.Throttle > 0:
		c.text = "throttled"
	}
	return c
}

// keptOut says, after what was done to a user, that it changes nothing for
// now.
func keptOut(u vpn.UserInfo) string {
	switch u.Status {
	case vpn.Expired, vpn.Disabled:
		return ", who is kept out all the same: " + string(u.Status)
	case vpn.Limited:
		if u.Limits.Throttle == 0 {
			return ", who is kept out all the same: " + string(u.Status)
		}
		return ", who is throttled all the same"
	}
	return ""
}

func endCell(u vpn.UserInfo) cell {
	if u.Holds() {
		return cell{vpn.FormatSpan(u.ValidFor.Duration()) + " after first use", ""}
	}
	return expiryCell(u.ExpiresAt)
}

// afterCell says what comes after a quota, unless it is the usual: to be cut.
func afterCell(l vpn.Limits) cell {
	if l.Throttle == 0 {
		return cell{"", "0"}
	}
	return limitCell(l.Throttle, func(n uint64) string { return "throttle to " + vpn.FormatRate(n) })
}
