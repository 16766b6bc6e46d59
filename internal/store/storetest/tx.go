package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// state is everything that an undone update must leave as it was.
func (b *bench) state() (out []any) {
	b.Helper()
	b.view(func(tx app.Tx) error {
		users, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		b.check(err)
		servers, err := tx.Servers.List()
		b.check(err)
		events, err := tx.Events.List(100)
		b.check(err)
		used, err := tx.Usage.ByServer()
		b.check(err)
		revision, err := tx.Revision()
		b.check(err)
		history, err := tx.History.List(app.HistoryRange{Until: day.AddDate(10, 0, 0), Step: time.Hour, ByUser: true, ByServer: true})
		b.check(err)
		out = []any{users, servers, events, used, history, revision}
		for _, s := range servers {
			grants, err := tx.Credentials.Grants(s.ID, 0)
			b.check(err)
			out = append(out, grants)
		}
		return nil
	})
	return out
}

// change changes something of everything.
func (b *bench) change(tx app.Tx) error {
	u, s := newUser("bob-"+vpn.NewID()), newServer("server-"+vpn.NewID())
	c := newCredential(u, s)
	if _, err := tx.Servers.Put(s); err != nil {
		return err
	}
	for _, err := range []error{
		tx.Users.Put(u),
		tx.Credentials.Put(c),
		tx.Usage.Record(s.ID, "epoch", []vpn.Counter{counter(c, 1, 2)}, day),
		tx.Events.Add(vpn.Event{At: day, Action: "users.create"}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func errorUndoes(b *bench) {
	b.update(b.change)
	before := b.state()
	oops := errors.New("oops")
	err := b.store.Update(b.Context(), func(tx app.Tx) error {
		b.check(b.change(tx))
		return oops
	})
	if !errors.Is(err, oops) {
		b.Errorf("Update: got %v, want the error of fn", err)
	}
	b.equal("after an error", b.state(), before)
	b.update(b.change)
}

func panicUndoes(b *bench) {
	b.update(b.change)
	before := b.state()
	func() {
		defer func() {
			if recover() == nil {
				b.Error("the panic did not come through")
			}
		}()
		_ = b.store.Update(b.Context(), func(tx app.Tx) error {
			b.check(b.change(tx))
			panic("oops")
		})
	}()
	b.equal("after a panic", b.state(), before)
	b.update(b.change)
}

func contextUndoes(b *bench) {
	b.update(b.change)
	before := b.state()
	over := canceled(b.Context())
	ran := false
	for what, err := range map[string]error{
		"Update": b.store.Update(over, func(app.Tx) error { ran = true; return nil }),
		"View":   b.store.View(over, func(app.Tx) error { ran = true; return nil }),
	} {
		if !errors.Is(err, context.Canceled) || ran {
			b.Errorf("%s with a context that is over: got %v, ran: %v", what, err, ran)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	err := b.store.Update(ctx, func(tx app.Tx) error {
		err := b.change(tx)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		b.Errorf("Update whose context ends before its commit: got %v", err)
	}
	b.equal("after the context ended", b.state(), before)
	b.update(b.change)
}

func failureSticks(b *bench) {
	b.putUser(newUser("alice"))
	before := b.state()
	var later []error
	err := b.store.Update(b.Context(), func(tx app.Tx) error {
		_ = tx.Users.Put(newUser("bob"))
		_ = tx.Users.Put(newUser("alice"))
		_, read := tx.Revision()
		later = []error{tx.Users.Put(newUser("carol")), tx.Events.Add(vpn.Event{At: day}), read}
		return nil
	})
	b.kind("Update that lets a conflict pass", err, vpn.Conflict)
	for i, err := range later {
		b.kind(fmt.Sprintf("call %d after a failure", i), err, vpn.Conflict)
	}
	b.equal("after a failure that was let pass", b.state(), before)

	b.update(func(tx app.Tx) error {
		if _, err := tx.Users.ByName("nobody"); vpn.KindOf(err) != vpn.NotFound {
			return err
		}
		return tx.Users.Put(newUser("nobody")) // not found is an answer, no failure
	})
}

func ownChanges(b *bench) {
	u, s := newUser("alice"), newServer("main")
	c := newCredential(u, s)
	b.update(func(tx app.Tx) (err error) {
		b.check(tx.Users.Put(u))
		s, err = tx.Servers.Put(s)
		b.check(err)
		b.check(tx.Credentials.Put(c))
		got, err := tx.Users.ByName("alice")
		b.check(err)
		b.equal("its own user", got, u)
		creds, err := tx.Credentials.ForUser(u.ID)
		b.check(err)
		b.equal("its own credential", creds, []vpn.Credential{c})
		b.check(tx.Usage.Record(s.ID, "epoch", []vpn.Counter{counter(c, 1, 2)}, day))
		marks, err := tx.Usage.Marks("epoch")
		b.check(err)
		b.equal("its own marks", marks, map[vpn.CredentialID]vpn.Traffic{c.ID: {Up: 1, Down: 2}})
		g, err := tx.Credentials.Grants(s.ID, 0)
		b.check(err)
		b.equal("its own grants", len(g.Upsert), 1)
		return nil
	})
}

// Each update reads a number and writes the next: none may be lost.
func updatesRunAlone(b *bench) {
	u := newUser("counter")
	u.Limits.Quota = 1
	b.putUser(u)
	const workers, each = 4, 10
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := b.store.Update(b.Context(), func(tx app.Tx) error {
					u, err := tx.Users.Get(u.ID)
					if err != nil {
						return err
					}
					runtime.Gosched()
					u.Limits.Quota++
					return tx.Users.Put(u)
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.equal("updates that count", b.user(u.ID).Limits.Quota, uint64(1+workers*each))
}

func viewIsSnapshot(b *bench) {
	b.putUser(newUser("alice"))
	b.view(func(tx app.Tx) error {
		before, err := tx.Users.List(vpn.UserFilter{})
		b.check(err)
		revision, err := tx.Revision()
		b.check(err)

		// A view neither waits for an update nor holds one up.
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		defer cancel()
		b.check(b.store.Update(ctx, func(tx app.Tx) error {
			b.check(tx.Users.Put(newUser("bob")))
			return b.store.View(ctx, func(tx app.Tx) error {
				if _, err := tx.Users.ByName("bob"); vpn.KindOf(err) != vpn.NotFound {
					b.Errorf("a view sees what is not committed: %v", err)
				}
				return nil
			})
		}))
		b.check(b.store.View(ctx, func(tx app.Tx) error {
			_, err := tx.Users.ByName("bob")
			return err // one that begins later sees it
		}))

		after, err := tx.Users.List(vpn.UserFilter{})
		b.check(err)
		b.equal("the same view later", after, before)
		still, err := tx.Revision()
		b.check(err)
		b.equal("the same view's revision later", still, revision)
		return nil
	})
}

func viewCannotWrite(b *bench) {
	writes := b.writes()
	before := b.state()
	for name, write := range writes {
		err := b.store.View(b.Context(), func(tx app.Tx) error {
			_ = write(tx)
			return nil
		})
		b.kind(name+" in a View", err, vpn.Internal) // its caller is wrong
	}
	b.equal("after views that wrote", b.state(), before)
}

// writes and reads are every method of every small store. The arguments are
// such that each must reach the store.
func (b *bench) writes() map[string]func(app.Tx) error {
	u, s, c := b.access("u"+strconv.Itoa(b.users()), vpn.NewID())
	b.update(func(tx app.Tx) error { return tx.Events.Add(vpn.Event{At: day}) })
	return map[string]func(app.Tx) error{
		"Users.Put":         func(tx app.Tx) error { return tx.Users.Put(u) },
		"Periods.SetUsed":   func(tx app.Tx) error { return tx.Periods.SetUsed(u) },
		"Periods.AddReset":  func(tx app.Tx) error { return tx.Periods.AddReset(u.ID, vpn.Reset{At: day}) },
		"Periods.AddDay":    func(tx app.Tx) error { return tx.Periods.AddDay(u.ID, app.Day{Leaves: day}) },
		"Periods.DropDays":  func(tx app.Tx) error { return tx.Periods.DropDays(u.ID, day) },
		"Servers.Put":       func(tx app.Tx) error { _, err := tx.Servers.Put(s); return err },
		"Credentials.Put":   func(tx app.Tx) error { return tx.Credentials.Put(c) },
		"Credentials.Purge": func(tx app.Tx) error { return tx.Credentials.Purge(day) },
		"Usage.Record":      func(tx app.Tx) error { return tx.Usage.Record(s.ID, "epoch", []vpn.Counter{counter(c, 1, 1)}, day) },
		"History.Roll":      func(tx app.Tx) error { return tx.History.Roll(day) },
		"Usage.End":         func(tx app.Tx) error { return tx.Usage.End("another epoch", day) },
		"Events.Add":        func(tx app.Tx) error { return tx.Events.Add(vpn.Event{At: day}) },
	}
}

func (b *bench) users() (n int) {
	b.view(func(tx app.Tx) error {
		us, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		n = len(us)
		return err
	})
	return n
}

func (b *bench) reads() map[string]func(app.Tx) error {
	u, s, _ := b.access("u"+strconv.Itoa(b.users()), vpn.NewID())
	return map[string]func(app.Tx) error{
		"Users.Get":              func(tx app.Tx) error { _, err := tx.Users.Get(u.ID); return err },
		"Users.ByName":           func(tx app.Tx) error { _, err := tx.Users.ByName(u.Name); return err },
		"Users.List":             func(tx app.Tx) error { _, err := tx.Users.List(vpn.UserFilter{}); return err },
		"Servers.Get":            func(tx app.Tx) error { _, err := tx.Servers.Get(s.ID); return err },
		"Servers.ByName":         func(tx app.Tx) error { _, err := tx.Servers.ByName(s.Name); return err },
		"Servers.List":           func(tx app.Tx) error { _, err := tx.Servers.List(); return err },
		"Credentials.ForUser":    func(tx app.Tx) error { _, err := tx.Credentials.ForUser(u.ID); return err },
		"Credentials.ForServer":  func(tx app.Tx) error { _, err := tx.Credentials.ForServer(s.ID); return err },
		"Credentials.Tombstones": func(tx app.Tx) error { _, err := tx.Credentials.Tombstones(u.ID); return err },
		"Credentials.Grants":     func(tx app.Tx) error { _, err := tx.Credentials.Grants(s.ID, 0); return err },
		"Usage.Marks":            func(tx app.Tx) error { _, err := tx.Usage.Marks("epoch"); return err },
		"Usage.ByUser":           func(tx app.Tx) error { _, err := tx.Usage.ByUser(u.ID); return err },
		"Usage.ByServer":         func(tx app.Tx) error { _, err := tx.Usage.ByServer(); return err },
		"Usage.Quotas":           func(tx app.Tx) error { _, err := tx.Usage.Quotas(); return err },
		"History.List": func(tx app.Tx) error {
			_, err := tx.History.List(app.HistoryRange{Since: day, Until: day.Add(time.Hour)})
			return err
		},
		"Periods.Due":    func(tx app.Tx) error { _, err := tx.Periods.Due(day); return err },
		"Periods.Next":   func(tx app.Tx) error { _, err := tx.Periods.Next(); return err },
		"Periods.Resets": func(tx app.Tx) error { _, err := tx.Periods.Resets(u.ID); return err },
		"Periods.Days":   func(tx app.Tx) error { _, err := tx.Periods.Days(u.ID); return err },
		"Events.List":    func(tx app.Tx) error { _, err := tx.Events.List(1); return err },
		"Revision":       func(tx app.Tx) error { _, err := tx.Revision(); return err },
	}
}

func closedFails(b *bench) {
	b.update(b.change)
	id, generation := b.store.ID(), b.store.Generation()
	b.close()
	for what, err := range map[string]error{
		"View":   b.store.View(b.Context(), func(app.Tx) error { b.Error("a view ran"); return nil }),
		"Update": b.store.Update(b.Context(), func(app.Tx) error { b.Error("an update ran"); return nil }),
	} {
		b.kind(what+" of a closed store", err, vpn.Unavailable)
	}
	b.equal("the identity of a closed store", []string{b.store.ID(), b.store.Generation()}, []string{id, generation})
}

// No method may swallow the error of a transaction that is no more: by this
// every method shows that it reports what the database says.
func endedFails(b *bench) {
	reads, writes := b.reads(), b.writes()
	var view, update app.Tx
	b.view(func(tx app.Tx) error { view = tx; return nil })
	b.update(func(tx app.Tx) error { update = tx; return nil })
	for name, read := range reads {
		if read(view) == nil || read(update) == nil {
			b.Errorf("%s after the end of its transaction: no error", name)
		}
	}
	for name, write := range writes {
		var ended app.Tx
		b.update(func(tx app.Tx) error { ended = tx; return nil })
		if write(ended) == nil {
			b.Errorf("%s after the end of its transaction: no error", name)
		}
	}
}
