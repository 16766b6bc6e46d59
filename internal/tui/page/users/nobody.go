package users

import (
	"strings"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/widget"
)

// nobody is a list without users.
type nobody struct{ *list }

// render says why there is nobody, and what to press.
func (l nobody) render(w, h int) []string {
	t, d := l.frame.Theme(), l.frame.Data()
	key := func(action string) string {
		a, _ := l.frame.Keys().Of(action)
		return t.Key.Render(a.Label())
	}
	var lines []string
	switch {
	case !d.Known(feed.Users) && d.Err(feed.Users) != nil:
		err := d.Err(feed.Users)
		for _, s := range widget.Wrap(t.Glyphs.Bad+" "+widget.Clean(err.Error()), w-6) {
			lines = append(lines, t.Bad.Render(s))
		}
		lines = append(lines, t.Muted.Render("The users cannot be had now; it is tried again by itself."))
	case !d.Known(feed.Users):
		return l.skeleton(w, h)
	case len(l.rows) > 0:
		lines = []string{t.Title.Render("No user is like that."), "", key("back") + t.Muted.Render("  takes the filter away")}
	default:
		lines = []string{t.Title.Render("There are no users yet."), "", key("users.create") + "  makes one, with its links for every server", t.Faint.Render("   = vpn users create alice")}
		if len(d.Status.Servers) == 0 {
			lines = append(lines, "", "There is no server either: "+key("screen.servers")+" and then "+key("server.create")+" makes one.")
		}
	}
	out := make([]string, 0, max(h, 0))
	for range max((h-len(lines))/3, 0) {
		out = append(out, "")
	}
	for _, s := range lines {
		out = append(out, "   "+s)
	}
	return out
}

// skeleton is rows that are still to come.
func (l nobody) skeleton(w, h int) []string {
	t := l.frame.Theme()
	var lines []string
	for i := range max(h, 0) {
		lines = append(lines, "  "+t.Faint.Render(strings.Repeat(t.Glyphs.Empty, max(min(w-4, 24+(i*7)%17), 0))))
	}
	return lines
}
