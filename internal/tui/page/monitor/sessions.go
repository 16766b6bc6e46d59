package monitor

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// sessions is the list of connections.
type sessions struct {
	all    []vpn.Session
	of     subject
	table  *widget.Table
	filter *widget.Input
	now    func() time.Time
}

// The columns, by number.
const (
	bySource = iota
	byUser
	byServer
	byProtocol
	byNetwork
	byAge
	byUp
	byDown
)

func newSessions(now func() time.Time) *sessions {
	s := &sessions{filter: widget.NewInput("words that it has: a user, an address, a server, tcp"), now: now}
	text := func(f func(vpn.Session) string) func(int) string {
		return func(row int) string { return f(s.all[row]) }
	}
	less := func(f func(a, b vpn.Session) int) func(a, b int) bool {
		return func(a, b int) bool { return f(s.all[a], s.all[b]) < 0 }
	}
	s.table = widget.NewTable(
		widget.Column{
			Title: "SOURCE", Min: 21, Flex: 1, Text: text(source),
			Less: less(func(a, b vpn.Session) int { return a.Source.Compare(b.Source) }),
		},
		widget.Column{
			Title: "USER", Min: 10, Flex: 3, Text: text(userOf),
			Less: less(func(a, b vpn.Session) int { return strings.Compare(userOf(a), userOf(b)) }),
		},
		widget.Column{
			Title: "SERVER", Min: 8, Flex: 2, Leaves: 2, Text: text(func(x vpn.Session) string { return x.Server }),
			Less: less(func(a, b vpn.Session) int { return strings.Compare(a.Server, b.Server) }),
		},
		widget.Column{
			Title: "PROTOCOL", Min: 11, Leaves: 4, Text: text(func(x vpn.Session) string { return string(x.Protocol) }),
			Less: less(func(a, b vpn.Session) int { return cmp.Compare(a.Protocol, b.Protocol) }),
		},
		widget.Column{
			Title: "NET", Min: 4, Leaves: 5, Text: text(func(x vpn.Session) string { return x.Network }),
			Less: less(func(a, b vpn.Session) int { return strings.Compare(a.Network, b.Network) }),
		},
		widget.Column{
			Title: "AGE", Min: 5, Right: true, Leaves: 1, Text: text(func(x vpn.Session) string { return widget.Age(s.now().Sub(x.Since)) }),
			Less: less(func(a, b vpn.Session) int { return b.Since.Compare(a.Since) }),
		},
		widget.Column{
			Title: "UP", Min: 8, Right: true, Text: text(func(x vpn.Session) string { return vpn.FormatSize(x.Up) }),
			Less: less(func(a, b vpn.Session) int { return cmp.Compare(a.Up, b.Up) }),
		},
		widget.Column{
			Title: "DOWN", Min: 8, Right: true, Text: text(func(x vpn.Session) string { return vpn.FormatSize(x.Down) }),
			Less: less(func(a, b vpn.Session) int { return cmp.Compare(a.Down, b.Down) }),
		},
	)
	s.table.Sort, s.table.Desc = byDown, true
	return s
}

// userOf is the user's name, or the ID of one that has none any more.
func userOf(x vpn.Session) string { return cmp.Or(x.UserName, string(x.User)) }

// source is where a connection comes from. What is not known is not made up.
func source(x vpn.Session) string {
	if !x.Source.IsValid() {
		return "?"
	}
	return x.Source.String()
}

// set takes the connections that there are now.
func (s *sessions) set(all []vpn.Session, of subject) {
	s.all, s.of = all, of
	words := strings.Fields(strings.ToLower(s.filter.Value()))
	s.table.SetRows(len(all), func(row int) string {
		x := &s.all[row]
		return fmt.Sprintf("%s/%s/%d", x.Server, x.Credential, x.ID)
	}, func(row int) bool { return s.keeps(&s.all[row], words) })
}

func (s *sessions) keeps(x *vpn.Session, words []string) bool {
	if s.of.server != "" && x.Server != s.of.server || s.of.user != "" && userOf(*x) != s.of.user {
		return false
	}
	if len(words) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join([]string{source(*x), userOf(*x), x.Server, string(x.Protocol), x.Network}, " "))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// row returns the connection under the cursor.
func (s *sessions) row() (vpn.Session, bool) {
	if i := s.table.Row(); i >= 0 && i < len(s.all) {
		return s.all[i], true
	}
	return vpn.Session{}, false
}

// ofUser returns how many connections a user has, shown or not.
func (s *sessions) ofUser(name string) int {
	n := 0
	for i := range s.all {
		if userOf(s.all[i]) == name {
			n++
		}
	}
	return n
}

// wanted is which connections are shown, in words.
func (s *sessions) wanted() string {
	var out []string
	if s.of != (subject{}) {
		out = append(out, "of "+s.of.String())
	}
	if f := strings.TrimSpace(s.filter.Value()); f != "" {
		out = append(out, "one with "+f)
	}
	return strings.Join(out, " and ")
}
