package cli

import (
	"strconv"
	"time"

	"vpn/internal/vpn"
)

// How quantities look in tables and details. What is no limit is written the
// way it is asked for: none, never.

func formatLimit(n uint64, format func(uint64) string) string {
	if n == 0 {
		return "none"
	}
	return format(n)
}

func formatCount(n int) string {
	if n == 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

func formatExpiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return formatTime(t)
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// formatNow returns a present speed; nothing at all is easier to overlook.
func formatNow(n uint64) string {
	if n == 0 {
		return "-"
	}
	return vpn.FormatRate(n)
}

// bothWaysCell is the sum for programs, and its parts too for people.
func bothWaysCell(t vpn.Traffic) cell {
	c := usedCell(t)
	c.text += " (" + vpn.FormatSize(t.Up) + " up, " + vpn.FormatSize(t.Down) + " down)"
	return c
}

func onlineCell(connections int, r vpn.Rate) cell {
	return cell{formatOnline(connections, r), strconv.Itoa(connections)}
}

func formatOnline(connections int, r vpn.Rate) string {
	s := many(connections, "connection")
	if r == (vpn.Rate{}) {
		return s
	}
	return s + ", " + vpn.FormatRate(r.Up) + " up, " + vpn.FormatRate(r.Down) + " down"
}
