// Package storetest is what an [app.Store] promises, as tests: every store
// passes [Run]. It must know nothing of any store in particular.
//
// Beyond the comments of package app it promises that
//
//   - times come back in UTC, to the microsecond, and a time is never mistaken
//     for none;
//   - counts above [vpn.MaxTraffic] are kept as [vpn.MaxTraffic];
//   - what is not text (NUL, bad UTF-8) is refused with kind [vpn.Invalid];
//   - a failure inside an Update, other than that something is not found, fails
//     the Update, even if fn lets it pass;
//   - a closed store fails in every call.
package storetest

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Run runs the suite. open returns a new and empty store, which the suite may
// close, as an [io.Closer]; open sees to it that it is closed in the end.
func Run(t *testing.T, open func(t *testing.T) app.Store) {
	for _, c := range []struct {
		name string
		test func(b *bench)
	}{
		{"identity", identity},

		{"transactions/an error undoes everything", errorUndoes},
		{"transactions/a panic undoes everything", panicUndoes},
		{"transactions/a context that ends undoes everything", contextUndoes},
		{"transactions/a failure cannot be let pass", failureSticks},
		{"transactions/an update sees its own changes", ownChanges},
		{"transactions/updates run alone", updatesRunAlone},
		{"transactions/a view is a snapshot", viewIsSnapshot},
		{"transactions/a view cannot write", viewCannotWrite},
		{"transactions/what is closed fails", closedFails},
		{"transactions/what has ended fails", endedFails},

		{"users/come back as they were put", usersRoundTrip},
		{"users/are found by name and id", usersLookup},
		{"users/are listed by name", usersList},
		{"users/have one name each among the living", usersNames},
		{"users/are used by Record alone", usersUsed},
		{"users/keep extremes", usersExtremes},
		{"users/are text", usersText},

		{"periods/turn for the living", periodsTurn},
		{"periods/set what was used and no grant", periodsSetUsed},
		{"periods/remember resets", periodsResets},
		{"periods/have days", periodsDays},
		{"periods/go with their user", periodsPurged},

		{"servers/come back as they were put", serversRoundTrip},
		{"servers/are found by name and id", serversLookup},
		{"servers/have one name each among the living", serversNames},
		{"servers/have the lowest free slot", serversSlots},

		{"credentials/come back as they were put", credentialsRoundTrip},
		{"credentials/are found as tombstones", credentialsTombstones},
		{"credentials/belong to a user and a server", credentialsBelong},
		{"credentials/have and keep the lowest free slot", credentialsSlots},

		{"revision/grows with changes", revisionGrows},

		{"grants/follow from credential and user", grantsFollow},
		{"grants/change with credential and user", grantsChange},
		{"grants/of a purged past are whole", grantsAfterPurge},
		{"grants/changes lead to the whole", grantsProperty},

		{"purge/forgets old tombstones", purgeForgets},
		{"purge/keeps what was used", purgeKeepsUsage},

		{"usage/is counted once", usageOnce},
		{"usage/of an ended epoch is over", usageEnded},
		{"usage/of tombstones counts", usageOfTombstones},
		{"usage/of others' credentials is ignored", usageOfOthers},
		{"usage/stops at the highest count", usageSaturates},
		{"usage/quotas are the living users'", usageQuotas},
		{"usage/adds up", usageProperty},

		{"history/adds up in every step", historySteps},
		{"history/rolls up and keeps every byte", historyRolls},
		{"history/of who is gone is nobody's", historyPurged},
		{"history/adds up", historyProperty},
		{"history/knows how many were connected", historyConnections},

		{"events/come back the newest first", eventsList},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(&bench{T: t, store: open(t)})
		})
	}
}

// bench is a store under test and what the tests put into it.
type bench struct {
	*testing.T
	store app.Store
}

// day is a moment that every store can keep.
var day = time.UnixMicro(1772600767891011).UTC() //nolint:gochecknoglobals // a constant that Go has no word for

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) update(fn func(tx app.Tx) error) {
	b.Helper()
	b.check(b.store.Update(b.Context(), fn))
}

func (b *bench) view(fn func(tx app.Tx) error) {
	b.Helper()
	b.check(b.store.View(b.Context(), fn))
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if !reflect.DeepEqual(got, want) {
		b.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func (b *bench) kind(what string, err error, want vpn.Kind) {
	b.Helper()
	if err == nil || vpn.KindOf(err) != want {
		b.Errorf("%s: got %v (%s), want an error of kind %s", what, err, vpn.KindOf(err), want)
	}
}

func (b *bench) close() {
	b.Helper()
	c, ok := b.store.(io.Closer)
	if !ok {
		b.Fatalf("a %T cannot be closed", b.store)
	}
	b.check(c.Close())
}

// newUser returns a user that is not stored yet.
func newUser(name string) vpn.User {
	return vpn.User{ID: vpn.UserID(vpn.NewID()), Name: name, Enabled: true, CreatedAt: day, UpdatedAt: day}
}

func newServer(name string) vpn.Server {
	return vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: name, Protocol: "vless", Runtime: "process", CreatedAt: day, UpdatedAt: day}
}

func newCredential(u vpn.User, s vpn.Server) vpn.Credential {
	id := vpn.NewID()
	return vpn.Credential{
		ID: vpn.CredentialID(id), User: u.ID, Server: s.ID, Secret: vpn.NewSecret("secret of " + id), CreatedAt: day,
	}
}

// access stores a user, a server and a credential for the one on the other.
func (b *bench) access(user, server string) (vpn.User, vpn.Server, vpn.Credential) {
	b.Helper()
	u, s := newUser(user), newServer(server)
	c := newCredential(u, s)
	b.update(func(tx app.Tx) (err error) {
		if s, err = tx.Servers.Put(s); err != nil {
			return err
		}
		return errors.Join(tx.Users.Put(u), tx.Credentials.Put(c))
	})
	return u, s, c
}

func (b *bench) put(c vpn.Credential) {
	b.Helper()
	b.update(func(tx app.Tx) error { return tx.Credentials.Put(c) })
}

func (b *bench) putUser(u vpn.User) {
	b.Helper()
	b.update(func(tx app.Tx) error { return tx.Users.Put(u) })
}

func (b *bench) putServer(s vpn.Server) vpn.Server {
	b.Helper()
	b.update(func(tx app.Tx) (err error) {
		s, err = tx.Servers.Put(s)
		return err
	})
	return s
}

func (b *bench) user(id vpn.UserID) (u vpn.User) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		u, err = tx.Users.Get(id)
		return err
	})
	return u
}

func (b *bench) revision() (r uint64) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		r, err = tx.Revision()
		return err
	})
	return r
}

func (b *bench) grants(s vpn.ServerID, since uint64) (g app.GrantChanges) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		g, err = tx.Credentials.Grants(s, since)
		return err
	})
	return g
}

func (b *bench) record(s vpn.ServerID, epoch string, cs ...vpn.Counter) {
	b.Helper()
	b.update(func(tx app.Tx) error { return tx.Usage.Record(s, epoch, cs, day) })
}

func counter(c vpn.Credential, up, down uint64) vpn.Counter {
	return vpn.Counter{Credential: c.ID, User: c.User, Traffic: vpn.Traffic{Up: up, Down: down}}
}

func names(us []vpn.User) []string {
	var out []string
	for _, u := range us {
		out = append(out, u.Name)
	}
	return out
}

// try runs fn in an Update that always fails, and returns what fn came to.
func (b *bench) try(fn func(tx app.Tx) error) (err error) {
	b.Helper()
	undo := errors.New("undo")
	if got := b.store.Update(b.Context(), func(tx app.Tx) error { err = fn(tx); return undo }); !errors.Is(got, undo) {
		b.Errorf("Update: got %v, want the error of fn", got)
	}
	return err
}

func identity(b *bench) {
	if b.store.ID() == "" || b.store.Generation() == "" {
		b.Errorf("id %q, generation %q: neither may be empty", b.store.ID(), b.store.Generation())
	}
	if b.store.ID() == b.store.Generation() {
		b.Error("id and generation are the same")
	}
}

// canceled returns a context that is over.
func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
