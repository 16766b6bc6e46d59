package servers

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// stateWord is what a state is called in a list.
func stateWord(s vpn.ServerState) string {
	if s == vpn.Unresponsive {
		return "no answer"
	}
	return widget.Clean(string(s))
}

func stateText(t *theme.Theme, s vpn.ServerState) string {
	sign := t.Glyphs.Bad
	switch s {
	case vpn.Running:
		sign = t.Glyphs.OK
	case vpn.Syncing, vpn.Starting:
		sign = t.Glyphs.Warn
	case vpn.Stopped:
		sign = t.Glyphs.Off
	}
	return sign + " " + stateWord(s)
}

func stateStyle(t *theme.Theme, s vpn.ServerState) *lipgloss.Style {
	switch s {
	case vpn.Running:
		return &t.OK
	case vpn.Syncing, vpn.Starting:
		return &t.Warn
	case vpn.Stopped:
		return &t.Muted
	}
	return &t.Bad
}

// rank sorts states: what needs somebody comes first.
func rank(s vpn.ServerState) int {
	switch s {
	case vpn.Failed:
		return 0
	case vpn.Unresponsive:
		return 1
	case vpn.Starting:
		return 2
	case vpn.Syncing:
		return 3
	case vpn.Running:
		return 4
	}
	return 5
}

// short writes bytes in at most six cells: "61.8M".
func short(n uint64) string {
	s := strings.ReplaceAll(vpn.FormatSize(n), " ", "")
	if s == "0B" {
		return "0"
	}
	return strings.TrimSuffix(s, "B")
}

func speed(r vpn.Rate, t *theme.Theme) string {
	return t.Glyphs.Down + " " + vpn.FormatRate(r.Down) + "  " + t.Glyphs.Up + " " + vpn.FormatRate(r.Up)
}

func percent(p *float64) string {
	if p == nil {
		return "-"
	}
	return strconv.FormatFloat(*p, 'f', 1, 64) + "%"
}

func cpu(s vpn.ServerInfo) float64 {
	if s.Worker == nil || s.Worker.CPU == nil {
		return -1
	}
	return *s.Worker.CPU
}

func memory(s vpn.ServerInfo) uint64 {
	if s.Worker == nil {
		return 0
	}
	return s.Worker.Memory
}

// age writes how long something lasts, in its two largest units.
func age(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0:
		return strconv.Itoa(days) + " d " + strconv.Itoa(hours) + " h"
	case hours > 0:
		return strconv.Itoa(hours) + " h " + strconv.Itoa(minutes) + " min"
	case minutes > 0:
		return strconv.Itoa(minutes) + " min"
	}
	return strconv.Itoa(int(d.Seconds())) + " s"
}

// many is "1 connection" or "5 connections".
func many(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
