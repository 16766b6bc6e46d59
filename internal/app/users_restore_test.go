package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func (b *bench) do(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	_, err := b.app.Users.Delete(b.ctx, name)
	b.do("delete "+name, err)
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		return e.Hint
	}
	return ""
}

func TestARestoredUserIsWhoItWas(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main := b.server("main")
	b.server("gone")
	id := b.user("alice", vpn.Limits{Quota: 1000, Devices: 2})
	w := b.workers.worker(main)
	w.move(id, 300)
	before := b.links("alice")
	had := map[vpn.CredentialID]vpn.Grant{}
	w.see(func(w *fakeWorker) {
		for c, g := range w.grants {
			had[c] = g
		}
	})

	b.remove("alice")
	w.see(func(w *fakeWorker) {
		if len(w.grants) != 0 {
			t.Errorf("a deleted user is granted %v", w.grants)
		}
	})
	_, err := b.app.Servers.Delete(b.ctx, "gone")
	b.do("delete a server", err)
	b.server("new")
	deleted, err := b.app.Users.Deleted(b.ctx)
	b.do("list the deleted", err)
	if len(deleted) != 1 || deleted[0].ID != id || deleted[0].Status != vpn.Deleted {
		t.Errorf("deleted are %+v", deleted)
	}

	c, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	b.do("restore", err)
	if c.User.ID != id || c.User.Limits != (vpn.Limits{Quota: 1000, Devices: 2}) || c.User.Status != vpn.Active || !c.Synced {
		t.Errorf("restored: %+v", c)
	}
	after := b.links("alice")
	if after["main"] != before["main"] {
		t.Errorf("the link was %s and is %s", before["main"], after["main"])
	}
	if len(after) != 2 || after["new"] == "" {
		t.Errorf("links after: %v", after)
	}
	w.see(func(w *fakeWorker) {
		if len(w.grants) != len(had) {
			t.Errorf("granted were %v, are %v", had, w.grants)
		}
		for c, g := range w.grants {
			if !had[c].Secret.Equal(g.Secret) || g.User != id {
				t.Errorf("grant %+v was %+v", g, had[c])
			}
		}
	})
	// What was used before, and what a worker told late, still counts.
	if used := b.used("alice"); used != 300 {
		t.Errorf("used %d", used)
	}
	left := w.move(id, 5000)
	b.until("the rest of the quota is used up", func() bool {
		left += w.move(id, 5000)
		return left >= 700
	})
	if left != 700 {
		t.Errorf("%d bytes of 700 passed", left)
	}
	if deleted, err := b.app.Users.Deleted(b.ctx); err != nil || len(deleted) != 0 {
		t.Errorf("still deleted: %v, %v", deleted, err)
	}
}

func TestARestoreNeedsAFreeName(t *testing.T) {
	b := newBench(t)
	b.server("main")
	first := b.user("alice", vpn.Limits{Quota: 1})
	b.remove("alice")
	second := b.user("alice", vpn.Limits{Quota: 2})

	_, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	if vpn.KindOf(err) != vpn.Conflict || !strings.Contains(hintOf(err), "vpn users restore alice --as NEWNAME") {
		t.Errorf("a taken name: %v, hint %q", err, hintOf(err))
	}
	if _, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{As: "No Name"}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a bad name: %v", err)
	}
	c, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{As: "alice.old"})
	if err != nil || c.User.ID != first || c.User.Name != "alice.old" || len(c.Access) != 1 {
		t.Errorf("restored: %+v, %v", c, err)
	}
	if d, err := b.app.Users.Show(b.ctx, "alice"); err != nil || d.ID != second {
		t.Errorf("the other alice is %+v, %v", d, err)
	}

	// Of two of one name the last deleted is meant; the ID names the other.
	b.remove("alice")
	third := b.user("alice", vpn.Limits{})
	b.remove("alice")
	c, err = b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	if err != nil || c.User.ID != third {
		t.Errorf("restored: %+v, %v", c.User, err)
	}
	c, err = b.app.Users.Restore(b.ctx, string(second), vpn.UserRestore{As: "bob"})
	if err != nil || c.User.ID != second {
		t.Errorf("restored by ID: %+v, %v", c.User, err)
	}
	events, err := b.app.System.Events(b.ctx, 1)
	if err != nil || len(events) != 1 || events[0].Action != "users.restore" || events[0].Subject != "alice" || events[0].Detail != "as bob" {
		t.Errorf("events: %+v, %v", events, err)
	}
}

func TestARestoreHasADay(t *testing.T) {
	b := newBench(t)
	b.user("alice", vpn.Limits{})
	_, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	if vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), "is not deleted") {
		t.Errorf("a living user: %v", err)
	}
	if _, err := b.app.Users.Restore(b.ctx, "nobody", vpn.UserRestore{}); vpn.KindOf(err) != vpn.NotFound || hintOf(err) == "" {
		t.Errorf("nobody: %v", err)
	}
	b.remove("alice")
	for age, want := range map[time.Duration]vpn.Kind{24 * time.Hour: vpn.NotFound, 24*time.Hour - time.Minute: ""} {
		err := b.store.Update(b.ctx, func(tx app.Tx) error {
			all, err := tx.Users.List(vpn.UserFilter{Deleted: true})
			if err != nil {
				return err
			}
			usr := all[slices.IndexFunc(all, func(u vpn.User) bool { return u.Name == "alice" })]
			usr.DeletedAt = time.Now().Add(-age)
			return tx.Users.Put(usr)
		})
		b.do("age", err)
		deleted, err := b.app.Users.Deleted(b.ctx)
		b.do("list", err)
		if (len(deleted) == 0) != (want == vpn.NotFound) {
			t.Errorf("after %v deleted are %v", age, deleted)
		}
		_, err = b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
		if (err == nil) != (want == "") || err != nil && vpn.KindOf(err) != want {
			t.Errorf("after %v: %v", age, err)
		}
		if err == nil {
			b.remove("alice")
		}
	}
}

// What was taken from a user before it was deleted stays taken.
func TestARestoreBringsNoRevokedCredentialBack(t *testing.T) {
	b := newBench(t)
	main := b.server("main")
	id := b.user("alice", vpn.Limits{})
	old := vpn.Credential{
		ID: "old", User: id, Server: main, Secret: vpn.NewSecret("5b3c9a1e-0000-4000-8000-000000000000"),
		CreatedAt: time.Now(), DeletedAt: time.Now().Add(-time.Minute),
	}
	b.do("put", b.store.Update(b.ctx, func(tx app.Tx) error { return tx.Credentials.Put(old) }))
	before := b.links("alice")["main"]
	b.remove("alice")
	c, err := b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	if err != nil || len(c.Access) != 1 || c.Access[0].Link != before {
		t.Errorf("the link was %s; restored: %+v, %v", before, c, err)
	}
}
