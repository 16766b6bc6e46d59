package users

import (
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// barWidth is how many cells the bar of a quota takes.
const barWidth = 10

// cells are what the columns of a list show.
type cells struct{ *list }

// columns returns the columns of the list. The higher Leaves is, the sooner a
// column goes where there is no room; those that are not shown at first can
// be picked.
func (l cells) columns() []widget.Column {
	at := func(row int) *vpn.UserInfo { return l.rows[row].UserInfo }
	by := func(less func(a, b *vpn.UserInfo) bool) func(a, b int) bool {
		return func(a, b int) bool { return less(at(a), at(b)) }
	}
	count := func(n int) string {
		if n == 0 {
			return "-"
		}
		return strconv.Itoa(n)
	}
	faintIf := func(nothing func(u *vpn.UserInfo) bool) func(row int) *lipgloss.Style {
		return func(row int) *lipgloss.Style {
			if nothing(at(row)) {
				return &l.frame.Theme().Faint
			}
			return nil
		}
	}
	return []widget.Column{
		{
			Title: "USER", Min: 13, Flex: 6, Text: func(row int) string { return at(row).Name },
			Less: by(func(a, b *vpn.UserInfo) bool { return a.Name < b.Name }),
		},
		{
			Title: "STATUS", Min: 11, Text: l.status,
			Style: func(row int) *lipgloss.Style {
				_, style := statusSign(l.frame.Theme(), at(row))
				return style
			},
			Less: by(func(a, b *vpn.UserInfo) bool { return statusRank(a) < statusRank(b) }),
		},
		{
			Title: "ON", Min: 4, Right: true, Leaves: 1, Text: func(row int) string { return count(at(row).Online) },
			Style: faintIf(func(u *vpn.UserInfo) bool { return u.Online == 0 }),
			Less:  by(func(a, b *vpn.UserInfo) bool { return a.Online < b.Online }),
		},
		{
			Title: "USED", Min: 7, Right: true, Text: func(row int) string { return size(at(row).Used.Total()) },
			Less: by(func(a, b *vpn.UserInfo) bool { return a.Used.Total() < b.Used.Total() }),
		},
		{
			Title: "LIMIT", Min: 7, Right: true, Leaves: 3, Text: l.limit,
			Style: faintIf(func(u *vpn.UserInfo) bool { return u.Limits.Quota == 0 }),
			Less:  by(func(a, b *vpn.UserInfo) bool { return a.Limits.Quota-1 < b.Limits.Quota-1 }), // none is the most
		},
		{
			Title: "QUOTA", Min: barWidth, Leaves: 12, Text: l.bar, Style: l.barStyle,
			Less: by(func(a, b *vpn.UserInfo) bool { return part(a) < part(b) }),
		},
		{
			Title: "EXPIRES", Min: 8, Right: true, Leaves: 2, Text: func(row int) string { return endShort(at(row), l.frame.Now()) },
			Style: l.endStyle,
			Less:  by(func(a, b *vpn.UserInfo) bool { return end(a) < end(b) }),
		},
		{
			Title: "RATE", Min: 9, Right: true, Leaves: 7, Text: l.rate,
			Style: faintIf(func(u *vpn.UserInfo) bool { return u.Rate == vpn.Rate{} }),
			Less:  by(func(a, b *vpn.UserInfo) bool { return a.Rate.Up+a.Rate.Down < b.Rate.Up+b.Rate.Down }),
		},
		{Title: " SERVERS", Min: 9, Flex: 2, Leaves: 9, Text: func(row int) string { return " " + l.servers(row) }, Style: faintIf(func(u *vpn.UserInfo) bool { return u.AllowedServers == nil })},
		{
			Title: "DEV", Min: 4, Right: true, Leaves: 8, Hidden: true, Text: func(row int) string { return count(at(row).Limits.Devices) },
			Less: by(func(a, b *vpn.UserInfo) bool { return uint(a.Limits.Devices)-1 < uint(b.Limits.Devices)-1 }),
		},
		{Title: "TAGS", Min: 8, Flex: 2, Leaves: 6, Hidden: true, Text: func(row int) string { return strings.Join(at(row).Tags, " ") }},
		{Title: "NOTE", Min: 10, Flex: 3, Leaves: 11, Hidden: true, Text: func(row int) string { return at(row).Note }},
		{
			Title: "CREATED", Min: 10, Leaves: 10, Hidden: true, Text: func(row int) string { return at(row).CreatedAt.UTC().Format("2006-01-02") },
			Less: by(func(a, b *vpn.UserInfo) bool { return a.CreatedAt.Before(b.CreatedAt) }),
		},
	}
}

func (l cells) status(row int) string {
	u := l.rows[row].UserInfo
	sign, _ := statusSign(l.frame.Theme(), u)
	return sign + " " + statusWord(u)
}

// statusRank sorts who needs somebody before who does not.
func statusRank(u *vpn.UserInfo) int {
	return slices.Index([]vpn.UserStatus{vpn.Expired, vpn.Limited, vpn.Active, vpn.OnHold, vpn.Disabled}, u.Status)
}

func (l cells) limit(row int) string {
	if q := l.rows[row].Limits.Quota; q > 0 {
		return size(q)
	}
	return l.frame.Theme().Glyphs.Infinite
}

func (l cells) bar(row int) string {
	u := l.rows[row].UserInfo
	if u.Limits.Quota == 0 {
		return ""
	}
	return widget.Bar(l.frame.Theme(), part(u), barWidth)
}

func (l cells) barStyle(row int) *lipgloss.Style {
	t := l.frame.Theme()
	switch p := part(l.rows[row].UserInfo); {
	case p >= 0.9:
		return &t.Bad
	case p >= 0.75:
		return &t.Warn
	}
	return &t.OK
}

// end is when a user's time is over, for sorting: never is the last.
func end(u *vpn.UserInfo) int64 {
	if u.ExpiresAt.IsZero() {
		return 1<<62 + int64(u.ValidFor)
	}
	return u.ExpiresAt.Unix()
}

func (l cells) endStyle(row int) *lipgloss.Style {
	u, t := l.rows[row].UserInfo, l.frame.Theme()
	switch left := u.ExpiresAt.Sub(l.frame.Now()); {
	case u.ExpiresAt.IsZero():
		return &t.Faint
	case left <= 0:
		return &t.Bad
	case left < week:
		return &t.Warn
	}
	return nil
}

func (l cells) rate(row int) string {
	r := l.rows[row].Rate
	if r == (vpn.Rate{}) {
		return "-"
	}
	return speed(r.Up + r.Down)
}

func (l cells) servers(row int) string {
	u := l.rows[row].UserInfo
	switch {
	case u.AllowedServers == nil:
		return "all"
	case len(u.AllowedServers) == 0:
		return "none"
	}
	names := make([]string, 0, len(u.AllowedServers))
	for _, id := range u.AllowedServers {
		if name := l.names[id]; name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// pick opens the list of columns: enter shows or hides one.
func (l *list) pick() {
	var items []dialog.Item
	for i := range l.table.Columns {
		c := &l.table.Columns[i]
		if i == 0 {
			continue // the list is of users
		}
		note := ""
		if !c.Hidden {
			note = "shown"
		}
		items = append(items, dialog.Item{Text: c.Title, Note: note, Do: nil})
		items[len(items)-1].Do = l.toggle(i)
	}
	l.frame.Open(dialog.NewPick(l.frame, "Columns", "which one to show or hide?", items))
}
