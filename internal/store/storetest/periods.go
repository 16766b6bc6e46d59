package storetest

import (
	"strconv"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func (b *bench) due(now time.Time) (us []vpn.User) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		us, err = tx.Periods.Due(now)
		return err
	})
	return us
}

func (b *bench) next() (t time.Time) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		t, err = tx.Periods.Next()
		return err
	})
	return t
}

func periodsTurn(b *bench) {
	b.equal("nobody's turn", b.next(), time.Time{})
	b.putUser(newUser("never"))
	b.equal("nobody's turn, of one", b.next(), time.Time{})
	late, early := newUser("late"), newUser("early")
	late.TurnsAt, early.TurnsAt = day.Add(2*time.Hour), day
	b.putUser(late)
	b.putUser(early)
	b.equal("the next turn", b.next(), day)
	b.equal("due before", len(b.due(day.Add(-time.Microsecond))), 0)
	b.equal("due then", b.due(day), []vpn.User{early})
	b.equal("due after both", len(b.due(day.Add(3*time.Hour))), 2)
	early.TurnsAt = day.Add(time.Hour)
	b.update(func(tx app.Tx) error { return tx.Periods.SetUsed(early) })
	b.equal("the next turn, moved on", b.next(), day.Add(time.Hour))
	early.DeletedAt = day
	b.putUser(early)
	b.equal("the next turn, without the deleted", b.next(), late.TurnsAt)
	b.equal("due, without the deleted", b.due(day.Add(24*time.Hour)), []vpn.User{late})
}

func periodsSetUsed(b *bench) {
	u, s, c := b.access("alice", "main")
	b.record(s.ID, "epoch", counter(c, 5, 7))
	since := b.revision()
	u.Name, u.Enabled, u.Note = "bob", false, "not this"
	u.Used, u.UsedSince = vpn.Traffic{Up: 1, Down: vpn.MaxTraffic + 5}, day.Add(time.Hour)
	u.ResetsAt, u.TurnsAt = day.Add(2*time.Hour), day.Add(3*time.Hour)
	b.update(func(tx app.Tx) error { return tx.Periods.SetUsed(u) })
	got := b.user(u.ID)
	b.equal("used", got.Used, vpn.Traffic{Up: 1, Down: vpn.MaxTraffic})
	b.equal("times", []time.Time{got.UsedSince, got.ResetsAt, got.TurnsAt}, []time.Time{u.UsedSince, u.ResetsAt, u.TurnsAt})
	if got.Name != "alice" || !got.Enabled || got.Note != "" {
		b.Errorf("more was set: %+v", got)
	}
	b.equal("the revision", b.revision(), since)
	b.record(s.ID, "epoch", counter(c, 6, 7))
	b.equal("used by the next byte", b.user(u.ID).Used.Up, uint64(2))
	b.equal("ever", b.byUser(u.ID)[s.ID], vpn.Traffic{Up: 6, Down: 7})
}

func periodsResets(b *bench) {
	u, other := newUser("alice"), newUser("bob")
	b.putUser(u)
	b.putUser(other)
	resets := func(id vpn.UserID) (rs []vpn.Reset) {
		b.view(func(tx app.Tx) (err error) {
			rs, err = tx.Periods.Resets(id)
			return err
		})
		return rs
	}
	b.equal("no resets", len(resets(u.ID)), 0)
	first := vpn.Reset{At: day, Actor: "uid 0 (root)", Since: day.Add(-time.Hour), Used: vpn.Traffic{Up: 1, Down: 2}}
	second := vpn.Reset{At: day.Add(-time.Minute), Actor: "system", Since: day} // clocks go back
	for _, r := range []vpn.Reset{first, second} {
		b.update(func(tx app.Tx) error { return tx.Periods.AddReset(u.ID, r) })
	}
	b.equal("resets", resets(u.ID), []vpn.Reset{second, first})
	b.equal("another's resets", len(resets(other.ID)), 0)
	b.update(func(tx app.Tx) error {
		for i := range 150 {
			if err := tx.Periods.AddReset(u.ID, vpn.Reset{At: day, Actor: strconv.Itoa(i)}); err != nil {
				return err
			}
		}
		return tx.Periods.AddReset(other.ID, first)
	})
	kept := resets(u.ID)
	if len(kept) != 100 || kept[0].Actor != "149" || kept[99].Actor != "50" {
		b.Errorf("%d resets are kept, of which the newest is %+v", len(kept), kept[0])
	}
	b.equal("another's resets, beside many", resets(other.ID), []vpn.Reset{first})
	b.kind("a reset of nobody", b.try(func(tx app.Tx) error { return tx.Periods.AddReset("nobody", first) }), vpn.NotFound)
}

func (b *bench) days(id vpn.UserID) (ds []app.Day) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		ds, err = tx.Periods.Days(id)
		return err
	})
	return ds
}

func periodsDays(b *bench) {
	u, other := newUser("alice"), newUser("bob")
	b.putUser(u)
	b.putUser(other)
	add := func(id vpn.UserID, at time.Time, up, down uint64) {
		b.update(func(tx app.Tx) error {
			return tx.Periods.AddDay(id, app.Day{Leaves: at, Used: vpn.Traffic{Up: up, Down: down}})
		})
	}
	add(u.ID, day.Add(time.Hour), 3, 4)
	add(u.ID, day, 1, 2)
	add(u.ID, day, 10, vpn.MaxTraffic)
	add(other.ID, day, 7, 7)
	b.equal("days", b.days(u.ID), []app.Day{
		{Leaves: day, Used: vpn.Traffic{Up: 11, Down: vpn.MaxTraffic}}, {Leaves: day.Add(time.Hour), Used: vpn.Traffic{Up: 3, Down: 4}},
	})
	b.update(func(tx app.Tx) error { return tx.Periods.DropDays(u.ID, day) })
	b.equal("days that have not left", b.days(u.ID), []app.Day{{Leaves: day.Add(time.Hour), Used: vpn.Traffic{Up: 3, Down: 4}}})
	b.equal("another's days", len(b.days(other.ID)), 1)
	b.kind("a day of nobody", b.try(func(tx app.Tx) error { return tx.Periods.AddDay("nobody", app.Day{Leaves: day}) }), vpn.NotFound)
}

func periodsPurged(b *bench) {
	u, other := newUser("alice"), newUser("bob")
	b.putUser(other)
	u.DeletedAt = day
	b.putUser(u)
	for _, id := range []vpn.UserID{u.ID, other.ID} {
		b.update(func(tx app.Tx) error {
			if err := tx.Periods.AddReset(id, vpn.Reset{At: day}); err != nil {
				return err
			}
			return tx.Periods.AddDay(id, app.Day{Leaves: day})
		})
	}
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	b.kind("a purged user", b.try(func(tx app.Tx) error { _, err := tx.Users.Get(u.ID); return err }), vpn.NotFound)
	b.equal("days of a purged user", len(b.days(u.ID)), 0)
	b.equal("days of another", len(b.days(other.ID)), 1)
}
