package vpn

import (
	"strconv"
	"strings"
	"time"
)

var span = pattern(`^([0-9]{1,7})([hdwy])$`)

// moments are the layouts of [ParseWhen] that name a moment; without a zone
// they are UTC.
var moments = []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"}

// ParseWhen reads a moment in the future, as people write one, seen from now:
//
//   - "12h", "30d", "2w", "1y": so long from now; a year is a calendar year
//   - "2026-12-31": the end of that day, that is midnight UTC after it
//   - "2026-12-31T15:00", UTC, or RFC 3339 with a zone
//   - "never": the zero time
//
// The result is UTC, in whole seconds. What is not after now is refused, and
// so is what lies beyond the year 9999, which JSON cannot carry. Errors are
// of kind [Invalid].
func ParseWhen(s string, now time.Time) (time.Time, error) {
	const hint = `write it like 30d, 12h, 2w, 1y, 2026-12-31 or 2026-12-31T15:00 (UTC), or "never"`
	text := strings.TrimSpace(s)
	if strings.EqualFold(text, "never") {
		return time.Time{}, nil
	}
	t, ok := parseMoment(text, now.UTC())
	if !ok {
		return time.Time{}, Errorf(Invalid, "time %s is not valid", quoted(s)).WithHint(hint)
	}
	t = t.UTC().Truncate(time.Second)
	switch {
	case t.Year() > 9999:
		return time.Time{}, Errorf(Invalid, "time %s is too far away", quoted(s)).WithHint(`write "never" for no end`)
	case !t.After(now):
		return time.Time{}, Errorf(Invalid, "time %s is not in the future", quoted(s)).WithHint(hint)
	}
	return t, nil
}

func parseMoment(s string, now time.Time) (time.Time, bool) {
	if m := span().FindStringSubmatch(strings.ToLower(s)); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return time.Time{}, false
		}
		switch m[2] {
		case "h":
			// In two steps: ten million hours do not fit a Duration.
			return now.AddDate(0, 0, n/24).Add(time.Duration(n%24) * time.Hour), true
		case "d":
			return now.AddDate(0, 0, n), true
		case "w":
			return now.AddDate(0, 0, 7*n), true
		default:
			return now.AddDate(n, 0, 0), true
		}
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), true
	}
	for _, layout := range moments {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

var (
	spanBack = pattern(`^([0-9]{1,7})(s|m|h|d|w|y)$`)
	stepSpan = pattern(`^([0-9]{1,5})(s|m|h|d)$`)
)

// ParseSince reads a moment in the past, as people write one, seen from now:
// "90s", "30m", "24h", "7d", "2w" and "1y" ago, or a date or time as [ParseWhen] takes
// one, of which a date alone means its beginning. Errors are of kind [Invalid].
func ParseSince(s string, now time.Time) (time.Time, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	t, ok := time.Time{}, false
	if m := spanBack().FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		ok = err == nil && n > 0
		switch m[2] {
		case "s":
			t = now.Add(-time.Duration(n) * time.Second)
		case "m":
			t = now.Add(-time.Duration(n) * time.Minute)
		case "h":
			t = now.AddDate(0, 0, -(n / 24)).Add(-time.Duration(n%24) * time.Hour)
		case "d":
			t = now.AddDate(0, 0, -n)
		case "w":
			t = now.AddDate(0, 0, -7*n)
		default:
			t = now.AddDate(-n, 0, 0)
		}
	} else if day, err := time.Parse(time.DateOnly, text); err == nil {
		t, ok = day, true
	} else {
		t, ok = parseMoment(strings.ToUpper(text), now)
	}
	t = t.UTC().Truncate(time.Second)
	if !ok || !t.Before(now) || t.Year() < 1970 {
		return time.Time{}, Errorf(Invalid, "time %s is not valid", quoted(s)).
			WithHint("write a time in the past: 30m, 24h, 7d, 2w, 1y, 2026-01-31 or 2026-01-31T15:00 (UTC)")
	}
	return t, nil
}

// ParseStep reads how much time is told together: "5m", "1h" or "1d", in whole
// five minutes, or "10s", less than that. Errors are of kind [Invalid].
func ParseStep(s string) (time.Duration, error) {
	if m := stepSpan().FindStringSubmatch(strings.ToLower(strings.TrimSpace(s))); m != nil {
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		n, err := strconv.Atoi(m[1])
		d := time.Duration(n) * unit
		if whole := d%(5*time.Minute) == 0 || unit == time.Second && d < 5*time.Minute; err == nil && n > 0 && whole && d <= 366*24*time.Hour {
			return d, nil
		}
	}
	return 0, Errorf(Invalid, "step %s is not valid", quoted(s)).WithHint("write it in whole five minutes, like 5m, 1h or 1d; of the last minutes in seconds, like 10s")
}
