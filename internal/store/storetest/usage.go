package storetest

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func (b *bench) marks(epoch string) (m map[vpn.CredentialID]vpn.Traffic) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		m, err = tx.Usage.Marks(epoch)
		return err
	})
	return m
}

func (b *bench) byUser(id vpn.UserID) (m map[vpn.ServerID]vpn.Traffic) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		m, err = tx.Usage.ByUser(id)
		return err
	})
	return m
}

func (b *bench) byServer(id vpn.ServerID) (t vpn.Traffic) {
	b.Helper()
	b.view(func(tx app.Tx) error {
		m, err := tx.Usage.ByServer()
		t = m[id]
		return err
	})
	return t
}

// used checks everything that Record moves.
func (b *bench) used(what string, u vpn.User, s vpn.Server, want vpn.Traffic) {
	b.Helper()
	b.equal(what+": used", b.user(u.ID).Used, want)
	b.equal(what+": by user", b.byUser(u.ID)[s.ID], want)
	b.equal(what+": by server", b.byServer(s.ID), want)
}

func usageOnce(b *bench) {
	u, s, c := b.access("alice", "main")
	b.used("nothing", u, s, vpn.Traffic{})
	b.record(s.ID, "one", counter(c, 10, 20))
	b.used("the first counter", u, s, vpn.Traffic{Up: 10, Down: 20})
	b.record(s.ID, "one", counter(c, 10, 20))
	b.used("the same again", u, s, vpn.Traffic{Up: 10, Down: 20})
	b.record(s.ID, "one", counter(c, 15, 5), counter(c, 12, 21), counter(c, 15, 21))
	b.used("older and newer together", u, s, vpn.Traffic{Up: 15, Down: 21})
	b.equal("marks", b.marks("one"), map[vpn.CredentialID]vpn.Traffic{c.ID: {Up: 15, Down: 21}})
	b.record(s.ID, "two", counter(c, 1, 1))
	b.used("another epoch", u, s, vpn.Traffic{Up: 16, Down: 22})
	b.record(s.ID, "one", counter(c, 16, 22))
	b.used("the first epoch again", u, s, vpn.Traffic{Up: 17, Down: 23})
	b.record(s.ID, "one")
	b.used("no counters", u, s, vpn.Traffic{Up: 17, Down: 23})
}

func usageEnded(b *bench) {
	u, s, c := b.access("alice", "main")
	b.record(s.ID, "one", counter(c, 10, 20))
	b.record(s.ID, "two", counter(c, 1, 2))
	end := func(epoch string, at time.Time) {
		b.Helper()
		b.update(func(tx app.Tx) error { return tx.Usage.End(epoch, at) })
	}
	end("one", day)
	b.used("at the end", u, s, vpn.Traffic{Up: 11, Down: 22})
	b.equal("marks of an ended epoch", len(b.marks("one")), 0)
	b.equal("marks of the other epoch", len(b.marks("two")), 1)
	b.record(s.ID, "one", counter(c, 100, 200))
	b.used("counters after the end", u, s, vpn.Traffic{Up: 11, Down: 22})
	end("one", day)
	end("never begun", day)
	b.record(s.ID, "never begun", counter(c, 100, 200))
	b.used("counters after an end without a beginning", u, s, vpn.Traffic{Up: 11, Down: 22})
	b.record(s.ID, "two", counter(c, 2, 4))
	end("two", day.Add(6*24*time.Hour))
	b.record(s.ID, "one", counter(c, 100, 200))
	b.used("counters six days after the end", u, s, vpn.Traffic{Up: 12, Down: 24})
}

func usageOfTombstones(b *bench) {
	u, s, c := b.access("alice", "main")
	c.DeletedAt = day
	b.put(c)
	b.record(s.ID, "epoch", counter(c, 1, 1))
	b.used("a deleted credential", u, s, vpn.Traffic{Up: 1, Down: 1})
	u.DeletedAt = day
	b.putUser(u)
	b.record(s.ID, "epoch", counter(c, 2, 2))
	b.used("a deleted user", u, s, vpn.Traffic{Up: 2, Down: 2})
}

func usageOfOthers(b *bench) {
	u, s, c := b.access("alice", "main")
	bob, other, _ := b.access("bob", "other")
	b.record(s.ID, "epoch", vpn.Counter{Credential: "nothing", User: u.ID, Traffic: vpn.Traffic{Up: 1}})
	b.record(other.ID, "epoch", counter(c, 1, 1))
	b.record("nothing", "epoch", counter(c, 1, 1))
	b.used("an unknown credential, or another server's", u, s, vpn.Traffic{})
	b.used("the other server", bob, other, vpn.Traffic{})
	lie := counter(c, 1, 1)
	lie.User = bob.ID
	b.record(s.ID, "epoch", lie)
	b.used("a credential belongs to whom the store says", u, s, vpn.Traffic{Up: 1, Down: 1})
	b.record(other.ID, "epoch", counter(c, 5, 5))
	b.used("another server in the same epoch", u, s, vpn.Traffic{Up: 1, Down: 1})
}

func usageSaturates(b *bench) {
	u, s, c := b.access("alice", "main")
	b.record(s.ID, "one", counter(c, vpn.MaxTraffic-1, 3))
	b.record(s.ID, "two", counter(c, math.MaxUint64, math.MaxUint64))
	b.used("more than there can be", u, s, vpn.Traffic{Up: vpn.MaxTraffic, Down: vpn.MaxTraffic})
	b.equal("the mark", b.marks("two"), map[vpn.CredentialID]vpn.Traffic{c.ID: {Up: vpn.MaxTraffic, Down: vpn.MaxTraffic}})
	for _, epoch := range []string{"one", "two"} {
		b.update(func(tx app.Tx) error { return tx.Usage.End(epoch, day) })
		b.used("at the end of an epoch", u, s, vpn.Traffic{Up: vpn.MaxTraffic, Down: vpn.MaxTraffic})
	}
	b.record(s.ID, "three", counter(c, 1, 1))
	b.used("and one more", u, s, vpn.Traffic{Up: vpn.MaxTraffic, Down: vpn.MaxTraffic})
}

func usageQuotas(b *bench) {
	u, s, c := b.access("alice", "main")
	gone, _, _ := b.access("gone", "other")
	gone.Limits.Quota, gone.DeletedAt = 5, day
	b.putUser(gone)
	quotas := func() (q []app.Quota) {
		b.view(func(tx app.Tx) (err error) {
			q, err = tx.Usage.Quotas()
			return err
		})
		return q
	}
	b.equal("quotas without any", len(quotas()), 0)
	u.Limits.Quota = 100
	b.putUser(u)
	b.record(s.ID, "epoch", counter(c, 30, 60))
	b.equal("quotas", quotas(), []app.Quota{{User: u.ID, Quota: 100, Used: vpn.Traffic{Up: 30, Down: 60}}})
}

func purgeForgets(b *bench) {
	u, s, c := b.access("alice", "main")
	late, _, _ := b.access("late", "other")
	bury := func(at time.Time) {
		u.DeletedAt, s.DeletedAt, c.DeletedAt = at, at, at
		b.put(c)
		b.putUser(u)
		s = b.putServer(s)
	}
	bury(day)
	late.DeletedAt = day.Add(time.Hour)
	b.putUser(late)
	purge := func(t time.Time) {
		b.Helper()
		b.update(func(tx app.Tx) error { return tx.Credentials.Purge(t) })
	}
	purge(day)
	b.equal("a tombstone of that moment", b.user(u.ID), u)
	purge(day.Add(time.Minute))
	b.kind("a purged user", b.try(func(tx app.Tx) error { _, err := tx.Users.Get(u.ID); return err }), vpn.NotFound)
	b.kind("a purged server", b.try(func(tx app.Tx) error { _, err := tx.Servers.Get(s.ID); return err }), vpn.NotFound)
	b.equal("a younger tombstone", b.user(late.ID), late)
	b.equal("the living server's grants", len(b.grants(b.serverNamed("other"), 0).Upsert), 0)

	// A credential does not outlive its user or its server.
	u2, s2, c2 := b.access("alice", "main")
	u2.DeletedAt = day
	b.putUser(u2)
	purge(day.Add(time.Minute))
	_, left := b.credentials(u2.ID, s2.ID)
	b.equal("credentials of a purged user", len(left), 0)
	b.record(s2.ID, "epoch", counter(c2, 1, 1))
	b.equal("the count of a purged credential", b.byServer(s2.ID), vpn.Traffic{})
}

func (b *bench) serverNamed(name string) (id vpn.ServerID) {
	b.Helper()
	b.view(func(tx app.Tx) error {
		s, err := tx.Servers.ByName(name)
		id = s.ID
		return err
	})
	return id
}

func purgeKeepsUsage(b *bench) {
	u, s, c := b.access("alice", "main")
	bob := newUser("bob")
	b.putUser(bob)
	second := newCredential(bob, s)
	b.put(second)
	b.record(s.ID, "epoch", counter(c, 1, 2), counter(second, 10, 20))
	c.DeletedAt = day
	b.put(c)
	purge := func() {
		b.Helper()
		b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Minute)) })
	}
	purge()
	b.equal("used by a purged credential", b.user(u.ID).Used, vpn.Traffic{Up: 1, Down: 2})
	b.equal("by user", b.byUser(u.ID)[s.ID], vpn.Traffic{Up: 1, Down: 2})
	b.record(s.ID, "epoch", counter(c, 5, 5), counter(second, 11, 21))
	b.equal("used by a purged credential later", b.user(u.ID).Used, vpn.Traffic{Up: 1, Down: 2})
	u.DeletedAt = day
	b.putUser(u)
	purge()
	b.equal("by server, with a purged user", b.byServer(s.ID), vpn.Traffic{Up: 12, Down: 23})
	b.equal("by a purged user", len(b.byUser(u.ID)), 0)
}

// tally is what usageProperty expects.
type tally struct {
	users   map[vpn.UserID]vpn.Traffic // since the last reset
	totals  map[vpn.UserID]map[vpn.ServerID]vpn.Traffic
	servers map[vpn.ServerID]vpn.Traffic
	marks   map[string]map[vpn.CredentialID]vpn.Traffic
	ended   map[string]bool
}

func (y *tally) record(epoch string, c vpn.Credential, t vpn.Traffic) {
	if y.ended[epoch] {
		return
	}
	was := y.marks[epoch][c.ID]
	moved := t.Since(was)
	if moved == (vpn.Traffic{}) {
		return
	}
	y.marks[epoch][c.ID] = was.Add(moved)
	y.users[c.User] = y.users[c.User].Add(moved)
	y.totals[c.User][c.Server] = y.totals[c.User][c.Server].Add(moved)
	y.servers[c.Server] = y.servers[c.Server].Add(moved)
}

// Whatever comes in whatever order, each byte is counted once.
func usageProperty(b *bench) {
	rapid.Check(b.T, func(t *rapid.T) {
		y := &tally{
			users: map[vpn.UserID]vpn.Traffic{}, totals: map[vpn.UserID]map[vpn.ServerID]vpn.Traffic{},
			servers: map[vpn.ServerID]vpn.Traffic{}, marks: map[string]map[vpn.CredentialID]vpn.Traffic{}, ended: map[string]bool{},
		}
		run := vpn.NewID()
		var creds []vpn.Credential
		u, s, c := b.access("u"+run, "s"+run)
		u2, s2, c2 := b.access("v"+run, "t"+run)
		creds = append(creds, c, c2)
		for _, more := range []vpn.Credential{newCredential(u, s), newCredential(u, s2), newCredential(u2, s2)} {
			b.put(more)
			creds = append(creds, more)
		}
		for _, id := range []vpn.UserID{u.ID, u2.ID} {
			y.users[id], y.totals[id] = vpn.Traffic{}, map[vpn.ServerID]vpn.Traffic{}
		}
		var epochs []string
		for i := range 4 {
			epochs = append(epochs, fmt.Sprintf("%s-%d", run, i))
			y.marks[epochs[i]] = map[vpn.CredentialID]vpn.Traffic{}
		}
		for range rapid.IntRange(1, 15).Draw(t, "updates") {
			b.update(func(tx app.Tx) error { return y.step(t, tx, epochs, creds) })
		}
		for id, want := range y.users {
			if got := b.user(id).Used; got != want {
				t.Fatalf("used by %s: got %v, want %v", id, got, want)
			}
			if got := b.byUser(id); !reflect.DeepEqual(got, y.totals[id]) {
				t.Fatalf("by user %s: got %v, want %v", id, got, y.totals[id])
			}
		}
		for _, id := range []vpn.ServerID{s.ID, s2.ID} {
			if got := b.byServer(id); got != y.servers[id] {
				t.Fatalf("by server %s: got %v, want %v", id, got, y.servers[id])
			}
		}
		for epoch, want := range y.marks {
			if got := b.marks(epoch); !reflect.DeepEqual(got, want) {
				t.Fatalf("marks of %s: got %v, want %v", epoch, got, want)
			}
		}
	})
}

func (y *tally) step(t *rapid.T, tx app.Tx, epochs []string, creds []vpn.Credential) error {
	i := rapid.IntRange(0, len(epochs)-1).Draw(t, "epoch")
	switch rapid.SampledFrom([]string{"record", "record", "record", "record", "end", "reset"}).Draw(t, "step") {
	case "end":
		y.ended[epochs[i]] = true
		clear(y.marks[epochs[i]])
		return tx.Usage.End(epochs[i], day)
	case "reset":
		id := rapid.SampledFrom(slices.Sorted(maps.Keys(y.users))).Draw(t, "user")
		y.users[id] = vpn.Traffic{}
		return tx.Periods.SetUsed(vpn.User{ID: id})
	}
	// Epochs belong to one server each.
	server := creds[i%2].Server
	var cs []vpn.Counter
	for _, c := range rapid.SliceOfN(rapid.SampledFrom(creds), 0, 5).Draw(t, "credentials") {
		x := counter(c, rapid.Uint64Range(0, 20).Draw(t, "up"), rapid.Uint64Range(0, 20).Draw(t, "down"))
		cs = append(cs, x)
		if c.Server == server {
			y.record(epochs[i], c, x.Traffic)
		}
	}
	return tx.Usage.Record(server, epochs[i], cs, day)
}

func eventsList(b *bench) {
	list := func(limit int) (es []vpn.Event) {
		b.view(func(tx app.Tx) (err error) {
			es, err = tx.Events.List(limit)
			return err
		})
		return es
	}
	b.equal("no events", len(list(10)), 0)
	first := vpn.Event{At: day, Actor: "uid 0 (root)", Action: "users.create", Subject: "alice", Detail: "quota 10GB\nüber"}
	second := vpn.Event{At: day.Add(-time.Hour), Actor: "system"} // clocks go back
	third := vpn.Event{At: day}
	for _, e := range []vpn.Event{first, second, third} {
		b.update(func(tx app.Tx) error { return tx.Events.Add(e) })
	}
	b.equal("events", list(10), []vpn.Event{third, second, first})
	b.equal("the newest two", list(2), []vpn.Event{third, second})
}
