package users

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// How users are told about in words.

// statusWord is what people call a status.
func statusWord(u *vpn.UserInfo) string {
	switch {
	case u.Status == vpn.OnHold:
		return "on hold"
	case isThrottled(u):
		return "throttled"
	}
	return widget.Clean(string(u.Status))
}

// statusSign is the sign of a status, and its style.
func statusSign(t *theme.Theme, u *vpn.UserInfo) (string, *lipgloss.Style) {
	switch u.Status {
	case vpn.Active:
		return t.Glyphs.OK, &t.OK
	case vpn.Limited:
		return t.Glyphs.Warn, &t.Warn
	case vpn.Expired, vpn.Deleted:
		return t.Glyphs.Bad, &t.Bad
	case vpn.OnHold, vpn.Disabled:
	}
	return t.Glyphs.Off, &t.Faint
}

// short is a length of time in one unit: "12d", "5h", "40m".
func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= 2*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= 2*time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

// distance says how far a moment is away: "in 12d", "3d ago".
func distance(t, now time.Time) string {
	if d := t.Sub(now); d >= 0 {
		return "in " + short(d)
	}
	return short(now.Sub(t)) + " ago"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// endShort is when a user's time is over, for a column.
func endShort(u *vpn.UserInfo, now time.Time) string {
	switch {
	case u.Holds():
		return "use+" + vpn.FormatSpan(u.ValidFor.Duration())
	case u.ExpiresAt.IsZero():
		return "never"
	case u.ExpiresAt.After(now):
		return short(u.ExpiresAt.Sub(now))
	case now.Sub(u.ExpiresAt) < time.Second:
		return "now"
	}
	return "-" + short(now.Sub(u.ExpiresAt))
}

func many(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// size is an amount without the blank, for columns.
func size(n uint64) string { return strings.ReplaceAll(vpn.FormatSize(n), " ", "") }

func speed(n uint64) string { return size(n) + "/s" }

// both is traffic in both directions.
func both(t *theme.Theme, down, up string) string {
	return t.Down.Render(t.Glyphs.Down+down) + " " + t.Up.Render(t.Glyphs.Up+up)
}

// named lists users: their names, at most five of them.
func named(users []vpn.UserInfo) string {
	var names []string
	for i := range users[:min(len(users), 5)] {
		names = append(names, widget.Clean(users[i].Name))
	}
	if more := len(users) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// whom is one user's name, or how many there are.
func whom(users []vpn.UserInfo) string {
	if len(users) == 1 {
		return users[0].Name
	}
	return many(len(users), "user")
}

func isAre(n int) string {
	if n == 1 {
		return " is "
	}
	return " are "
}
