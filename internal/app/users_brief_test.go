package app_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

// A list of which only some fields are looked at is the same in these.
func TestListsInBrief(t *testing.T) {
	b := newBench(t)
	tags := []string{"family"}
	for _, in := range []vpn.NewUser{
		{Name: "alice", Limits: vpn.Limits{Quota: 5, Throttle: 6}, ExpiresAt: time.Now().Add(time.Hour), Tags: tags, Note: "n"},
		{Name: "bob", ValidFor: 60},
		{Name: "carol"},
	} {
		_, err := b.app.Users.Create(b.ctx, in)
		b.do("create", err)
	}
	list := func(f vpn.UserFilter) []vpn.UserInfo {
		t.Helper()
		got, err := b.app.Users.List(b.ctx, f)
		b.do("list", err)
		var each []vpn.UserInfo
		b.do("each", b.app.Users.Each(b.ctx, f, func(u *vpn.UserInfo) error {
			each = append(each, *u)
			return nil
		}))
		if d := cmp.Diff(got, each, cmp.AllowUnexported(vpn.UserInfo{})); d != "" {
			t.Errorf("one by one (-whole +each):\n%s", d)
		}
		return got
	}
	whole := list(vpn.UserFilter{})
	brief := list(vpn.UserFilter{Fields: []string{"name", "status", "limits.quota", "expires_at", "valid_for", "used"}})
	for i, u := range whole {
		got := brief[i]
		want := [...]any{u.Name, u.Status, u.Limits.Quota, u.ExpiresAt, u.Hold, u.Used}
		if d := cmp.Diff(want, [...]any{got.Name, got.Status, got.Limits.Quota, got.ExpiresAt, got.Hold, got.Used}); d != "" || got.Note != "" {
			t.Errorf("%s, note %q: %s", u.Name, got.Note, d)
		}
	}
	// What is looked at, or looked for, is there.
	if got := list(vpn.UserFilter{Fields: []string{"name", "note"}}); got[0].Note != "n" {
		t.Errorf("got %+v", got[0])
	}
	for _, f := range []vpn.UserFilter{{Fields: []string{"name"}, Tags: tags}, {Fields: []string{"name"}, Search: "FAMI"}} {
		if got := list(f); len(got) != 1 || got[0].Name != "alice" {
			t.Errorf("%+v: got %+v", f, got)
		}
	}
}
