package dashboard

import (
	"strconv"
	"strings"
	"time"

	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

func clean(s string) string { return widget.Clean(s) }

// short writes bytes in at most six cells: "61.8M".
func short(n uint64) string {
	s := strings.ReplaceAll(vpn.FormatSize(n), " ", "")
	if s == "0B" {
		return "0"
	}
	return strings.TrimSuffix(s, "B")
}

// age writes how long something lasts, in its largest unit.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d >= 24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	case d >= time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Second)) + " s"
}
