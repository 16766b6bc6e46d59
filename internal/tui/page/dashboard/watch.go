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

// What is near enough to its end to be told.
const (
	nearQuota  = 0.9
	nearExpiry = 7 * 24 * time.Hour
	nearFull   = 0.9
	patience   = 5 * time.Second // for a server that is on its way
	named      = 3               // so many users are told one by one
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
	since  *spell // how long it has been so; nil: it is not known
	screen key.Screen
	what   string
}

// spell is how long a server has been in its state, as far as it was seen.
type spell struct {
	state vpn.ServerState
	from  time.Time
	seen  bool // its beginning was seen
}

// words says how long, or nothing worth saying.
func (s *spell) words(now time.Time) string {
	switch d := now.Sub(s.from); {
	case s.seen:
		return "for " + age(d)
	case d >= time.Minute:
		return "for more than " + age(d)
	}
	return ""
}

// watch keeps what needs somebody.
type watch struct {
	frame    page.Frame
	spells   map[vpn.ServerID]*spell
	ofUsers  []item
	items    []item
	expiring int
	nearing  int
	online   int // users
}

func newWatch(f page.Frame) *watch { return &watch{frame: f, spells: map[vpn.ServerID]*spell{}} }

// learn looks at what was answered anew.
func (w *watch) learn(t feed.Topic) {
	if t&feed.Users != 0 {
		w.users()
	}
	if t&(feed.Users|feed.Status|feed.Host) == 0 {
		return
	}
	w.items = append(w.servers(), w.host()...)
	w.items = append(w.items, w.ofUsers...)
	w.items = append(w.items, w.warnings()...)
	slices.SortStableFunc(w.items, func(a, b item) int { return int(a.weight) - int(b.weight) })
}

// servers are those that do not do what they are meant to.
func (w *watch) servers() []item {
	now := w.frame.Now()
	servers := w.frame.Data().Status.Servers
	alive := map[vpn.ServerID]bool{}
	var out []item
	for _, s := range servers {
		alive[s.ID] = true
		sp := w.spells[s.ID]
		if sp == nil || sp.state != s.State {
			sp = &spell{state: s.State, from: now, seen: sp != nil}
			w.spells[s.ID] = sp
		}
		i := item{weight: warn, since: sp, screen: key.Servers, what: s.Name}
		switch s.State {
		case vpn.Failed:
			i.weight, i.text = bad, "server "+s.Name+" is down: "+s.Problem
		case vpn.Unresponsive:
			i.weight, i.text = bad, "server "+s.Name+" does not answer"
		case vpn.Starting:
			i.text = "server " + s.Name + " is still starting"
		case vpn.Syncing:
			i.text = "server " + s.Name + " is behind the store"
		default:
			continue
		}
		if i.weight == warn && now.Sub(sp.from) < patience {
			continue
		}
		out = append(out, i)
	}
	for id := range w.spells {
		if !alive[id] {
			delete(w.spells, id)
		}
	}
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
func (w *watch) users() {
	now := w.frame.Now()
	all := w.frame.Data().Users
	var quota, expiry []*vpn.UserInfo
	w.online = 0
	for i := range all {
		u := &all[i]
		if u.Online > 0 {
			w.online++
		}
		if u.Status != vpn.Active {
			continue
		}
		if u.Limits.Quota > 0 && quotaPart(u) >= nearQuota {
			quota = append(quota, u)
		}
		if !u.ExpiresAt.IsZero() && u.ExpiresAt.Sub(now) < nearExpiry {
			expiry = append(expiry, u)
		}
	}
	slices.SortStableFunc(expiry, func(a, b *vpn.UserInfo) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	slices.SortStableFunc(quota, func(a, b *vpn.UserInfo) int {
		switch x, y := quotaPart(a), quotaPart(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	w.expiring, w.nearing = len(expiry), len(quota)
	w.ofUsers = w.ofUsers[:0]
	w.ofUsers = append(w.ofUsers, told(expiry, "/expires:<7d is:active", "expire within 7 days", func(u *vpn.UserInfo) string {
		return u.Name + " expires in " + age(u.ExpiresAt.Sub(now))
	})...)
	w.ofUsers = append(w.ofUsers, told(quota, "/quota:>90 is:active", "have used 90% of their quota", func(u *vpn.UserInfo) string {
		return fmt.Sprintf("%s has used %d%% of %s", u.Name, int(quotaPart(u)*100), vpn.FormatSize(u.Limits.Quota))
	})...)
}

func quotaPart(u *vpn.UserInfo) float64 { return float64(u.Used.Total()) / float64(u.Limits.Quota) }

// told are a few users one by one, or how many they are and who is first.
func told(users []*vpn.UserInfo, filter, what string, one func(*vpn.UserInfo) string) []item {
	if len(users) > named {
		return []item{{weight: warn, text: fmt.Sprintf("%d users %s; first %s", len(users), what, one(users[0])), screen: key.Users, what: filter}}
	}
	out := make([]item, 0, len(users))
	for _, u := range users {
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
