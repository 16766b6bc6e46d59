package users

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

var at = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

func fleetOfTwo() []vpn.ServerInfo {
	return []vpn.ServerInfo{
		{Server: vpn.Server{ID: "s1", Name: "main", Protocol: "vless"}},
		{Server: vpn.Server{ID: "s2", Name: "main2", Protocol: "wireguard"}},
		{Server: vpn.Server{ID: "s3", Name: "office", Protocol: "wireguard"}},
	}
}

// people are users whose names say what they are.
func people() []vpn.UserInfo {
	u := func(name string, change func(*vpn.UserInfo)) vpn.UserInfo {
		u := vpn.UserInfo{User: vpn.User{ID: vpn.UserID(name), Name: name, Enabled: true}}
		change(&u)
		u.Status = u.User.Status(at)
		return u
	}
	used := func(quota, used uint64) func(*vpn.UserInfo) {
		return func(u *vpn.UserInfo) { u.Limits.Quota, u.Used.Down = quota, used }
	}
	return []vpn.UserInfo{
		u("plain", func(*vpn.UserInfo) {}),
		u("busy", func(u *vpn.UserInfo) { u.Online = 2 }),
		u("late", func(u *vpn.UserInfo) { u.ExpiresAt = at.Add(-day) }),
		u("soon", func(u *vpn.UserInfo) { u.ExpiresAt = at.Add(3 * day) }),
		u("far", func(u *vpn.UserInfo) { u.ExpiresAt = at.Add(40 * day) }),
		u("off", func(u *vpn.UserInfo) { u.Enabled = false }),
		u("held", func(u *vpn.UserInfo) { u.ValidFor = 3600 }),
		u("half", used(100e9, 50e9)),
		u("nearly", used(100e9, 95e9)),
		u("full", used(100e9, 100e9)),
		u("slow", func(u *vpn.UserInfo) {
			used(100e9, 120e9)(u)
			u.Limits.Throttle = 125000
		}),
		u("paid", func(u *vpn.UserInfo) {
			u.Tags, u.Note, u.Email = []string{"family", "vip"}, "Pays in Cash", "p@Example.org"
		}),
		u("narrow", func(u *vpn.UserInfo) { u.AllowedServers = []vpn.ServerID{"s1"} }),
		u("tunnel", func(u *vpn.UserInfo) { u.AllowedServers = []vpn.ServerID{"s3"} }),
		u("nowhere", func(u *vpn.UserInfo) { u.AllowedServers = []vpn.ServerID{} }),
	}
}

func selected(f filter) string {
	var names []string
	for _, u := range people() {
		if f.match(&u, wordsOf(&u)) {
			names = append(names, u.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestFilter(t *testing.T) {
	for text, want := range map[string]string{
		"ful":             "full",
		"PAYS cash":       "paid",
		"example.org":     "paid",
		"vip":             "paid",
		"ar":              "nearly far narrow",
		"ar !narrow":      "far nearly",
		"is:exp":          "late",
		"is:limited":      "full slow",
		"is:throttled":    "slow",
		"is:dis":          "off",
		"is:on_hold":      "held",
		"is:on-hold":      "held",
		"is:on":           "busy held",
		"is:online":       "busy",
		"!is:offline":     "busy",
		"quota:>90":       "nearly full slow",
		"quota:>=95%":     "nearly full slow",
		"quota:<95":       "half",
		"quota:<=95":      "half nearly",
		"quota:=50":       "half",
		"quota:50":        "half",
		"quota:none !a":   "busy soon off held tunnel nowhere",
		"expires:<7d":     "soon",
		"expires:>7d":     "far",
		"expires:never a": "plain paid narrow nearly half",
		"tag:vip":         "paid",
		"tag:vi":          "",
		"server:main n":   "narrow",
		"server:off n":    "tunnel",
		"server:mai n":    "narrow",
		"proto:vless n":   "narrow",
		"proto:wg n":      "tunnel",
		"proto:wire n":    "tunnel",
		"is:exp late !x":  "late",
		"is:exp is:on":    "",
	} {
		f, err := parseFilter(text, fleetOfTwo(), at)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		// Who may be anywhere is found by every server: left out of the list.
		want, got := " "+want+" ", " "+selected(f)+" "
		for _, name := range strings.Fields(want) {
			if !strings.Contains(got, " "+name+" ") {
				t.Errorf("%s: %s is not among%s", text, name, got)
			}
		}
		if !strings.Contains(text, "server:") && !strings.Contains(text, "proto:") && len(strings.Fields(got)) != len(strings.Fields(want)) {
			t.Errorf("%s: got%s, want%s", text, got, want)
		}
		if strings.Contains(got, " nowhere ") && strings.Contains(text, ":main") {
			t.Errorf("%s lets in whom no server does", text)
		}
	}
}

func TestFilterThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"is:":               "is: what? active, on_hold",
		"is:x":              `unknown status "x"`,
		"is:expierd":        "did you mean expired?",
		"colour:red":        `unknown qualifier "colour:"`,
		"sever:main":        "did you mean server:?",
		"server:x":          "there is: main, main2, office",
		"proto:":            "proto: which? vless, wireguard",
		"quota:":            "quota: is percent used",
		"quota:>x":          "quota: is percent used",
		"quota:>99999999":   "quota: is percent used",
		"quota:>-1":         "quota: is percent used",
		"expires:7d":        "expires: is like expires:<7d",
		"expires:<x":        "expires: is like",
		"expires:<2020-1-1": "expires: is like",
		"tag:":              "tag: which one?",
		"alice !":           "! is before what is not wanted",
	} {
		_, err := parseFilter(text, fleetOfTwo(), at)
		if err == nil || vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error()+": "+vpn.HintOf(err), want) {
			t.Errorf("%s: %v: %s, want %s", text, err, vpn.HintOf(err), want)
		}
	}
	if _, err := parseFilter("server:main", nil, at); err == nil || !strings.Contains(err.Error(), "there is no server yet") {
		t.Errorf("without servers: %v", err)
	}
}

// What turns a term round selects exactly the others.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"alice is:expired proto:wireguard server:main quota:>90 expires:<7d tag:x !word", "!is:on", "quota:=", "expires:<2026-12-31T15:00", "::", "!!a", "\x00is:\xff"} {
		f.Add(text)
	}
	users := people()
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseFilter(text, fleetOfTwo(), at)
		if err != nil {
			if vpn.KindOf(err) != vpn.Invalid || err.Error() == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		words := strings.Fields(text)
		for _, u := range users {
			each := true
			for _, word := range words {
				one, err := parseFilter(word, fleetOfTwo(), at)
				if err != nil {
					t.Fatalf("%q can be read, but not its %q: %v", text, word, err)
				}
				each = each && one.match(&u, wordsOf(&u))
				if turned, err := parseFilter("!"+word, fleetOfTwo(), at); !strings.HasPrefix(word, "!") && err == nil && turned.match(&u, wordsOf(&u)) == one.match(&u, wordsOf(&u)) {
					t.Fatalf("%q and its contrary select the same: %s", word, u.Name)
				}
			}
			if all.match(&u, wordsOf(&u)) != each {
				t.Fatalf("%q: its words do not come together for %s", text, u.Name)
			}
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	var users []vpn.UserInfo
	var words []string
	for i := range 10_000 {
		u := people()[i%15]
		u.Name = fmt.Sprintf("%s-%05d", u.Name, i)
		users, words = append(users, u), append(words, wordsOf(&u))
	}
	for b.Loop() {
		f, err := parseFilter("a is:act quota:<90 !tag:x proto:wg", fleetOfTwo(), at)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for i := range users {
			if f.match(&users[i], words[i]) {
				n++
			}
		}
		if n == 0 {
			b.Fatal("nobody is selected")
		}
	}
}
