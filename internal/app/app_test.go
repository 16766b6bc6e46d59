package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/app"
	"vpn/internal/protocol/all"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// bench is a product without processes: the real store and use cases, and
// workers that die and hang on command.
type bench struct {
	t       testing.TB
	path    string
	store   *sqlite.Store
	workers *fakeWorkers
	outside app.Workers // in their place, if set
	network app.Network
	now     func() time.Time
	tunnels app.Tunnels // nil: none
	ready   func(ctx context.Context, runtime string, look bool) error
	app     *app.App
	ctx     context.Context
	end     func()
}

func newBench(t testing.TB) *bench {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel()
	}
	b := makeBench(t)
	t.Cleanup(func() { b.end(); _ = b.store.Close() })
	return b
}

func makeBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "vpn.db"), workers: newFakeWorkers(), network: quietNetwork{}, now: time.Now}
	b.open()
	return b
}

// bubble runs a test for which time passes as fast as it can.
func bubble(t *testing.T, test func(b *bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := makeBench(t)
		defer func() { b.end(); _ = b.store.Close() }()
		test(b)
	})
}

func (b *bench) open() {
	b.t.Helper()
	st, err := sqlite.Open(b.t.Context(), b.path, sqlite.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = st
	var ws app.Workers = b.workers
	if b.outside != nil {
		ws = b.outside
	}
	b.app = app.New(app.Config{
		Store: st, Workers: ws, Protocols: all.Protocols(), Network: b.network, Tunnels: b.tunnels, Ready: b.ready,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now() },
	})
	b.ctx = app.WithActor(b.t.Context(), app.Actor{Name: "test"})
	b.end = func() {}
}

// reset makes the use cases anew, over what b holds now.
func (b *bench) reset() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// supervise starts the reconciler; end stops it, as a control plane that
// leaves its workers.
func (b *bench) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.app.Reconciler.Run(ctx) }()
	b.end = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("supervision ended: %v", err)
		}
		b.end = func() {}
	}
	b.until("supervision", b.app.Reconciler.Supervising)
}

// reopen is the death of the control plane without any goodbye, and the next
// one's start.
func (b *bench) reopen() {
	b.end()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
	b.supervise()
}

func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			b.t.Fatalf("waited 10 s for: %s", what)
		case <-tick.C:
		}
	}
}

func (b *bench) server(name string) vpn.ServerID {
	b.t.Helper()
	c, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: name, Settings: []byte(`{"target":"self"}`)})
	if err != nil {
		b.t.Fatal(err)
	}
	return c.Server.ID
}

func (b *bench) user(name string, l vpn.Limits) vpn.UserID {
	b.t.Helper()
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: name, Limits: l})
	if err != nil {
		b.t.Fatal(err)
	}
	return c.User.ID
}

func (b *bench) used(name string) uint64 {
	b.t.Helper()
	d, err := b.app.Users.Show(b.ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Used.Total()
}

type quietNetwork struct{}

func (quietNetwork) ProbeTCP(netip.Addr, uint16) error           { return nil }
func (quietNetwork) ProbeUDP(netip.Addr, uint16) error           { return nil }
func (quietNetwork) Blocked(string, netip.Addr, uint16) []string { return nil }
func (quietNetwork) DefaultAddr() (netip.Addr, bool)             { return netip.MustParseAddr("203.0.113.1"), true }

func TestAChangeReachesTheWorkerAsAPatch(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	w := b.workers.worker(id)
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Limits: vpn.Limits{Quota: 1000, RateUp: 7}})
	if err != nil || !c.Synced {
		t.Fatalf("create: %+v, %v", c, err)
	}
	if len(c.Access) != 1 || !strings.HasPrefix(c.Access[0].Link, "vless://") {
		t.Fatalf("no link: %+v", c.Access)
	}
	w.see(func(w *fakeWorker) {
		if w.puts != 1 || w.patches != 1 {
			t.Errorf("%d puts and %d patches; want the first truth and one patch", w.puts, w.patches)
		}
		if len(w.grants) != 1 || w.ceilings[c.User.ID] != 1000 {
			t.Errorf("grants %v, ceilings %v", w.grants, w.ceilings)
		}
		for _, g := range w.grants {
			if g.User != c.User.ID || g.RateUp != 7 || !g.Capped || g.Blocked {
				t.Errorf("grant %+v", g)
			}
		}
	})
	off := false
	if _, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	w.see(func(w *fakeWorker) {
		for _, g := range w.grants {
			if !g.Blocked {
				t.Errorf("a disabled user is not blocked: %+v", g)
			}
		}
	})
	if _, err := b.app.Users.Delete(b.ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	w.see(func(w *fakeWorker) {
		if len(w.grants) != 0 || w.puts != 1 {
			t.Errorf("after delete: %d grants, %d puts", len(w.grants), w.puts)
		}
	})
}

func TestTheWorkerStopsAtTheQuotaAndGoesOnWhenItIsRaised(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	u := b.user("alice", vpn.Limits{Quota: 1000})
	w := b.workers.worker(id)
	if n := w.move(u, 600) + w.move(u, 600); n != 1000 {
		t.Fatalf("%d bytes passed under a quota of 1000", n)
	}
	b.until("the user to be limited", func() bool {
		d, err := b.app.Users.Show(b.ctx, "alice")
		return err == nil && d.Status == vpn.Limited
	})
	more := uint64(1500)
	if _, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Quota: &more}); err != nil {
		t.Fatal(err)
	}
	if n := w.move(u, 1000); n != 500 {
		t.Fatalf("%d more bytes passed when 500 were added", n)
	}
}

func TestTwoServersShareOneQuota(t *testing.T) {
	b := newBench(t)
	b.supervise()
	first, second := b.server("first"), b.server("second")
	u := b.user("alice", vpn.Limits{Quota: 100_000})
	var passed uint64
	b.until("the quota to be used up over both servers", func() bool {
		passed += b.workers.worker(first).move(u, 300) + b.workers.worker(second).move(u, 20)
		return passed >= 99_000
	})
	b.until("nothing to pass any more", func() bool {
		n := b.workers.worker(first).move(u, 5000) + b.workers.worker(second).move(u, 5000)
		passed += n
		return n == 0 && b.used("alice") == passed
	})
	if passed > 100_000 {
		t.Fatalf("%d bytes passed under a quota of 100000", passed)
	}
}

func TestAControlPlaneThatDiedLosesNothingAndDisturbsNobody(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	u := b.user("alice", vpn.Limits{Quota: 10_000})
	w := b.workers.worker(id)
	for i := range 3 {
		w.move(u, 100)
		b.until("the count", func() bool { return b.used("alice") == uint64(i+1)*200-100 })
		b.reopen()
		w.move(u, 100)
		b.until("the count after adoption", func() bool { return b.used("alice") == uint64(i+1)*200 })
	}
	if b.workers.started(id) != 1 || b.workers.worker(id) != w {
		t.Fatalf("the worker was started %d times", b.workers.started(id))
	}
	if n := w.move(u, 100_000); n != 9400 {
		t.Fatalf("%d bytes passed; 9400 were left", n)
	}
}

func TestAWorkerThatCrashedComesBackWithItsCountsKept(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	u := b.user("alice", vpn.Limits{Quota: 1000})
	w := b.workers.worker(id)
	w.move(u, 400)
	b.until("a sample", func() bool { return b.used("alice") == 400 })
	w.crash()
	b.until("another worker that is told everything", func() bool {
		next := b.workers.worker(id)
		if next == nil || next == w {
			return false
		}
		ready := false
		next.see(func(w *fakeWorker) { ready = w.ceilings[u] > 0 })
		return ready
	})
	if n := b.workers.worker(id).move(u, 1000); n != 600 {
		t.Fatalf("%d bytes passed; 600 were left", n)
	}
	b.until("both lives' counts", func() bool { return b.used("alice") == 1000 })
}

func TestFinalCountersOfAFileCountOnce(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	u := b.user("alice", vpn.Limits{})
	w := b.workers.worker(id)
	w.move(u, 400)
	b.until("a sample", func() bool { return b.used("alice") == 400 })
	w.move(u, 50)
	w.leave()
	file := b.workers.remains[id]
	b.until("a new worker", func() bool { n := b.workers.worker(id); return n != nil && n != w })
	b.until("the file's counts", func() bool { return b.used("alice") == 450 })

	// The file could not be deleted, and turns up again.
	b.workers.mu.Lock()
	b.workers.remains[id] = file
	b.workers.mu.Unlock()
	b.workers.worker(id).crash()
	b.until("a third worker", func() bool { return b.workers.started(id) == 3 })
	if got := b.used("alice"); got != 450 {
		t.Fatalf("the file counted twice: %d", got)
	}
}

func TestAWorkerThatCannotStartRollsNobodyBack(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	b.workers.mu.Lock()
	b.workers.fail = errors.New("no more processes")
	b.workers.mu.Unlock()
	b.workers.worker(id).crash()
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice"})
	if err != nil || c.Synced {
		t.Fatalf("create while the worker is down: synced=%v, %v", c.Synced, err)
	}
	s, err := b.app.System.Status(b.ctx)
	if err != nil || s.Synced || s.Servers[0].State != vpn.Failed || !strings.Contains(s.Servers[0].Problem, "no more processes") {
		t.Fatalf("status does not tell: %+v, %v", s, err)
	}
	b.workers.mu.Lock()
	b.workers.fail = nil
	b.workers.mu.Unlock()
	b.until("the worker to follow by itself", func() bool {
		w := b.workers.worker(id)
		ok := false
		if w != nil {
			w.see(func(w *fakeWorker) { ok = len(w.grants) == 1 })
		}
		return ok
	})
}

func TestWithoutADaemonItAppliesToWhatItFindsAndStartsNothing(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	b.end() // the daemon is gone, its worker lives
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice"})
	if err != nil || !c.Synced {
		t.Fatalf("create: synced=%v, %v", c.Synced, err)
	}
	b.workers.worker(id).see(func(w *fakeWorker) {
		if len(w.grants) != 1 {
			t.Errorf("the running worker does not know alice")
		}
	})
	b.workers.worker(id).crash()
	c, err = b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob"})
	if err != nil || c.Synced {
		t.Fatalf("create without a worker: synced=%v, %v", c.Synced, err)
	}
	if b.workers.started(id) != 1 {
		t.Fatalf("a worker was started without a daemon")
	}
}

func TestWorkersOfForgottenServersAreEnded(t *testing.T) {
	b := newBench(t)
	stray, err := b.workers.Start(b.ctx, vpn.Server{ID: "stray"})
	if err != nil {
		t.Fatal(err)
	}
	b.supervise()
	select {
	case <-stray.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the stray worker lives on")
	}
}

func TestASilentWorkerIsShownAndHoldsUpNobody(t *testing.T) {
	b := newBench(t)
	b.supervise()
	stuck, fine := b.server("stuck"), b.server("fine")
	b.workers.worker(stuck).see(func(w *fakeWorker) { w.silent = true })
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice"})
	if err != nil || c.Synced {
		t.Fatalf("create: synced=%v, %v", c.Synced, err)
	}
	b.workers.worker(fine).see(func(w *fakeWorker) {
		if len(w.grants) != 1 {
			t.Errorf("the other server waits for the silent one")
		}
	})
	b.until("the state to be shown", func() bool {
		s, err := b.app.Servers.Show(b.ctx, "stuck")
		return err == nil && s.State == vpn.Unresponsive
	})
}

func TestNobodyWithoutAnActorMayDoAnything(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"create":  func() error { _, err := b.app.Users.Create(ctx, vpn.NewUser{Name: "a"}); return err },
		"list":    func() error { _, err := b.app.Users.List(ctx, vpn.UserFilter{}); return err },
		"show":    func() error { _, err := b.app.Users.Show(ctx, "a"); return err },
		"update":  func() error { _, err := b.app.Users.Update(ctx, "a", vpn.UserPatch{}); return err },
		"delete":  func() error { _, err := b.app.Users.Delete(ctx, "a"); return err },
		"deleted": func() error { _, err := b.app.Users.Deleted(ctx); return err },
		"restore": func() error { _, err := b.app.Users.Restore(ctx, "a", vpn.UserRestore{}); return err },
		"reset":   func() error { _, err := b.app.Users.Reset(ctx, "a"); return err },
		"kick":    func() error { _, err := b.app.Users.Kick(ctx, "a"); return err },
		"access":  func() error { _, err := b.app.Users.Access(ctx, "a"); return err },
		"server":  func() error { _, err := b.app.Servers.Create(ctx, vpn.NewServer{}); return err },
		"servers": func() error { _, err := b.app.Servers.List(ctx); return err },
		"start":   func() error { _, err := b.app.Servers.Start(ctx, "a"); return err },
		"change":  func() error { _, err := b.app.Servers.Update(ctx, "a", vpn.ServerPatch{}); return err },
		"stop":    func() error { _, err := b.app.Servers.Stop(ctx, "a"); return err },
		"restart": func() error { _, err := b.app.Servers.Restart(ctx, "a"); return err },
		"remove":  func() error { _, err := b.app.Servers.Delete(ctx, "a"); return err },
		"logs":    func() error { _, err := b.app.Servers.Logs(ctx, "a", false, 1, time.Time{}); return err },
		"status":  func() error { _, err := b.app.System.Status(ctx); return err },
		"events":  func() error { _, err := b.app.System.Events(ctx, 1); return err },
	} {
		if err := call(); vpn.KindOf(err) != vpn.Denied {
			t.Errorf("%s without an actor: %v", name, err)
		}
	}
}

func TestEveryChangeIsInTheAuditLog(t *testing.T) {
	b := newBench(t)
	b.user("alice", vpn.Limits{})
	quota := uint64(5)
	_, err1 := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Quota: &quota})
	_, err2 := b.app.Users.Kick(b.ctx, "alice")
	_, err3 := b.app.Users.Delete(b.ctx, "alice")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	_, _ = b.app.Users.Delete(b.ctx, "nobody") // fails, and leaves no trace
	events, err := b.app.System.Events(b.ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Actor+" "+e.Action+" "+e.Subject+" "+e.Detail)
	}
	want := "test users.delete alice |test users.kick alice |test users.update alice quota 5|test users.create alice "
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestBadInputIsRefusedWithAHint(t *testing.T) {
	b := newBench(t)
	b.user("alice", vpn.Limits{})
	past := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		call func() error
		kind vpn.Kind
	}{
		"taken":   {func() error { _, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice"}); return err }, vpn.Conflict},
		"newline": {func() error { _, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "a\nb"}); return err }, vpn.Invalid},
		"space":   {func() error { _, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "a b"}); return err }, vpn.Invalid},
		"past": {func() error {
			_, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", ExpiresAt: past})
			return err
		}, vpn.Invalid},
		"quota of 10^18": {func() error {
			_, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", Limits: vpn.Limits{Quota: 1e18}})
			return err
		}, vpn.Invalid},
		"anchor": {func() error {
			_, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", Limits: vpn.Limits{Period: vpn.Period{Every: vpn.Monthly, ResetsOn: "32"}}})
			return err
		}, vpn.Invalid},
		"zone": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Period: new(vpn.Daily), TimeZone: new("Mars/Olympus")})
			return err
		}, vpn.Invalid},
		"throttle of nothing": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Throttle: new(uint64(1))})
			return err
		}, vpn.Invalid},
		"no time": {func() error {
			_, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", ValidFor: -1})
			return err
		}, vpn.Invalid},
		"two ends": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{ValidFor: new(vpn.Seconds(5)), ExpiresAt: new(time.Time{})})
			return err
		}, vpn.Invalid},
		"tags": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{AddTags: strings.Split("a b c d e f g h i j k l m n o p q r s t u", " ")})
			return err
		}, vpn.Invalid},
		"tag": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{AddTags: []string{"a b"}})
			return err
		}, vpn.Invalid},
		"note": {func() error {
			_, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Note: new("a\nb")})
			return err
		}, vpn.Invalid},
		"status": {func() error {
			_, err := b.app.Users.List(b.ctx, vpn.UserFilter{Status: "asleep"})
			return err
		}, vpn.Invalid},
		"nothing":     {func() error { _, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{}); return err }, vpn.Invalid},
		"typo":        {func() error { _, err := b.app.Users.Show(b.ctx, "alcie"); return err }, vpn.NotFound},
		"protocol":    {func() error { _, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Protocol: "vles"}); return err }, vpn.Invalid},
		"public host": {func() error { _, err := b.app.Servers.Create(b.ctx, vpn.NewServer{PublicHost: "a b"}); return err }, vpn.Invalid},
		"settings key": {func() error {
			_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Settings: []byte(`{"targett":"self"}`)})
			return err
		}, vpn.Invalid},
	} {
		err := c.call()
		if vpn.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%s), want kind %s", name, err, vpn.KindOf(err), c.kind)
			continue
		}
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Hint == "" {
			t.Errorf("%s: no hint: %v", name, err)
		}
	}
}

// TestAnEndInThePast: whoever asks for one is told what is meant to be done
// instead, by name.
func TestAnEndInThePast(t *testing.T) {
	b := newBench(t)
	b.user("alice", vpn.Limits{})
	past := time.Now().Add(-time.Hour)
	_, create := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", ExpiresAt: past})
	_, update := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{ExpiresAt: &past})
	for want, err := range map[string]error{
		"leave it out, or give a later one":                 create,
		"to keep the user out now: vpn users disable alice": update,
	} {
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Invalid || e.Hint != want {
			t.Errorf("got %+v, want the hint %q", err, want)
		}
	}
}
