package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

const (
	nearFull = 0.9
	patience = 5 * time.Second // for a server that is on its way
	named    = 3               // so many users are told one by one
)

// weight sorts what needs somebody.
type weight int

const (
	bad weight = iota
	warn
)

// item is one thing that needs somebody, and where to do something about it.
type item struct {
	weight weight
	text   string
	since  time.Time // since when it has been so; zero: it is not known
	screen key.Screen
	what   string
}

// watch keeps what needs somebody.
type watch struct {
	frame   page.Frame
	waiting map[vpn.ServerID]time.Time // for servers that are on their way, since when
	items   []item
}

func newWatch(f page.Frame) *watch { return &watch{frame: f, waiting: map[vpn.ServerID]time.Time{}} }

// learn looks at what was answered anew.
func (w *watch) learn(t feed.Topic) {
	if t&(feed.Status|feed.Host) == 0 {
		return
	}
	w.items = append(w.servers(), w.host()...)
	w.items = append(w.items, w.users()...)
	w.items = append(w.items, w.warnings()...)
	slices.SortStableFunc(w.items, func(a, b item) int { return int(a.weight) - int(b.weight) })
}

// servers are those that do not do what they are meant to.
func (w *watch) servers() []item {
	now := w.frame.Now()
	waiting := map[vpn.ServerID]time.Time{}
	var out []item
	for _, s := range w.frame.Data().Status.Servers {
		i := item{weight: warn, since: s.Since, screen: key.Servers, what: s.Name}
		switch s.State {
		case vpn.Failed:
			i.weight, i.text = bad, "server "+s.Name+" is down: "+s.Problem
		case vpn.Unresponsive:
			i.weight, i.text = bad, "server "+s.Name+" does not answer"
		case vpn.Starting:
			i.text = "server " + s.Name + " is still starting"
		case vpn.Syncing:
			i.text, i.since = "server "+s.Name+" is behind the store", time.Time{}
		default:
			continue
		}
		if i.weight == warn {
			from, ok := w.waiting[s.ID]
			if !ok {
				from = now
			}
			waiting[s.ID] = from
			if now.Sub(from) < patience {
				continue
			}
		}
		out = append(out, i)
	}
	w.waiting = waiting
	return out
}

// host is what of the machine is nearly full.
func (w *watch) host() []item {
	h := w.frame.Data().Host
	var out []item
	full := func(what string, r vpn.Room) {
		if part := usedPart(r); part >= nearFull {
			out = append(out, item{weight: warn, text: fmt.Sprintf("%s is %d%% full: %s left", what, int(part*100), vpn.FormatSize(r.Free)), screen: key.Monitor})
		}
	}
	if h.Disk != nil {
		full("the disk", h.Disk.Room)
	}
	if h.Memory != nil {
		full("memory", *h.Memory)
	}
	return out
}

func usedPart(r vpn.Room) float64 {
	if r.Used+r.Free == 0 {
		return 0
	}
	return float64(r.Used) / float64(r.Used+r.Free)
}

// users are those whose time or quota ends soon.
func (w *watch) users() []item {
	now, s := w.frame.Now(), w.frame.Data().Status
	return append(told(s.Expiring, "/expires:<7d is:active", "expire within 7 days", func(u vpn.EndingUser) string {
		return u.Name + " expires in " + age(u.ExpiresAt.Sub(now))
	}), told(s.NearQuota, fmt.Sprintf("/quota:>%d is:active", vpn.NearQuotaPercent), fmt.Sprintf("have used %d%% of their quota", vpn.NearQuotaPercent), func(u vpn.EndingUser) string {
		return fmt.Sprintf("%s has used %d%% of %s", u.Name, int(u.QuotaPercent()), vpn.FormatSize(u.Quota))
	})...)
}

// told are a few users one by one, or how many they are and who is first.
func told(e vpn.Ending, filter, what string, one func(vpn.EndingUser) string) []item {
	if e.Count > min(named, len(e.First)) {
		text := fmt.Sprintf("%d users %s", e.Count, what)
		if len(e.First) > 0 {
			text += "; first " + one(e.First[0])
		}
		return []item{{weight: warn, text: text, screen: key.Users, what: filter}}
	}
	out := make([]item, 0, len(e.First))
	for _, u := range e.First {
		out = append(out, item{weight: warn, text: one(u), screen: key.Users, what: u.Name})
	}
	return out
}

// warnings are the control plane's own, without what is told of servers
// already.
func (w *watch) warnings() []item {
	s := w.frame.Data().Status
	var out []item
	for _, text := range s.Warnings {
		i := item{weight: warn, text: text, screen: key.Everywhere}
		known := false
		for _, srv := range s.Servers {
			if !mentions(text, srv.Name) {
				continue
			}
			i.screen, i.what = key.Servers, srv.Name
			if !strings.HasPrefix(text, "server "+srv.Name) { // it is only in a command further on
				i.text = srv.Name + ": " + text
			}
			known = known || strings.HasPrefix(text, "server "+srv.Name+" is "+string(srv.State)+": ")
		}
		if !known {
			out = append(out, i)
		}
	}
	if w.frame.Data().Known(feed.Status) && total(s.Users) == 0 && len(s.Servers) > 0 {
		out = append(out, item{weight: warn, text: "there is no user yet: nobody can connect", screen: key.Users})
	}
	return out
}

// mentions reports whether a text is about a server: it says "server NAME", or
// has a command such as "vpn server update NAME".
func mentions(text, name string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ':' || r == ',' || r == ';' })
	for i, word := range words {
		if word == "server" && slices.Contains(words[i+1:min(i+3, len(words))], name) {
			return true
		}
	}
	return false
}

func total(users map[vpn.UserStatus]int) int {
	n := 0
	for _, k := range users {
		n += k
	}
	return n
}
