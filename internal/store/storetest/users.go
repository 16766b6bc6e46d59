package storetest

import (
	"math"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func usersRoundTrip(b *bench) {
	zone := time.FixedZone("", 3600)
	u := vpn.User{
		ID: "abcdefgh23456722", Name: "alice@example.org", Enabled: true,
		Limits: vpn.Limits{
			Quota: 1, Period: vpn.Period{Every: vpn.Weekly, ResetsOn: "tue", TimeZone: "Asia/Tokyo"}, Throttle: 6,
			RateUp: 2, RateDown: 3, Devices: 4, Connections: 5,
		},
		ExpiresAt: day.In(zone), CreatedAt: day.Add(time.Hour + 999*time.Nanosecond), UpdatedAt: day.Add(2 * time.Hour),
		DeletedAt: day.Add(3 * time.Hour), AllowedServers: []vpn.ServerID{"second", "first"},
		Hold:      vpn.Hold{ValidFor: 86400, HeldSince: day.Add(4 * time.Hour), FirstUsedAt: day.Add(5 * time.Hour)},
		UsedSince: day.Add(6 * time.Hour), ResetsAt: day.Add(7 * time.Hour), TurnsAt: day.Add(8 * time.Hour),
		Tags: []string{"family", "paid"}, Email: "alice@example.org", Note: "'; DROP TABLE users; -- ünï",
	}
	b.putUser(u)
	want := u
	want.ExpiresAt = day
	want.CreatedAt = day.Add(time.Hour)
	b.equal("a user", b.user(u.ID), want)

	changed := vpn.User{ID: u.ID, Name: "bob"}
	b.putUser(changed)
	b.equal("a user put again", b.user(u.ID), changed)
	changed.AllowedServers = []vpn.ServerID{} // not every one: none
	b.putUser(changed)
	b.equal("a user of no server", b.user(u.ID), changed)
}

func usersLookup(b *bench) {
	alice := newUser("alice")
	b.putUser(alice)
	b.view(func(tx app.Tx) error {
		got, err := tx.Users.ByName("alice")
		b.check(err)
		b.equal("by name", got, alice)
		_, err = tx.Users.ByName("Alice")
		b.kind("by a name in other case", err, vpn.NotFound)
		_, err = tx.Users.ByName("")
		b.kind("by no name", err, vpn.NotFound)
		_, err = tx.Users.Get("nobody")
		b.kind("by an unknown id", err, vpn.NotFound)
		return nil
	})
	b.kind("SetUsed of an unknown user", b.try(func(tx app.Tx) error { return tx.Periods.SetUsed(vpn.User{ID: "nobody"}) }), vpn.NotFound)

	alice.DeletedAt = day
	b.putUser(alice)
	b.equal("a tombstone by id", b.user(alice.ID), alice)
	b.kind("a tombstone by name", b.try(func(tx app.Tx) error { _, err := tx.Users.ByName("alice"); return err }), vpn.NotFound)
}

func usersList(b *bench) {
	for _, name := range []string{"b", "a", "b-2", "10", "9", "a.a", "a_a", "a@a", "aa"} {
		b.putUser(newUser(name))
	}
	gone := newUser("aaa")
	gone.DeletedAt = day
	b.putUser(gone)
	list := func(f vpn.UserFilter) (us []vpn.User) {
		b.view(func(tx app.Tx) (err error) {
			us, err = tx.Users.List(f)
			return err
		})
		return us
	}
	b.equal("the living", names(list(vpn.UserFilter{})), strings.Fields("10 9 a a.a a@a a_a aa b b-2"))
	b.equal("all", names(list(vpn.UserFilter{Deleted: true})), strings.Fields("10 9 a a.a a@a a_a aa aaa b b-2"))

	full := newUser("full")
	full.Limits = vpn.Limits{Quota: 5, Throttle: 6}
	full.ExpiresAt, full.Hold = day, vpn.Hold{ValidFor: 7, HeldSince: day, FirstUsedAt: day.Add(time.Hour)}
	b.putUser(full)
	for _, f := range []vpn.UserFilter{{}, {Deleted: true}} {
		var want, got []vpn.User
		for _, u := range list(f) {
			want = append(want, vpn.User{
				ID: u.ID, Name: u.Name, Enabled: u.Enabled, ExpiresAt: u.ExpiresAt, Hold: u.Hold, Used: u.Used,
				Limits:    vpn.Limits{Quota: u.Limits.Quota, Throttle: u.Limits.Throttle},
				CreatedAt: u.CreatedAt, DeletedAt: u.DeletedAt,
			})
		}
		b.view(func(tx app.Tx) (err error) {
			got, err = tx.Users.Brief(f)
			return err
		})
		b.equal("in brief", got, want)
	}
}

func usersNames(b *bench) {
	first, second, other := newUser("alice"), newUser("alice"), newUser("bob")
	b.putUser(first)
	b.putUser(other)
	err := b.try(func(tx app.Tx) error { return tx.Users.Put(second) })
	b.kind("a second user of one name", err, vpn.Conflict)
	if err != nil && !strings.Contains(err.Error(), `user "alice" already exists`) {
		b.Errorf("a second user of one name: %v", err)
	}
	other.Name = "alice"
	b.kind("a user renamed to a taken name", b.try(func(tx app.Tx) error { return tx.Users.Put(other) }), vpn.Conflict)

	first.DeletedAt = day
	b.putUser(first)
	b.putUser(second)
	b.equal("who has the name now", b.user(second.ID).Name, "alice")
	first.DeletedAt = time.Time{}
	b.kind("undo when the name is taken", b.try(func(tx app.Tx) error { return tx.Users.Put(first) }), vpn.Conflict)
	first.Name = "alice-2"
	b.putUser(first)
	second.DeletedAt = day
	b.putUser(second)
	other.DeletedAt = day
	b.putUser(other) // two tombstones of one name
}

func usersUsed(b *bench) {
	u, s, c := b.access("alice", "main")
	u.Used = vpn.Traffic{Up: 99, Down: 99}
	b.putUser(u)
	b.equal("used, after Put alone", b.user(u.ID).Used, vpn.Traffic{})
	b.record(s.ID, "epoch", counter(c, 5, 7))
	u.Used = vpn.Traffic{}
	b.putUser(u)
	b.equal("used, after Record and Put", b.user(u.ID).Used, vpn.Traffic{Up: 5, Down: 7})
	b.update(func(tx app.Tx) error { return tx.Periods.SetUsed(vpn.User{ID: u.ID}) })
	b.equal("used, after a reset", b.user(u.ID).Used, vpn.Traffic{})
	b.record(s.ID, "epoch", counter(c, 6, 9))
	b.equal("used since the reset", b.user(u.ID).Used, vpn.Traffic{Up: 1, Down: 2})
}

func usersExtremes(b *bench) {
	u := newUser("alice")
	u.Limits = vpn.Limits{
		Quota: math.MaxUint64, RateUp: math.MaxUint64, RateDown: vpn.MaxTraffic, Devices: math.MaxInt32, Connections: math.MaxInt32,
	}
	u.ExpiresAt = time.Unix(0, 0) // the past, and not never
	u.UpdatedAt = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
	u.CreatedAt = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	b.putUser(u)
	got := b.user(u.ID)
	b.equal("limits", got.Limits, vpn.Limits{
		Quota: vpn.MaxTraffic, RateUp: vpn.MaxTraffic, RateDown: vpn.MaxTraffic, Devices: math.MaxInt32, Connections: math.MaxInt32,
	})
	if got.ExpiresAt.IsZero() || got.ExpiresAt.Sub(u.ExpiresAt).Abs() > time.Microsecond {
		b.Errorf("the end at the beginning of 1970 is now %v", got.ExpiresAt)
	}
	b.equal("times", []time.Time{got.CreatedAt, got.UpdatedAt}, []time.Time{u.CreatedAt, u.UpdatedAt})
}

func usersText(b *bench) {
	for _, name := range []string{"a\x00b", "a\xffb", "\xed\xa0\x80"} {
		b.kind("Put of a user with a bad name", b.try(func(tx app.Tx) error { return tx.Users.Put(newUser(name)) }), vpn.Invalid)
		if err := b.try(func(tx app.Tx) error { _, err := tx.Users.ByName(name); return err }); err == nil {
			b.Errorf("ByName(%q): no error", name)
		}
	}
	odd := newUser(`'; DROP TABLE users; -- " $1 %s ?`)
	b.putUser(odd)
	b.equal("an odd name", b.user(odd.ID), odd)
}
