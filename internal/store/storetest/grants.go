package storetest

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func grantsFollow(b *bench) {
	u, s, c := b.access("alice", "main")
	_, _, _ = b.access("bob", "other")
	var never time.Time
	for _, test := range []struct {
		name                   string
		expires, notAfter, end time.Time
	}{
		{"neither ends", never, never, never},
		{"the user ends", day, never, day},
		{"the credential ends", never, day, day},
		{"the user ends first", day, day.Add(1), day},
		{"the credential ends first", day.Add(time.Hour), day, day},
	} {
		u.ExpiresAt, c.NotAfter, c.NotBefore = test.expires, test.notAfter, day.Add(-time.Hour)
		u.Limits = vpn.Limits{Throttle: 5, RateUp: 1, RateDown: 2, Devices: 3, Connections: 4}
		u.Hold = vpn.Hold{ValidFor: 6, HeldSince: day.Add(time.Minute)}
		b.putUser(u)
		b.put(c)
		want := vpn.Grant{
			Credential: c.ID, User: u.ID, Name: u.Name, Secret: c.Secret, Slot: c.Slot, NotBefore: c.NotBefore, NotAfter: test.end,
			Hold: u.Hold, Throttle: 5, RateUp: 1, RateDown: 2, Devices: 3, Connections: 4,
		}
		b.equal(test.name, b.grants(s.ID, 0), app.GrantChanges{Upsert: []vpn.Grant{want}, Whole: true})
	}
	u.Limits.Quota = 1
	b.putUser(u)
	if g := b.grants(s.ID, 0).Upsert[0]; !g.Capped || g.Blocked {
		b.Errorf("a user with a quota: %+v", g)
	}
	u.Limits.Quota, u.Enabled = 0, false
	b.putUser(u)
	if g := b.grants(s.ID, 0).Upsert[0]; g.Capped || !g.Blocked {
		b.Errorf("a disabled user: %+v", g)
	}
	u.Enabled = true
	for _, allowed := range [][]vpn.ServerID{nil, {"another", s.ID}, {"another"}, {}} {
		u.AllowedServers = allowed
		b.putUser(u)
		if g := b.grants(s.ID, 0).Upsert[0]; g.Blocked == u.MayUse(s.ID) {
			b.Errorf("a user of the servers %v: %+v", allowed, g)
		}
	}
	b.kind("grants of no server", b.try(func(tx app.Tx) error { _, err := tx.Credentials.Grants("nothing", 0); return err }), vpn.NotFound)
}

func grantsChange(b *bench) {
	u, s, c := b.access("alice", "main")
	other, _, _ := b.access("bob", "other")
	since := b.revision()
	none := func(what string) {
		b.Helper()
		g := b.grants(s.ID, since)
		if g.Whole || len(g.Upsert)+len(g.Remove) > 0 {
			b.Errorf("%s: %+v", what, g)
		}
	}
	none("nothing has changed")
	other.Enabled = false
	b.putUser(other)
	none("another user has changed")
	b.record(s.ID, "epoch", counter(c, 1, 1))
	b.update(func(tx app.Tx) error { return tx.Periods.SetUsed(vpn.User{ID: u.ID}) })
	none("traffic")

	u.Limits.RateUp, u.Name = 9, "alicia"
	b.putUser(u)
	g := b.grants(s.ID, since)
	if g.Whole || len(g.Remove) > 0 || len(g.Upsert) != 1 || g.Upsert[0].RateUp != 9 || g.Upsert[0].Name != "alicia" {
		b.Errorf("a user has changed: %+v", g)
	}
	c.DeletedAt = day
	b.put(c)
	b.equal("a credential is gone", b.grants(s.ID, since).Remove, []vpn.CredentialID{c.ID})
	b.equal("a credential is gone, in all", len(b.grants(s.ID, 0).Upsert), 0)
	c.DeletedAt = time.Time{}
	b.put(c)
	b.equal("a credential is back", len(b.grants(s.ID, since).Upsert), 1)
	since = b.revision()
	u.DeletedAt = day
	b.putUser(u)
	b.equal("a user is gone", b.grants(s.ID, since).Remove, []vpn.CredentialID{c.ID})

	if g := b.grants(s.ID, b.revision()+1); !g.Whole {
		b.Errorf("since a revision that is yet to come: %+v", g)
	}
}

func grantsAfterPurge(b *bench) {
	u, s, c := b.access("alice", "main")
	stay := newCredential(u, s)
	b.put(stay)
	before := b.revision()
	c.DeletedAt = day
	b.put(c)
	after := b.revision()
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(1)) })
	b.equal("with the tombstone not old enough", b.grants(s.ID, before).Remove, []vpn.CredentialID{c.ID})

	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	g := b.grants(s.ID, before)
	if !g.Whole || len(g.Upsert) != 1 || g.Upsert[0].Credential != stay.ID {
		b.Errorf("since before a purged tombstone: %+v", g)
	}
	if g := b.grants(s.ID, after); g.Whole || len(g.Upsert)+len(g.Remove) > 0 {
		b.Errorf("since the purged tombstone: %+v", g)
	}
}

// known is what somebody who follows a server's changes knows.
type known map[vpn.CredentialID]vpn.Grant

func (k known) follow(g app.GrantChanges) known {
	if g.Whole {
		k = known{}
	}
	k = maps.Clone(k)
	for _, id := range g.Remove {
		delete(k, id)
	}
	for _, x := range g.Upsert {
		k[x.Credential] = x
	}
	return k
}

// population is what grantsProperty has put into the store.
type population struct {
	users       map[vpn.UserID]vpn.User
	credentials map[vpn.CredentialID]vpn.Credential
	servers     []vpn.Server
}

// grants is what a server must grant.
func (p population) grants(s vpn.ServerID) known {
	k := known{}
	for _, c := range p.credentials {
		u := p.users[c.User]
		if c.Server != s || !c.DeletedAt.IsZero() || !u.DeletedAt.IsZero() {
			continue
		}
		end := c.NotAfter
		if end.IsZero() || !u.ExpiresAt.IsZero() && u.ExpiresAt.Before(end) {
			end = u.ExpiresAt
		}
		k[c.ID] = vpn.Grant{
			Credential: c.ID, User: u.ID, Name: u.Name, Secret: c.Secret, Slot: c.Slot, NotBefore: c.NotBefore, NotAfter: end,
			Hold: u.Hold, Blocked: !u.Enabled || !u.MayUse(s), Capped: u.Limits.Quota > 0, RateUp: u.Limits.RateUp,
		}
	}
	return k
}

// Whoever knows the grants of any revision and follows the changes since then
// knows the grants of now.
func grantsProperty(b *bench) {
	rapid.Check(b.T, func(t *rapid.T) {
		p := population{users: map[vpn.UserID]vpn.User{}, credentials: map[vpn.CredentialID]vpn.Credential{}}
		for range 2 {
			p.servers = append(p.servers, b.putServer(newServer(vpn.NewID())))
		}
		type moment struct {
			revision uint64
			known    [2]known
		}
		var past []moment
		for range rapid.IntRange(1, 8).Draw(t, "updates") {
			b.update(func(tx app.Tx) error {
				for range rapid.IntRange(1, 3).Draw(t, "steps") {
					if err := p.step(t, tx); err != nil {
						return err
					}
				}
				return nil
			})
			now := moment{revision: b.revision()}
			for i, s := range p.servers {
				now.known[i] = known{}.follow(b.grants(s.ID, 0))
				if want := p.grants(s.ID); !reflect.DeepEqual(now.known[i], want) {
					t.Fatalf("grants of server %d:\n got %+v\nwant %+v", i, now.known[i], want)
				}
			}
			past = append(past, now)
		}
		now := past[len(past)-1]
		for _, then := range past {
			for i, s := range p.servers {
				got := then.known[i].follow(b.grants(s.ID, then.revision))
				if !reflect.DeepEqual(got, now.known[i]) {
					t.Fatalf("server %d, from revision %d to %d:\n got %+v\nwant %+v", i, then.revision, now.revision, got, now.known[i])
				}
			}
		}
	})
}

// step changes one thing, in the store and in the population.
func (p population) step(t *rapid.T, tx app.Tx) error {
	users := slices.Sorted(maps.Keys(p.users))
	credentials := slices.Sorted(maps.Keys(p.credentials))
	what := "new user"
	if len(users) > 0 {
		what = rapid.SampledFrom([]string{
			"new user", "change user", "bury user", "new credential", "new credential", "change credential", "bury credential", "purge",
		}).Draw(t, "step")
	}
	end := func() time.Time {
		return rapid.SampledFrom([]time.Time{{}, day, day.Add(time.Hour)}).Draw(t, "time")
	}
	switch what {
	case "new user":
		u := newUser(vpn.NewID())
		p.users[u.ID] = u
		return tx.Users.Put(u)
	case "change user", "bury user":
		u := p.users[rapid.SampledFrom(users).Draw(t, "user")]
		if what == "bury user" {
			u.DeletedAt = rapid.SampledFrom([]time.Time{{}, day}).Draw(t, "deleted")
		} else {
			u.Enabled = rapid.Bool().Draw(t, "enabled")
			u.Limits.Quota = rapid.Uint64Range(0, 1).Draw(t, "quota")
			u.Limits.RateUp = rapid.Uint64Range(0, 3).Draw(t, "rate")
			u.ExpiresAt = end()
			u.AllowedServers = rapid.SampledFrom([][]vpn.ServerID{nil, {}, {p.servers[0].ID}, {"gone", p.servers[1].ID}}).Draw(t, "servers")
			u.FirstUsedAt = end()
		}
		p.users[u.ID] = u
		return tx.Users.Put(u)
	case "new credential":
		c := newCredential(p.users[rapid.SampledFrom(users).Draw(t, "user")], rapid.SampledFrom(p.servers).Draw(t, "server"))
		for slices.ContainsFunc(slices.Collect(maps.Values(p.credentials)), func(o vpn.Credential) bool {
			return o.Server == c.Server && o.Slot == c.Slot
		}) {
			c.Slot++
		}
		p.credentials[c.ID] = c
		asked := c
		asked.Slot = 0
		return tx.Credentials.Put(asked)
	case "purge":
		for _, id := range users {
			if !p.users[id].DeletedAt.IsZero() {
				delete(p.users, id)
			}
		}
		for _, id := range credentials {
			c := p.credentials[id]
			if _, ok := p.users[c.User]; !ok || !c.DeletedAt.IsZero() && c.DeletedAt.Before(day.Add(time.Hour)) {
				delete(p.credentials, id)
			} else if c.DeletedAt.IsZero() && !c.NotAfter.IsZero() && c.NotAfter.Before(day.Add(time.Hour)) {
				c.DeletedAt = day.Add(time.Hour) // it has ended by itself
				p.credentials[id] = c
			}
		}
		return tx.Credentials.Purge(day.Add(time.Hour))
	}
	if len(credentials) == 0 {
		return nil
	}
	c := p.credentials[rapid.SampledFrom(credentials).Draw(t, "credential")]
	if what == "bury credential" {
		c.DeletedAt = rapid.SampledFrom([]time.Time{{}, day}).Draw(t, "deleted")
	} else {
		c.NotAfter = end()
	}
	p.credentials[c.ID] = c
	return tx.Credentials.Put(c)
}
