package vpn

import (
	"strconv"
	"strings"
	"time"
)

// maxSpan is the longest that [ParseSpan] takes: what a [time.Duration] holds,
// and nobody outlives.
const maxSpan = 100 * 365 * 24 * time.Hour

// ParseSpan reads a length of time as people write one: "12h", "30d", "2w",
// "1y". A year has 365 days. Nothing, and more than a hundred years, are
// refused. Errors are of kind [Invalid].
func ParseSpan(s string) (time.Duration, error) {
	m := span().FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if m == nil {
		return 0, Errorf(Invalid, "length of time %s is not valid", quoted(s)).WithHint("write it like 30d, 12h, 2w or 1y")
	}
	n, err := strconv.Atoi(m[1])
	unit := map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour}[m[2]]
	switch {
	case err != nil || n > int(maxSpan/unit):
		return 0, Errorf(Invalid, "length of time %s is too long", quoted(s)).WithHint("the most is 100y")
	case n == 0:
		return 0, Errorf(Invalid, "length of time %s is none at all", quoted(s)).WithHint("write it like 30d, 12h, 2w or 1y")
	}
	return time.Duration(n) * unit, nil
}

// FormatSpan returns d in the largest unit that leaves no rest, such as "30d"
// or "36h"; [ParseSpan] reads it back. What is left below an hour is in Go's
// own form.
func FormatSpan(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}} {
		if d > 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return d.String()
}
