package vpn_test

import (
	"strings"
	"testing"

	"vpn/internal/vpn"
)

func TestAbout(t *testing.T) {
	long := strings.Repeat("a", 600)
	for what, c := range map[string]struct {
		valid     func(string) error
		good, bad []string
	}{
		"tag": {
			vpn.ValidTag,
			[]string{"a", "family", "2026-11", "team:dev", "a@b", strings.Repeat("a", 32)},
			[]string{"", "Family", "two words", "-a", "a,b", "a\n", "ünï", "\x1b[31m", strings.Repeat("a", 33), "a'b", "\u202e"},
		},
		"email": {
			vpn.ValidEmail,
			[]string{"", "alice@example.org", "a.b+c@sub.example.org", "o'brien@example.org"},
			[]string{
				"alice", "@example.org", "alice@", "a b@example.org", "Alice <a@example.org>", "a@b@c", ".a@example.org", "a..b@example.org",
				"a@exa mple.org", "a\n@example.org", "a@example.org\n", "ä@example.org", long + "@example.org", "a@" + long, "\"a\"@example.org",
			},
		},
		"note": {
			vpn.ValidNote,
			[]string{"", "paid until May", "Müller's phone: 12 €, <b>'; DROP TABLE users; --", strings.Repeat("ü", 500)},
			[]string{"two\nlines", "tab\t", "\x1b[2J", "a\x00b", "\xff", "right\u202eleft", "zero\u200bwidth", strings.Repeat("ü", 501)},
		},
	} {
		for _, s := range c.good {
			if err := c.valid(s); err != nil {
				t.Errorf("%s %q: %v", what, s, err)
			}
		}
		for _, s := range c.bad {
			err := c.valid(s)
			if err == nil {
				t.Errorf("%s %q is taken", what, s)
				continue
			}
			wantInvalid(t, err)
		}
	}
}

func TestFilterMeets(t *testing.T) {
	u := vpn.User{Name: "alice", Email: "Alice@Example.org", Note: "has a Laptop", Tags: []string{"family", "paid"}}
	for want, filters := range map[bool][]vpn.UserFilter{
		true: {
			{},
			{Status: vpn.Active},
			{Tags: []string{"paid"}},
			{Tags: []string{"paid", "family"}},
			{Search: "LIC"},
			{Search: "example"},
			{Search: "laptop"},
			{Search: "fam"},
			{Status: vpn.Active, Tags: []string{"paid"}, Search: "ali"},
		},
		false: {
			{Status: vpn.OnHold},
			{Tags: []string{"pai"}},
			{Tags: []string{"paid", "trial"}},
			{Search: "bob"},
			{Status: vpn.Active, Search: "bob"},
			{Search: "alice family"},
		},
	} {
		for _, f := range filters {
			if got := f.Meets(u, vpn.Active); got != want {
				t.Errorf("%+v: %t", f, got)
			}
		}
	}
	slow, cut := vpn.User{Limits: vpn.Limits{Quota: 1, Throttle: 1}}, vpn.User{Limits: vpn.Limits{Quota: 1}}
	for _, c := range []struct {
		user           vpn.User
		status, filter vpn.UserStatus
		want           bool
	}{
		{slow, vpn.Limited, vpn.Throttled, true},
		{slow, vpn.Limited, vpn.Limited, true},
		{cut, vpn.Limited, vpn.Throttled, false},
		{cut, vpn.Limited, vpn.Limited, true},
		{slow, vpn.Active, vpn.Throttled, false},
		{slow, vpn.Disabled, vpn.Throttled, false},
	} {
		if got := (vpn.UserFilter{Status: c.filter}).Meets(c.user, c.status); got != c.want {
			t.Errorf("%s of %s: %t", c.filter, c.status, got)
		}
	}
}
