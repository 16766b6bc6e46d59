package app_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// reading are the use cases that change nothing.
var reading = []string{"List", "Each", "Show", "Access", "Logs", "Deleted"}

// TestDryRun tries every change for real on the dry use cases: the answer is
// that of the real run, and neither store nor worker can tell that there was
// one.
func TestDryRun(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	b.user("alice", vpn.Limits{Quota: 1e9})
	b.user("gone", vpn.Limits{})
	if _, err := b.app.Users.Delete(b.ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "laptop"}); err != nil {
		t.Fatal(err)
	}
	b.until("a worker", func() bool { return b.workers.worker(id) != nil })
	dry := b.app.DryRun()

	changes := map[string]map[string]func(context.Context) (any, error){
		"Users": {
			"Create": func(ctx context.Context) (any, error) {
				return dry.Users.Create(ctx, vpn.NewUser{Name: "bob", Limits: vpn.Limits{Devices: 2}})
			},
			"Update": func(ctx context.Context) (any, error) {
				return dry.Users.Update(ctx, "alice", vpn.UserPatch{Quota: new(uint64(5)), Name: new("al")})
			},
			"Delete": func(ctx context.Context) (any, error) { return dry.Users.Delete(ctx, "alice") },
			"Kick":   func(ctx context.Context) (any, error) { return dry.Users.Kick(ctx, "alice") },
			"Reset":  func(ctx context.Context) (any, error) { return dry.Users.Reset(ctx, "alice") },
			"Restore": func(ctx context.Context) (any, error) {
				return dry.Users.Restore(ctx, "gone", vpn.UserRestore{As: "back"})
			},
		},
		"Devices": {
			"Add": func(ctx context.Context) (any, error) {
				return dry.Devices.Add(ctx, "alice", vpn.NewDevice{Name: "phone"})
			},
			"Remove": func(ctx context.Context) (any, error) { return dry.Devices.Remove(ctx, "alice", "laptop") },
			"Rotate": func(ctx context.Context) (any, error) { return dry.Devices.Rotate(ctx, "alice", vpn.Rotation{}) },
		},
		"Servers": {
			"Create": func(ctx context.Context) (any, error) {
				return dry.Servers.Create(ctx, vpn.NewServer{Name: "two", Settings: []byte(`{"target":"self"}`)})
			},
			"Update": func(ctx context.Context) (any, error) {
				return dry.Servers.Update(ctx, "main", vpn.ServerPatch{Name: new("paris"), Port: new(uint16(9000))})
			},
			"Start":   func(ctx context.Context) (any, error) { return dry.Servers.Start(ctx, "main") },
			"Stop":    func(ctx context.Context) (any, error) { return dry.Servers.Stop(ctx, "main") },
			"Restart": func(ctx context.Context) (any, error) { return dry.Servers.Restart(ctx, "main") },
			"Delete":  func(ctx context.Context) (any, error) { return dry.Servers.Delete(ctx, "main") },
		},
	}
	for noun, of := range map[string]reflect.Type{
		"Users": reflect.TypeOf(dry.Users), "Devices": reflect.TypeOf(dry.Devices), "Servers": reflect.TypeOf(dry.Servers),
	} {
		for m := range of.Methods() {
			if changes[noun][m.Name] == nil && !slices.Contains(reading, m.Name) {
				t.Errorf("%s.%s is not tried here: does a dry run of it change something?", noun, m.Name)
			}
		}
	}
	before := b.everything(id)
	for noun, verbs := range changes {
		for verb, try := range verbs {
			got, err := try(b.ctx)
			if err != nil {
				t.Errorf("%s.%s: %v", noun, verb, err)
			}
			if !reflect.ValueOf(got).FieldByName("DryRun").Bool() {
				t.Errorf("%s.%s does not say that it was none: %+v", noun, verb, got)
			}
			if after := b.everything(id); after != before {
				t.Fatalf("%s.%s changed something: before\n%s\nafter\n%s", noun, verb, before, after)
			}
		}
	}
}

// TestDryRunAnswers: what would be, and no secret that looks like a real one.
func TestDryRunAnswers(t *testing.T) {
	b := newBench(t)
	b.supervise()
	b.server("main")
	dry := b.app.DryRun()
	c, err := dry.Users.Create(b.ctx, vpn.NewUser{Name: "bob"})
	if err != nil || c.User.Name != "bob" || c.User.Status != vpn.Active || !c.Synced {
		t.Errorf("got %+v, %v", c, err)
	}
	if len(c.Access) != 1 || !reflect.DeepEqual(c.Access[0], vpn.Access{Server: "main", Protocol: "vless"}) {
		t.Errorf("got %+v", c.Access)
	}
	s, err := dry.Servers.Stop(b.ctx, "main")
	if err != nil || s.Server.State != vpn.Stopped || s.Server.Enabled {
		t.Errorf("got %+v, %v", s, err)
	}
}

// TestDryRunRefuses: what the real run would refuse, for the same reason.
func TestDryRunRefuses(t *testing.T) {
	b := newBench(t)
	b.server("main")
	b.user("alice", vpn.Limits{})
	b.user("bob", vpn.Limits{})
	for name, try := range map[string]func(*app.App) error{
		"a name that is taken": func(a *app.App) error { _, err := a.Users.Create(b.ctx, vpn.NewUser{Name: "alice"}); return err },
		"a bad name":           func(a *app.App) error { _, err := a.Users.Create(b.ctx, vpn.NewUser{Name: "A"}); return err },
		"a new name that is taken": func(a *app.App) error {
			_, err := a.Users.Update(b.ctx, "bob", vpn.UserPatch{Name: new("alice")})
			return err
		},
		"nobody":            func(a *app.App) error { _, err := a.Users.Delete(b.ctx, "nobody"); return err },
		"nobody to kick":    func(a *app.App) error { _, err := a.Users.Kick(b.ctx, "nobody"); return err },
		"a taken server":    func(a *app.App) error { _, err := a.Servers.Create(b.ctx, vpn.NewServer{Name: "main"}); return err },
		"no supervision":    func(a *app.App) error { _, err := a.Servers.Restart(b.ctx, "main"); return err },
		"no such server":    func(a *app.App) error { _, err := a.Servers.Delete(b.ctx, "mian"); return err },
		"nobody who may it": func(a *app.App) error { _, err := a.Users.Delete(t.Context(), "alice"); return err },
	} {
		got, want := try(b.app.DryRun()), try(b.app)
		if got == nil || want == nil || got.Error() != want.Error() || vpn.KindOf(got) != vpn.KindOf(want) {
			t.Errorf("%s: got %v, the real run %v", name, got, want)
		}
	}
}

// everything is all that a dry run must leave as it was.
func (b *bench) everything(id vpn.ServerID) string {
	b.t.Helper()
	all := map[string]any{}
	err := b.store.View(b.ctx, func(tx app.Tx) error {
		revision, err := tx.Revision()
		if err != nil {
			return err
		}
		users, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		if err != nil {
			return err
		}
		servers, err := tx.Servers.List()
		if err != nil {
			return err
		}
		creds, err := tx.Credentials.ForServer(id)
		if err != nil {
			return err
		}
		events, err := tx.Events.List(1000)
		all["revision"], all["users"], all["servers"], all["credentials"], all["events"] = revision, users, servers, creds, events
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	all["started"] = b.workers.started(id)
	b.workers.worker(id).see(func(w *fakeWorker) {
		all["told"] = []any{w.ended(), w.puts, w.patches, w.kicks, w.epoch, w.revision}
	})
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}
