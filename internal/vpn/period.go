package vpn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a container that holds nothing but this program has time zones too
)

// Cycle is how often what a user has used begins anew.
type Cycle string

// The cycles. Rolling is no cycle in the strict sense: a day that has left the
// window of thirty calendar days counts no more, and the others go on.
const (
	NoCycle Cycle = ""
	Daily   Cycle = "day"
	Weekly  Cycle = "week"
	Monthly Cycle = "month"
	Yearly  Cycle = "year"
	Rolling Cycle = "30d"
)

// RollingDays is how many calendar days count under [Rolling], today included.
const RollingDays = 30

// Cycles returns the words of [ParseCycle], in order of length.
func Cycles() []string {
	return []string{"none", string(Daily), string(Weekly), string(Monthly), string(Yearly), string(Rolling)}
}

// ParseCycle reads a cycle; "none" is [NoCycle]. Errors are of kind [Invalid].
func ParseCycle(s string) (Cycle, error) {
	word := strings.ToLower(strings.TrimSpace(s))
	for _, known := range Cycles() {
		if word == known {
			if word == "none" {
				word = ""
			}
			return Cycle(word), nil
		}
	}
	return NoCycle, Unknown("period", s, Cycles())
}

// A Period says when what a user has used begins anew: at the first moment of
// a day in a time zone. Its zero value is never.
type Period struct {
	Every    Cycle  `json:"every,omitempty" enum:"day,week,month,year,30d" doc:"30d: the last 30 calendar days count"`
	ResetsOn string `json:"resets_on,omitempty" doc:"of a week mon to sun, of a month 1 to 31, of a year MM-DD; a day that a month has not is its last"`
	TimeZone string `json:"time_zone,omitempty" doc:"of the IANA database, such as Europe/Berlin; left out: UTC"`
}

// String says it to people, such as "month, from 15, Europe/Berlin"; never is
// empty.
func (p Period) String() string {
	var parts []string
	switch {
	case p.Every == NoCycle:
		return ""
	case p.Every == Rolling:
		parts = []string{"the last 30 days"}
	case p.ResetsOn != "":
		parts = []string{string(p.Every) + ", from " + p.ResetsOn}
	default:
		parts = []string{string(p.Every)}
	}
	if p.TimeZone != "" {
		parts = append(parts, p.TimeZone)
	}
	return strings.Join(parts, ", ")
}

// Valid returns an [Invalid] error unless p can be followed.
func (p Period) Valid() error {
	if p.Every == NoCycle {
		switch {
		case p.ResetsOn != "":
			return Errorf(Invalid, "resets-on %s has no period to be of", quoted(p.ResetsOn)).WithHint("name one: --quota-period month")
		case p.TimeZone != "":
			return Errorf(Invalid, "time zone %s has no period to be of", quoted(p.TimeZone)).WithHint("name one: --quota-period month")
		}
		return nil
	}
	if !slices.Contains(Cycles()[1:], string(p.Every)) {
		return Unknown("period", string(p.Every), Cycles())
	}
	if _, err := p.anchor(); err != nil {
		return err
	}
	_, err := Zone(p.TimeZone)
	return err
}

var zoneName = pattern(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// Zone returns a time zone by its name in the IANA database; none is UTC. A
// zone that depends on the machine ("Local") is refused with all that are not
// known, by an error of kind [Invalid].
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if len(name) <= 64 && zoneName().MatchString(name) && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, Errorf(Invalid, "time zone %s is not known", quoted(name)).
		WithHint("write it like Europe/Berlin, Asia/Shanghai or UTC")
}

// anchor is the day on which a period begins; the parts that its cycle has
// not are zero.
type anchor struct {
	weekday time.Weekday
	month   time.Month
	day     int
}

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

var yearDay = pattern(`^([0-9]{2})-([0-9]{2})$`)

func (p Period) anchor() (anchor, error) {
	wrong := func(hint string) (anchor, error) {
		return anchor{}, Errorf(Invalid, "a period of a %s cannot begin on %s", p.Every, quoted(p.ResetsOn)).WithHint("%s", hint)
	}
	switch p.Every {
	case Weekly:
		day, known := weekdays[strings.ToLower(p.ResetsOn)]
		switch {
		case p.ResetsOn == "":
			day = time.Monday
		case !known:
			return wrong("write one of mon, tue, wed, thu, fri, sat, sun")
		}
		return anchor{weekday: day}, nil
	case Monthly:
		if p.ResetsOn == "" {
			return anchor{day: 1}, nil
		}
		n, err := strconv.ParseUint(p.ResetsOn, 10, 8)
		if err != nil || n < 1 || n > 31 || strconv.Itoa(int(n)) != p.ResetsOn {
			return wrong("write a day from 1 to 31; where a month has not as many, its last is taken")
		}
		return anchor{day: int(n)}, nil
	case Yearly:
		if p.ResetsOn == "" {
			return anchor{month: time.January, day: 1}, nil
		}
		m := yearDay().FindStringSubmatch(p.ResetsOn)
		if m == nil {
			return wrong("write a month and a day, like 03-15")
		}
		month, _ := strconv.Atoi(m[1])
		day, _ := strconv.Atoi(m[2])
		if month < 1 || month > 12 || day < 1 || day > lastDay(2024, time.Month(month)) { // a leap year
			return wrong("write a month and a day, like 03-15")
		}
		return anchor{month: time.Month(month), day: day}, nil
	case NoCycle, Daily, Rolling:
	}
	if p.ResetsOn != "" {
		return anchor{}, Errorf(Invalid, "resets-on %s: a period of %q begins every day", quoted(p.ResetsOn), string(p.Every)).
			WithHint("leave it out; it is for week, month and year")
	}
	return anchor{}, nil
}

// Next returns when p begins anew after t: the first such moment that is
// later. The zero time means never. p must be valid.
func (p Period) Next(t time.Time) (time.Time, error) {
	if p.Every == NoCycle {
		return time.Time{}, nil
	}
	at, err := p.anchor()
	if err != nil {
		return time.Time{}, err
	}
	loc, err := Zone(p.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	local := t.In(loc)
	// A zone may skip a day, and with it a midnight: three steps are enough.
	for n := range 4 {
		next := at.step(p.Every, local, n)
		if begin := midnight(next, loc); begin.After(t) {
			return begin.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("no %s begins after %s in %s", p.Every, t, loc)
}

// Leaves returns when a day under [Rolling] counts no more, if the moment
// that it ended at is end.
func (p Period) Leaves(end time.Time) (time.Time, error) {
	loc, err := Zone(p.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	y, m, d := end.In(loc).Date() // the day after
	return midnight(date{y, m, d + RollingDays - 1}, loc).UTC(), nil
}

// date is a day of the calendar, which may lie beyond the end of its month.
type date struct {
	year  int
	month time.Month
	day   int
}

// step returns the n-th day, from that of local on, on which a cycle begins.
func (a anchor) step(every Cycle, local time.Time, n int) date {
	y, m, d := local.Date()
	switch every {
	case Weekly:
		return date{y, m, d + (int(a.weekday)-int(local.Weekday())+7)%7 + 7*n}
	case Monthly:
		first := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
		return date{first.Year(), first.Month(), min(a.day, lastDay(first.Year(), first.Month()))}
	case Yearly:
		return date{y + n, a.month, min(a.day, lastDay(y+n, a.month))}
	case NoCycle, Daily, Rolling:
	}
	return date{y, m, d + n}
}

func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// midnight returns the first moment of a day in a zone. Where clocks are put
// forward over midnight the day begins later, and where they are put back over
// it the first of two midnights counts; of what [time.Date] returns then, only
// one of two is promised.
func midnight(d date, loc *time.Location) time.Time {
	t := time.Date(d.year, d.month, d.day, 0, 0, 0, 0, loc)
	day := time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC) // normalised
	begins := func(t time.Time) bool { return !before(t, day) && before(t.Add(-1), day) }
	if begins(t) {
		return t
	}
	start, end := t.ZoneBounds()
	if before(t, day) { // the day begins with the other offset
		return end
	}
	if !start.IsZero() {
		_, offset := start.Add(-1).Zone()
		if other := day.Add(-time.Duration(offset) * time.Second).In(loc); begins(other) {
			return other
		}
		return start
	}
	return t
}

// before reports whether the date of t is earlier than that of day, in UTC.
func before(t, day time.Time) bool {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(day)
}
