package storetest

import (
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func (b *bench) credentials(u vpn.UserID, s vpn.ServerID) (ofUser, ofServer []vpn.Credential) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		if ofUser, err = tx.Credentials.ForUser(u); err != nil {
			return err
		}
		ofServer, err = tx.Credentials.ForServer(s)
		return err
	})
	return ofUser, ofServer
}

func credentialsRoundTrip(b *bench) {
	u, s, first := b.access("alice", "main")
	second := vpn.Credential{
		ID: "second", User: u.ID, Server: s.ID, Label: "téléphone", Secret: vpn.NewSecret("\x00\xff binary"), Slot: 1,
		NotBefore: day, NotAfter: day.Add(time.Hour), CreatedAt: day.Add(time.Minute),
	}
	b.put(second)
	ofUser, ofServer := b.credentials(u.ID, s.ID)
	b.equal("a user's credentials", ofUser, []vpn.Credential{first, second})
	b.equal("a server's credentials", ofServer, []vpn.Credential{first, second})

	second.Label, second.Secret, second.NotBefore = "", vpn.NewSecret("another"), time.Time{}
	b.put(second)
	first.DeletedAt = day
	b.put(first)
	ofUser, ofServer = b.credentials(u.ID, s.ID)
	b.equal("a user's living credentials", ofUser, []vpn.Credential{second})
	b.equal("a server's living credentials", ofServer, []vpn.Credential{second})

	ofUser, ofServer = b.credentials("nobody", "nothing")
	b.equal("credentials of nobody and nothing", len(ofUser)+len(ofServer), 0)
}

func credentialsTombstones(b *bench) {
	u, s, living := b.access("alice", "main")
	_, gone, onGone := b.access("bob", "gone")
	tombstones := func(id vpn.UserID) (cs []vpn.Credential) {
		b.view(func(tx app.Tx) (err error) {
			cs, err = tx.Credentials.Tombstones(id)
			return err
		})
		return cs
	}
	b.equal("tombstones of the living", len(tombstones(u.ID)), 0)
	early, late := newCredential(u, s), newCredential(u, s)
	early.Slot, late.Slot = 2, 1
	early.CreatedAt, late.CreatedAt = day, day.Add(time.Hour)
	early.DeletedAt, late.DeletedAt = day.Add(2*time.Hour), day.Add(3*time.Hour)
	b.put(late)
	b.put(early)
	b.equal("tombstones", tombstones(u.ID), []vpn.Credential{early, late})
	of, _ := b.credentials(u.ID, s.ID)
	b.equal("the living beside them", of, []vpn.Credential{living})

	revision := b.revision()
	late.DeletedAt = time.Time{}
	b.put(late)
	b.equal("tombstones after one is back", tombstones(u.ID), []vpn.Credential{early})
	g := b.grants(s.ID, revision)
	if len(g.Upsert) != 1 || g.Upsert[0].Credential != late.ID || len(g.Remove) != 0 || g.Whole {
		b.Errorf("the grant of a credential that is back: %+v", g)
	}

	onGone.DeletedAt = day
	b.put(onGone)
	gone.DeletedAt = day
	b.putServer(gone)
	b.equal("tombstones on a server that is gone", len(tombstones(onGone.User)), 0)
}

func credentialsSlots(b *bench) {
	u, s, first := b.access("alice", "main")
	_, other, _ := b.access("bob", "other")
	slots := func(id vpn.ServerID) (out []app.Slot) {
		b.view(func(tx app.Tx) (err error) {
			out, err = tx.Credentials.Slots(id)
			return err
		})
		return out
	}
	add := func(from uint32) vpn.Credential {
		c := newCredential(u, s)
		c.Slot = from
		b.put(c)
		return c
	}
	second := add(0)
	add(7)
	add(7)
	add(0)
	b.equal("slots", slots(s.ID), []app.Slot{{Number: 0, Lives: true}, {Number: 1, Lives: true}, {Number: 2, Lives: true}, {Number: 7, Lives: true}, {Number: 8, Lives: true}})
	b.equal("slots of another server", slots(other.ID), []app.Slot{{Number: 0, Lives: true}})

	second.DeletedAt = day
	b.put(second)
	b.equal("a tombstone keeps its slot", slots(s.ID)[1], app.Slot{Number: 1})
	add(1)
	b.equal("a slot that is kept is not given away", slots(s.ID)[3], app.Slot{Number: 3, Lives: true})
	second.DeletedAt, second.Slot = time.Time{}, 99
	b.put(second)
	b.equal("the slot after undo", slots(s.ID)[1], app.Slot{Number: 1, Lives: true})

	first.DeletedAt = day
	b.put(first)
	b.update(func(tx app.Tx) error { return tx.Credentials.Purge(day.Add(time.Hour)) })
	add(0)
	b.equal("a slot that was given up", slots(s.ID)[0], app.Slot{Number: 0, Lives: true})
	for _, c := range b.grants(s.ID, 0).Upsert {
		if c.Credential == second.ID {
			b.equal("the slot in a grant", c.Slot, uint32(1))
		}
	}
}

func credentialsBelong(b *bench) {
	u, s, c := b.access("alice", "main")
	_, other, _ := b.access("bob", "other")
	for what, bad := range map[string]vpn.Credential{
		"of no user":   {ID: "x", User: "nobody", Server: s.ID},
		"of no server": {ID: "x", User: u.ID, Server: "nothing"},
	} {
		b.kind("a credential "+what, b.try(func(tx app.Tx) error { return tx.Credentials.Put(bad) }), vpn.NotFound)
	}
	c.Server = other.ID
	b.kind("a credential that moves", b.try(func(tx app.Tx) error { return tx.Credentials.Put(c) }), vpn.Conflict)
}

func revisionGrows(b *bench) {
	last := b.revision()
	grows := func(what string, fn func(tx app.Tx) error) {
		b.Helper()
		var inside uint64
		b.update(func(tx app.Tx) (err error) {
			if err = fn(tx); err != nil {
				return err
			}
			inside, err = tx.Revision()
			return err
		})
		now := b.revision()
		if now <= last || now != inside {
			b.Errorf("%s: revision was %d, is %d, %d inside", what, last, now, inside)
		}
		last = now
	}
	stays := func(what string, fn func(tx app.Tx) error) {
		b.Helper()
		b.update(fn)
		if now := b.revision(); now != last {
			b.Errorf("%s: revision was %d, is %d", what, last, now)
		}
	}
	u, s := newUser("alice"), newServer("main")
	c := newCredential(u, s)
	grows("a user", func(tx app.Tx) error { return tx.Users.Put(u) })
	grows("a server", func(tx app.Tx) error { _, err := tx.Servers.Put(s); return err })
	grows("a credential", func(tx app.Tx) error { return tx.Credentials.Put(c) })
	stays("nothing", func(app.Tx) error { return nil })
	stays("traffic", func(tx app.Tx) error { return tx.Usage.Record(s.ID, "epoch", []vpn.Counter{counter(c, 1, 1)}, day) })
	stays("an event", func(tx app.Tx) error { return tx.Events.Add(vpn.Event{At: day}) })
	_ = b.try(func(tx app.Tx) error { return tx.Users.Put(newUser("bob")) })
	stays("what was undone", func(app.Tx) error { return nil })
	u.DeletedAt = day
	grows("a deletion", func(tx app.Tx) error { return tx.Users.Put(u) })
}
