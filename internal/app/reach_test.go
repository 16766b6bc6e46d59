package app_test

import (
	"errors"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// TestSyncedIsAboutThoseConcerned: a server that has failed makes a change
// partly done if the change concerns it, and no other change.
func TestSyncedIsAboutThoseConcerned(t *testing.T) {
	b := newBench(t)
	b.supervise()
	b.server("main")
	b.user("zoe", vpn.Limits{})
	b.workers.mu.Lock()
	b.workers.fail = errors.New("no room")
	b.workers.mu.Unlock()
	c, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "broken", Settings: []byte(`{"target":"self"}`)})
	if err != nil || c.Synced {
		t.Fatalf("a server that cannot start: %+v, %v", c, err)
	}
	only := &[]string{"main"}
	for _, step := range []struct {
		what   string
		change func() (vpn.UserChange, error)
		synced bool
	}{
		{"a user of both", func() (vpn.UserChange, error) { return b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob"}) }, false},
		{"a user of the other", func() (vpn.UserChange, error) {
			return b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Servers: only})
		}, true},
		{"her limit", func() (vpn.UserChange, error) {
			return b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Quota: new(uint64(1e9))})
		}, true},
		{"her keys", func() (vpn.UserChange, error) { return b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{}) }, true},
		{"her device", func() (vpn.UserChange, error) { return b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "phone"}) }, true},
		{"her usage", func() (vpn.UserChange, error) { return b.app.Users.Reset(b.ctx, "alice") }, true},
		{"her end", func() (vpn.UserChange, error) { return b.app.Users.Delete(b.ctx, "alice") }, true},
		{"her return", func() (vpn.UserChange, error) { return b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{}) }, true},
		{"what is written about bob", func() (vpn.UserChange, error) {
			return b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Note: new("pays late"), AddTags: []string{"late"}})
		}, true},
		{"bob's limit", func() (vpn.UserChange, error) {
			return b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Devices: new(3)})
		}, false},
		{"bob's keys to the other", func() (vpn.UserChange, error) {
			return b.app.Devices.Rotate(b.ctx, "bob", vpn.Rotation{Server: "main"})
		}, true},
		{"bob loses the broken one", func() (vpn.UserChange, error) {
			return b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Servers: only})
		}, false},
		{"bob on the other alone", func() (vpn.UserChange, error) {
			return b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Devices: new(4)})
		}, true},
		{"zoe, who was there before", func() (vpn.UserChange, error) { return b.app.Users.Delete(b.ctx, "zoe") }, false},
	} {
		if got, err := step.change(); err != nil || got.Synced != step.synced {
			t.Errorf("%s: synced %v, %v; want %v", step.what, got.Synced, err, step.synced)
		}
	}
	if c, err := b.app.Servers.Update(b.ctx, "main", vpn.ServerPatch{PublicHost: new("vpn.example.org")}); err != nil || !c.Synced {
		t.Errorf("a server that runs: synced %v, %v", c.Synced, err)
	}
	if c, err := b.app.Servers.Stop(b.ctx, "broken"); err != nil || !c.Synced {
		t.Errorf("one that is not meant to run any more: synced %v, %v", c.Synced, err)
	}
}

// TestNobodyWaitsForAServerThatIsNotConcerned: one that hangs does not hold up
// what is none of its business.
func TestNobodyWaitsForAServerThatIsNotConcerned(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		stuck := b.server("stuck")
		b.server("fine")
		hang := make(chan struct{})
		b.workers.worker(stuck).see(func(w *fakeWorker) { w.hang = hang })
		defer close(hang)
		if c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob"}); err != nil || c.Synced {
			b.t.Errorf("a user of the one that hangs: synced %v, %v", c.Synced, err)
		}
		begun := time.Now()
		c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Servers: &[]string{"fine"}})
		if err != nil || !c.Synced || time.Since(begun) > time.Second {
			b.t.Errorf("synced %v after %s, %v", c.Synced, time.Since(begun), err)
		}
	})
}

// TestChangesCountWhatTheyEnd: a change, and its dry run before, say how many
// connections end by it, and count no others.
func TestChangesCountWhatTheyEnd(t *testing.T) {
	for _, c := range []struct {
		what string
		want int
		try  func(*bench, *app.App) (int, error)
	}{
		{"a user who is disabled", 3, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Enabled: new(false)})
		})},
		{"a user who is deleted", 3, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) { return a.Users.Delete(b.ctx, "alice") })},
		{"one server of two", 1, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Servers: &[]string{"main"}})
		})},
		{"a quota that is used up", 3, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Quota: new(uint64(1))})
		})},
		{"one beyond which it is slow", 0, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Quota: new(uint64(1)), Throttle: new(uint64(1e6))})
		})},
		{"a higher limit", 0, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Connections: new(100)})
		})},
		{"a note", 0, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Users.Update(b.ctx, "alice", vpn.UserPatch{Note: new("x")})
		})},
		{"somebody who was kept out", 0, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) { return a.Users.Delete(b.ctx, "out") })},
		{"a device", 1, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Devices.Remove(b.ctx, "alice", "phone")
		})},
		{"keys that are kept", 0, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Devices.Rotate(b.ctx, "alice", vpn.Rotation{OldEnds: time.Now().Add(time.Hour)})
		})},
		{"all keys", 3, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Devices.Rotate(b.ctx, "alice", vpn.Rotation{})
		})},
		{"the keys of one server", 2, ofUser(func(b *bench, a *app.App) (vpn.UserChange, error) {
			return a.Devices.Rotate(b.ctx, "alice", vpn.Rotation{Server: "main"})
		})},
		{"a server that is deleted", 3, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) { return a.Servers.Delete(b.ctx, "main") })},
		{"one that is stopped", 3, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) { return a.Servers.Stop(b.ctx, "main") })},
		{"one that is restarted", 3, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) { return a.Servers.Restart(b.ctx, "main") })},
		{"one that begins anew for a port", 3, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) {
			return a.Servers.Update(b.ctx, "main", vpn.ServerPatch{Port: new(uint16(80))})
		})},
		{"one that is moved", 0, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) {
			return a.Servers.Update(b.ctx, "main", vpn.ServerPatch{Port: new(uint16(9000))})
		})},
		{"one that is started", 0, ofServer(func(b *bench, a *app.App) (vpn.ServerChange, error) { return a.Servers.Start(b.ctx, "main") })},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBench(t)
			b.supervise()
			main, second := b.server("main"), b.server("second")
			alice, bob := b.user("alice", vpn.Limits{}), b.user("bob", vpn.Limits{})
			_, err := b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Devices: new(5)})
			b.do("a limit of another", err)
			_, err = b.app.Servers.Update(b.ctx, "main", vpn.ServerPatch{Port: new(uint16(9001))})
			b.do("a port from which one below 1024 takes a new start", err)
			b.user("out", vpn.Limits{})
			_, err = b.app.Users.Update(b.ctx, "out", vpn.UserPatch{Enabled: new(false)})
			b.do("somebody to be out", err)
			_, err = b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "phone", Servers: []string{"main"}})
			b.do("a phone", err)
			for at, users := range map[vpn.ServerID][]vpn.UserID{main: {alice, bob}, second: {alice}} {
				for _, u := range users {
					for _, g := range b.granted(at, u) {
						b.workers.worker(at).connect(g.Credential)
					}
				}
			}
			b.workers.worker(main).move(alice, 1000)
			b.until("her bytes", func() bool { return b.used("alice") == 1000 })
			if dry, err := c.try(b, b.app.DryRun()); err != nil || dry != c.want {
				t.Errorf("the dry run counts %d, %v; want %d", dry, err, c.want)
			}
			if real, err := c.try(b, b.app); err != nil || real != c.want {
				t.Errorf("it counts %d, %v; want %d", real, err, c.want)
			}
		})
	}
}

func ofUser(try func(*bench, *app.App) (vpn.UserChange, error)) func(*bench, *app.App) (int, error) {
	return func(b *bench, a *app.App) (int, error) {
		c, err := try(b, a)
		return c.Connections, err
	}
}

func ofServer(try func(*bench, *app.App) (vpn.ServerChange, error)) func(*bench, *app.App) (int, error) {
	return func(b *bench, a *app.App) (int, error) {
		c, err := try(b, a)
		return c.Connections, err
	}
}
