package users

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// everyServer and asIs are choices of the form; the first cannot be the name
// of a server.
const (
	everyServer = "every one"
	asIs        = "as it is"
)

// fields are those of the forms for users: one for each flag of the command
// line, with its name, and read as that reads it.
type fields struct {
	form    *widget.Form // that they are in
	now     time.Time
	servers []string

	old  *vpn.User // whom they are about; nil: a new one, or several
	many bool      // several: what is left empty stays as it is
	had  []string  // the tags that some of the several have
}

// valueOf returns how old's field is written, as its parser reads it.
func (s *fields) valueOf(key string) string {
	u := s.old
	if u == nil {
		switch {
		case key == "quota-period" && s.many:
			return asIs
		case key == "quota-period":
			return "none"
		case key == "server" && !s.many:
			return everyServer
		}
		return ""
	}
	l := u.Limits
	switch key {
	case "name":
		return u.Name
	case "quota":
		return exactly(l.Quota, vpn.FormatSize, vpn.ParseSize, "")
	case "quota-period":
		if l.Period.Every != vpn.NoCycle {
			return string(l.Period.Every)
		}
		return "none"
	case "resets-on":
		return l.Period.ResetsOn
	case "time-zone":
		return l.Period.TimeZone
	case "after-quota":
		if l.Throttle == 0 {
			return "cut"
		}
		return "throttle:" + exactly(l.Throttle, vpn.FormatRate, vpn.ParseRate, "B/s")
	case "expires":
		switch {
		case u.Holds():
			return ""
		case u.ExpiresAt.IsZero():
			return "never"
		}
		return u.ExpiresAt.UTC().Format(time.RFC3339)
	case "valid-for":
		if u.Holds() {
			return vpn.FormatSpan(u.ValidFor.Duration())
		}
	case "rate-down":
		return exactly(l.RateDown, vpn.FormatRate, vpn.ParseRate, "B/s")
	case "rate-up":
		return exactly(l.RateUp, vpn.FormatRate, vpn.ParseRate, "B/s")
	case "devices":
		return count(l.Devices)
	case "connections":
		return count(l.Connections)
	case "tag":
		return strings.Join(u.Tags, " ")
	case "email":
		return u.Email
	case "note":
		return u.Note
	}
	return ""
}

// exactly writes n so that it is read back as n: rounded only if that is
// exact.
func exactly(n uint64, format func(uint64) string, parse func(string) (uint64, error), unit string) string {
	if n == 0 {
		return "none"
	}
	text := strings.ReplaceAll(format(n), " ", "")
	if back, err := parse(text); err == nil && back == n {
		return text
	}
	return strconv.FormatUint(n, 10) + unit
}

func count(n int) string {
	if n == 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

// said returns what a field says, and whether that is to be done: it was
// written, or is another than before.
func (s *fields) said(key string) (string, bool) {
	v := s.form.Value(key)
	if s.old != nil {
		return v, s.form.Changed(key)
	}
	return v, s.form.Changed(key) && v != asIs
}

// make fills the form.
func (s *fields) make(allowed string) *widget.Form {
	cycles := vpn.Cycles()
	if s.many {
		cycles = append([]string{asIs}, cycles...)
	}
	field := func(key, label, hint, help string, check func(string) error) widget.Field {
		return widget.Field{Key: key, Label: label, Hint: hint, Help: help, Value: s.valueOf(key), Check: s.orUnchanged(key, check)}
	}
	list := []widget.Field{
		field("name", "Name", "alice", "1 to 63 of a-z, 0-9, dot, dash, underscore and @", vpn.ValidName),
		field("quota", "Quota", "none", "traffic, up and down together: 50GB, 10GiB, none", checked(vpn.ParseSize)),
		{Key: "quota-period", Label: "Period", Choices: cycles, Value: s.valueOf("quota-period"), Help: "how often usage begins anew; 30d: the last 30 days count"},
		field("resets-on", "Resets on", "the first day", "on which day: 15 of a month, mon of a week, 03-15 of a year", s.checkResetsOn),
		field("time-zone", "Time zone", "UTC", "at whose midnight: Europe/Berlin", s.checkZone),
		field("after-quota", "After quota", "cut", "when the quota is used up: cut, or throttle:1mbit, both ways together", s.checkAfter),
		field("expires", "Expires", "never", "the end: 30d, 2026-12-31, 2026-12-31T15:00 (UTC), never", checked(func(v string) (time.Time, error) { return vpn.ParseWhen(v, s.now) })),
		field("valid-for", "Valid for", "none", "the end, counted from the first use: 30d, 12h, 2w, 1y", s.checkValidFor),
		field("rate-down", "Rate down", "none", "speed to the user: 20mbit, 2.5MB/s, none", checked(vpn.ParseRate)),
		field("rate-up", "Rate up", "none", "speed from the user", checked(vpn.ParseRate)),
		field("devices", "Devices", "none", "networks at one time from which the user connects, or none", checked(parseCount)),
		field("connections", "Connections", "none", "connections at one time, or none", checked(parseCount)),
		{
			Key: "server", Label: "Servers", Choices: append([]string{everyServer}, s.servers...), Several: true, Value: allowed, Check: s.checkServers,
			Help: "which servers let the user in: every one, new ones too, or only those that are marked; space marks",
		},
		field("tag", "Tags", "", "words to find the user by, with blanks between", checkTags),
		field("email", "E-mail", "", "the user's e-mail address, for your own use", vpn.ValidEmail),
		field("note", "Note", "", "what you want to remember, in one line", vpn.ValidNote),
	}
	at := 0 // where the tags are
	if s.many {
		list = slices.DeleteFunc(list, func(f widget.Field) bool { return f.Key == "name" || f.Key == "valid-for" })
		for i := range list {
			f := &list[i]
			f.Hint = asIs
			switch f.Key {
			case "tag":
				f.Key, f.Label = "add-tag", "Add tags"
				at = i + 1
			case "server":
				f.Help += "; none marked: as it is"
			}
		}
	}
	if s.many {
		list = slices.Insert(list, at, widget.Field{Key: "remove-tag", Label: "Remove tags", Hint: asIs, Help: removable(s.had), Check: checkRemoved(s)})
	}
	s.form = widget.NewForm(list...)
	return s.form
}

// orUnchanged checks only what was written: nothing, and what was there
// before, is right. A name has to be there.
func (s *fields) orUnchanged(key string, check func(string) error) func(string) error {
	was := s.valueOf(key)
	return func(v string) error {
		if v == was && key != "name" || v == "" && key != "name" {
			return nil
		}
		return withHint(check(v))
	}
}

// withHint puts what to try into the error. Beside a field there is one line,
// and that it is wrong can be seen: how to write it is worth more.
func withHint(err error) error {
	switch hint := vpn.HintOf(err); {
	case hint == "":
		return err
	case strings.HasPrefix(hint, "write "), strings.HasPrefix(hint, "use "):
		return errors.New(hint)
	default:
		return errors.New(err.Error() + ": " + hint)
	}
}

func checked[T any](parse func(string) (T, error)) func(string) error {
	return func(v string) error {
		_, err := parse(v)
		return err
	}
}

// cycle is the period that there will be.
func (s *fields) cycle() vpn.Cycle {
	c, _ := vpn.ParseCycle(s.form.Value("quota-period"))
	return c
}

func (s *fields) checkResetsOn(v string) error {
	if s.many && s.form.Value("quota-period") == asIs {
		return nil // of each a different one: the API knows
	}
	if s.cycle() == vpn.NoCycle {
		return errNoPeriod
	}
	return vpn.Period{Every: s.cycle(), ResetsOn: v}.Valid()
}

func (s *fields) checkAfter(v string) error {
	n, err := parseAfter(v)
	if quota := s.form.Value("quota"); err == nil && n > 0 && !s.many && (quota == "" || quota == "none") {
		return vpn.Errorf(vpn.Invalid, "there is no quota after which to slow down")
	}
	return err
}

func (s *fields) checkZone(v string) error {
	if _, err := vpn.Zone(v); err != nil {
		return err
	}
	if s.cycle() == vpn.NoCycle && !s.many {
		return errNoPeriod
	}
	return nil
}

var errNoPeriod = errors.New("choose a period first")

func (s *fields) checkValidFor(v string) error {
	if _, err := vpn.ParseSpan(v); err != nil {
		return err
	}
	if end, given := s.said("expires"); given && end != "" {
		return vpn.Errorf(vpn.Invalid, "there is an end already: empty Expires, or this")
	}
	return nil
}

func (s *fields) checkServers(v string) error {
	on := choicesIn(v)
	switch {
	case len(on) > 1 && slices.Contains(on, everyServer):
		return errors.New("every one, or some of them: take a mark away")
	case len(on) == 0 && s.old == nil && !s.many:
		return errors.New("mark a server that lets the user in, or every one")
	}
	return nil
}

// choicesIn splits what a field of several choices says.
func choicesIn(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func checkTags(v string) error {
	for _, tag := range listed(v) {
		if err := vpn.ValidTag(tag); err != nil {
			return err
		}
	}
	return nil
}

// parseAfter reads what comes after the quota, as a rate; cut is none.
func parseAfter(s string) (uint64, error) {
	rate, slow := strings.CutPrefix(s, "throttle:")
	switch {
	case s == "cut" || s == "":
		return 0, nil
	case !slow:
		return 0, vpn.Errorf(vpn.Invalid, "%q is nothing that can come after a quota", s).WithHint("write cut, or throttle:1mbit")
	}
	n, err := vpn.ParseRate(rate)
	if err == nil && n == 0 {
		return 0, vpn.Errorf(vpn.Invalid, "a throttle of %q slows nobody down", rate).WithHint("write it like throttle:1mbit")
	}
	return n, err
}

// parseCount reads how many of something there may be; none is 0, no limit.
func parseCount(s string) (int, error) {
	if s == "none" || s == "unlimited" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, vpn.Errorf(vpn.Invalid, "%q is not a number from 1 on", s).WithHint(`write it like 3, at most %d, or "none"`, math.MaxInt32)
	}
	return int(n), nil
}

// plainFlags are those whose value stands on the command line as it was
// written; empty is what an emptied field says there.
var plainFlags = []struct{ key, empty string }{
	{"name", ""},
	{"quota", "none"},
	{"quota-period", "none"},
	{"resets-on", ""},
	{"time-zone", ""},
	{"after-quota", "cut"},
	{"expires", "never"},
	{"valid-for", ""},
	{"rate-down", "none"},
	{"rate-up", "none"},
	{"devices", "none"},
	{"connections", "none"},
	{"email", ""},
	{"note", ""},
}

// flags are what was said, as the command line takes it.
func (s *fields) flags() string {
	var b strings.Builder
	for _, f := range plainFlags {
		v, given := s.given(f.key)
		if !given || f.key == "name" && s.old == nil {
			continue
		}
		if v == "" {
			v = f.empty
		}
		b.WriteString(" --" + f.key + " " + dialog.Quote(v))
	}
	return b.String()
}

// given returns what is to be done about a field. An emptied field takes away
// what was there, and does nothing where there was nothing. Of the two ends of
// a user, the one that is written is the one that counts.
func (s *fields) given(key string) (string, bool) {
	v, given := s.said(key)
	if key == "expires" && s.old != nil && s.old.Holds() && v == "" {
		hold, _ := s.said("valid-for")
		return "never", hold == ""
	}
	if !given || v != "" {
		return v, given
	}
	switch was := s.valueOf(key); {
	case key == "valid-for", was == "none", was == "never", was == "cut":
		return "", false
	case key == "expires":
		hold, _ := s.said("valid-for")
		return v, hold == ""
	}
	return v, true
}
