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
		ID: "second", User: u.ID, Server: s.ID, Label: "téléphone", Secret: vpn.NewSecret("\x00\xff binary"),
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
	stays("traffic", func(tx app.Tx) error { return tx.Usage.Record(s.ID, "epoch", []vpn.Counter{counter(c, 1, 1)}) })
	stays("an event", func(tx app.Tx) error { return tx.Events.Add(vpn.Event{At: day}) })
	_ = b.try(func(tx app.Tx) error { return tx.Users.Put(newUser("bob")) })
	stays("what was undone", func(app.Tx) error { return nil })
	u.DeletedAt = day
	grows("a deletion", func(tx app.Tx) error { return tx.Users.Put(u) })
}
