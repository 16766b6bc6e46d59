package storetest

import (
	"time"

	"pgregory.net/rapid"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func (b *bench) history(q app.HistoryRange) (out []app.Moved) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		out, err = tx.History.List(q)
		return err
	})
	return out
}

func (b *bench) recordAt(at time.Time, s vpn.ServerID, cs ...vpn.Counter) {
	b.Helper()
	b.update(func(tx app.Tx) error { return tx.Usage.Record(s, "epoch", cs, at) })
}

func (b *bench) roll(now time.Time) {
	b.Helper()
	b.update(func(tx app.Tx) error { return tx.History.Roll(now) })
}

// noon is the beginning of an hour that is not a day's first.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that Go has no word for

func historySteps(b *bench) {
	alice, main, c := b.access("alice", "main")
	bob, other, d := b.access("bob", "other")
	if got := b.history(app.HistoryRange{Until: noon.AddDate(1, 0, 0)}); len(got) != 0 {
		b.Errorf("of nothing: %+v", got)
	}
	b.recordAt(noon, main.ID, counter(c, 1, 10))
	b.recordAt(noon.Add(4*time.Minute), main.ID, counter(c, 2, 20))
	b.recordAt(noon.Add(4*time.Minute), main.ID, counter(c, 2, 20)) // the same again
	b.recordAt(noon.Add(5*time.Minute), main.ID, counter(c, 3, 30))
	b.recordAt(noon.Add(time.Hour), other.ID, counter(d, 100, 0))

	hour := noon.Add(time.Hour)
	moved := func(at time.Time, user vpn.UserID, server vpn.ServerID, up, down uint64) app.Moved {
		return app.Moved{At: at, User: user, Server: server, Traffic: vpn.Traffic{Up: up, Down: down}}
	}
	all := app.HistoryRange{Since: noon, Until: noon.Add(2 * time.Hour)}
	for _, c := range []struct {
		what string
		ask  func(*app.HistoryRange)
		want []app.Moved
	}{
		{"all of it", func(*app.HistoryRange) {}, []app.Moved{moved(noon, "", "", 103, 30)}},
		{"five minutes", func(q *app.HistoryRange) { q.Step = 5 * time.Minute }, []app.Moved{
			moved(noon, "", "", 2, 20), moved(noon.Add(5*time.Minute), "", "", 1, 10), moved(hour, "", "", 100, 0),
		}},
		{"hours", func(q *app.HistoryRange) { q.Step = time.Hour }, []app.Moved{moved(noon, "", "", 3, 30), moved(hour, "", "", 100, 0)}},
		{"days", func(q *app.HistoryRange) { q.Step = 24 * time.Hour }, []app.Moved{moved(noon.Add(-12*time.Hour), "", "", 103, 30)}},
		{"by user", func(q *app.HistoryRange) { q.ByUser, q.Step = true, time.Hour }, []app.Moved{
			moved(noon, alice.ID, "", 3, 30), moved(hour, bob.ID, "", 100, 0),
		}},
		{"by server", func(q *app.HistoryRange) { q.ByServer, q.Step = true, time.Hour }, []app.Moved{
			moved(noon, "", main.ID, 3, 30), moved(hour, "", other.ID, 100, 0),
		}},
		{"of a user", func(q *app.HistoryRange) { q.User = alice.ID }, []app.Moved{moved(noon, "", "", 3, 30)}},
		{"of a server", func(q *app.HistoryRange) { q.Server = other.ID }, []app.Moved{moved(noon, "", "", 100, 0)}},
		{"of a user elsewhere", func(q *app.HistoryRange) { q.User, q.Server = alice.ID, other.ID }, nil},
		{"until an hour", func(q *app.HistoryRange) { q.Until = hour }, []app.Moved{moved(noon, "", "", 3, 30)}},
		{"from within a step", func(q *app.HistoryRange) { q.Since, q.Step = noon.Add(7*time.Minute), 5*time.Minute }, []app.Moved{
			moved(noon.Add(5*time.Minute), "", "", 1, 10), moved(hour, "", "", 100, 0),
		}},
	} {
		q := all
		c.ask(&q)
		got := b.history(q)
		if len(got) == 0 && len(c.want) == 0 {
			continue
		}
		b.equal(c.what, got, c.want)
	}
}

func historyRolls(b *bench) {
	_, s, c := b.access("alice", "main")
	b.recordAt(noon, s.ID, counter(c, 1, 1))
	b.recordAt(noon.Add(30*time.Minute), s.ID, counter(c, 2, 2))
	b.recordAt(noon.Add(5*time.Hour), s.ID, counter(c, 4, 4))
	fine := app.HistoryRange{Since: noon.AddDate(0, 0, -1), Until: noon.AddDate(0, 0, 1), Step: 5 * time.Minute}
	count := func(what string, want int) {
		b.Helper()
		if got := b.history(fine); len(got) != want {
			b.Errorf("%s there are %d steps, want %d: %+v", what, len(got), want, got)
		}
		all := b.history(app.HistoryRange{Since: fine.Since, Until: fine.Until})
		if want > 0 && (len(all) != 1 || all[0].Traffic != vpn.Traffic{Up: 4, Down: 4}) {
			b.Errorf("%s the sum is %+v", what, all)
		}
	}
	count("at first", 3)
	b.roll(noon.Add(24 * time.Hour))
	count("after a day", 3)
	b.roll(noon.Add(3 * 24 * time.Hour))
	count("after three days", 2)
	b.roll(noon.Add(3 * 24 * time.Hour))
	count("and once more", 2)
	b.recordAt(noon, s.ID, counter(c, 4, 4)) // nothing
	b.roll(noon.AddDate(0, 3, 0))
	count("after three months", 1)
	b.roll(noon.AddDate(4, 0, 0))
	count("after four years", 0)
}

func historyPurged(b *bench) {
	alice, s, c := b.access("alice", "main")
	bob, _, _ := b.access("bob", "other")
	d := newCredential(bob, s)
	b.put(d)
	b.recordAt(noon, s.ID, counter(c, 1, 1), counter(d, 10, 10))
	for _, u := range []vpn.User{alice, bob} {
		u.DeletedAt = day
		b.putUser(u)
	}
	all := app.HistoryRange{Since: noon, Until: noon.Add(time.Hour), ByUser: true}
	if got := b.history(all); len(got) != 2 {
		b.Errorf("of tombstones: %+v", got)
	}
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	b.equal("of who is gone", b.history(all), []app.Moved{{At: noon, Traffic: vpn.Traffic{Up: 11, Down: 11}}})

	s.DeletedAt = day
	b.putServer(s)
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	if got := b.history(all); len(got) != 0 {
		b.Errorf("of a server that is gone: %+v", got)
	}
}

// Whatever was recorded when, and however often it was rolled up, the history
// adds up to what was used, in every step.
func historyProperty(b *bench) {
	u, s, c := b.access("alice", "main")
	var sent vpn.Traffic
	now := noon
	rapid.Check(b.T, func(t *rapid.T) {
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour)
			if rapid.Bool().Draw(t, "roll") {
				b.roll(now)
			}
			sent = sent.Add(vpn.Traffic{Up: rapid.Uint64Range(0, 1<<40).Draw(t, "up"), Down: rapid.Uint64Range(0, 9).Draw(t, "down")})
			b.recordAt(now, s.ID, counter(c, sent.Up, sent.Down))
		}
		if now.After(noon.AddDate(2, 0, 0)) {
			return // by then some of it is forgotten
		}
		for _, step := range []time.Duration{0, 5 * time.Minute, time.Hour, 24 * time.Hour} {
			var sum vpn.Traffic
			for _, m := range b.history(app.HistoryRange{Since: noon.AddDate(0, 0, -2), Until: now.Add(time.Hour), Step: step}) {
				sum = sum.Add(m.Traffic)
			}
			if used := b.user(u.ID).Used; sum != sent || used != sent {
				t.Fatalf("in steps of %v it is %+v, used %+v, sent %+v", step, sum, used, sent)
			}
		}
	})
}

// What was seen of connections is added up as traffic is, in every step, and
// it is known for how long somebody looked.
func historyConnections(b *bench) {
	alice, main, c := b.access("alice", "main")
	bob, other, _ := b.access("bob", "other")
	watch := func(at time.Time, seconds int64, connected map[app.Connected]int64) {
		b.Helper()
		b.update(func(tx app.Tx) error {
			return tx.History.Watch(app.Watched{At: at, Seconds: seconds, Connected: connected})
		})
	}
	a, o := app.Connected{User: alice.ID, Server: main.ID}, app.Connected{User: bob.ID, Server: other.ID}
	watch(noon.Add(time.Minute), 60, map[app.Connected]int64{a: 120, o: 30, {User: "stranger", Server: main.ID}: 7})
	watch(noon.Add(2*time.Minute), 60, map[app.Connected]int64{a: 60})
	b.recordAt(noon.Add(2*time.Minute), main.ID, counter(c, 1, 2))
	watch(noon.Add(10*time.Minute), 300, nil) // nobody was connected
	watch(noon.Add(time.Hour), 100, map[app.Connected]int64{o: 50})

	watched := func(q app.HistoryRange) (out []app.Watched) {
		b.Helper()
		b.view(func(tx app.Tx) (err error) {
			out, err = tx.History.Watched(q)
			return err
		})
		return out
	}
	hour := noon.Add(time.Hour)
	q := app.HistoryRange{Since: noon, Until: noon.Add(2 * time.Hour), Step: 5 * time.Minute}
	b.equal("five minutes", watched(q), []app.Watched{{At: noon, Seconds: 120}, {At: noon.Add(10 * time.Minute), Seconds: 300}, {At: hour, Seconds: 100}})
	q.User = alice.ID
	b.equal("of alice", b.history(q), []app.Moved{{At: noon, Traffic: vpn.Traffic{Up: 1, Down: 2}, Connected: 180}})
	q.User = bob.ID
	b.equal("of bob", b.history(q), []app.Moved{{At: noon, Connected: 30}, {At: hour, Connected: 50}})
	q.User = ""
	// Rolled up it is the same, twice too.
	for range 2 {
		b.roll(noon.Add(3 * 24 * time.Hour))
		q.Step = time.Hour
		b.equal("hours", watched(q), []app.Watched{{At: noon, Seconds: 420}, {At: hour, Seconds: 100}})
		q.User = bob.ID
		b.equal("of a user", b.history(q), []app.Moved{{At: noon, Connected: 30}, {At: hour, Connected: 50}})
		q.User = ""
	}
	b.roll(noon.AddDate(0, 3, 0))
	q = app.HistoryRange{Since: noon.AddDate(0, 0, -1), Until: noon.AddDate(0, 0, 1)}
	b.equal("all of it", watched(q), []app.Watched{{At: q.Since, Seconds: 520}})
	// Who is gone is nobody, and was there all the same.
	bob.DeletedAt = day
	b.putUser(bob)
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	b.equal("of all", b.history(q), []app.Moved{{At: q.Since, Traffic: vpn.Traffic{Up: 1, Down: 2}, Connected: 260}})
	q.Server = other.ID
	b.equal("over a server", b.history(q), []app.Moved{{At: q.Since, Connected: 80}})
	b.roll(noon.AddDate(4, 0, 0))
	if got := watched(q); len(got) != 0 {
		b.Errorf("after four years: %+v", got)
	}
}
