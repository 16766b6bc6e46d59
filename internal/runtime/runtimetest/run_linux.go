package runtimetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Run tests a runtime. It needs no root, and takes some seconds.
func Run(t *testing.T, k Kind) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, k Kind)
	}{
		{"a worker lives and stops", testLife},
		{"a stop leaves the final counters", testRemains},
		{"what is removed is cut", testCut},
		{"limits are shared", testShares},
		{"revisions go forward", testRevisions},
		{"a spec that cannot be applied", testProblem},
		{"a large spec", testLargeSpec},
		{"one server one worker", testOneWorker},
		{"a kill is seen", testKillSeen},
		{"an engine's panic ends the worker", testPanic},
		{"a worker that dies at its start", testStillborn},
		{"a server that cannot be named", testBadServer},
		{"signals that a worker ignores", testIgnoredSignals},
		{"a suspended worker is found, killed and replaced", testSuspendedKill},
		{"a suspended worker is stopped", testSuspendedStop},
		{"stores do not meet", testTwoStores},
		{"a dead worker's place is taken", testReplace},
		{"another control plane adopts", testAdoption},
		{"the control plane is killed while it starts a worker", testKilledControl},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, k)
		})
	}
}

func testLife(t *testing.T, k Kind) {
	b := k.bench(t)
	if w := b.Find(); w != nil {
		t.Fatal("a server that was never started has a worker")
	}
	w := b.Start()
	h := b.Health(w)
	if h.Server != "" || h.Revision != 0 || len(h.Epoch) != 32 || h.Version != Version || h.Memory == 0 {
		t.Fatalf("a new worker says %+v", h)
	}
	if pids := b.processes(); len(pids) != 1 || pids[0] != h.PID {
		t.Fatalf("worker %d runs as processes %v", h.PID, pids)
	}
	b.Put(w, b.Spec(7, "alice", "bob"))
	h = b.Health(w)
	if h.Server != b.Server.ID || h.Name != b.Server.Name || h.Generation != "g1" || h.Revision != 7 || h.Problem != "" {
		t.Fatalf("after a spec the worker says %+v", h)
	}
	c := b.Connect("alice")
	b.bounce(c, 100_000)
	if got, want := b.used(w, "alice"), (vpn.Traffic{Up: 100_000, Down: 100_000}); got != want {
		t.Fatalf("alice used %+v, want %+v", got, want)
	}
	sessions, err := w.Sessions(b.Context())
	if err != nil || len(sessions) != 1 || sessions[0].User != "alice" || sessions[0].Source.String() != c.LocalAddr().String() {
		t.Fatalf("sessions are %+v, %v", sessions, err)
	}
	cs, err := w.Usage(b.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if later, err := w.Usage(b.Context(), cs.Seq); err != nil || len(later.Counters) != 0 || later.Epoch != h.Epoch {
		t.Fatalf("nothing moved, and the worker answers %+v, %v", later, err)
	}

	final, err := w.Stop(b.Context())
	if err != nil || final == nil {
		t.Fatalf("stop: %v, %v", final, err)
	}
	if final.Epoch != h.Epoch || trafficOf(*final, "alice").Total() != 200_000 {
		t.Fatalf("final counters are %+v", final)
	}
	b.wantEnd(w)
	b.wantProcesses(0)
	b.wantCut(c)
	if again, err := w.Stop(b.Context()); err != nil || !reflect.DeepEqual(final, again) {
		t.Fatalf("a second stop gives %+v, %v", again, err)
	}
	if _, err := w.Health(b.Context()); vpn.KindOf(err) != vpn.Unavailable {
		t.Fatalf("a worker that has ended answers %v", err)
	}
	if w := b.Find(); w != nil {
		t.Fatal("a worker that has ended is found")
	}
}

func testRemains(t *testing.T, k Kind) {
	b := k.bench(t)
	remains := func() []vpn.Counters {
		t.Helper()
		cs, err := b.Workers.Remains(b.Context(), b.Place())
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	discard := func(epochs ...string) {
		t.Helper()
		if err := b.Workers.Discard(b.Context(), b.Place(), epochs...); err != nil {
			t.Fatal(err)
		}
	}
	if cs := remains(); len(cs) != 0 {
		t.Fatalf("a server that was never started left %+v", cs)
	}
	for _, how := range []string{"stop", "SIGTERM"} {
		w := b.Start()
		b.Put(w, b.Spec(1, "alice"))
		b.bounce(b.Connect("alice"), 1000)
		h := b.Health(w)
		if cs := remains(); len(cs) != 0 {
			t.Fatalf("a living worker left %+v", cs)
		}
		if how == "stop" {
			if _, err := w.Stop(b.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			b.Signal(h.PID, syscall.SIGTERM)
		}
		b.wantEnd(w)
		discard()
		discard("another")
		cs := remains()
		if len(cs) != 1 || cs[0].Epoch != h.Epoch || trafficOf(cs[0], "alice").Total() != 2000 {
			t.Fatalf("after %s the worker left %+v", how, cs)
		}
		for range 2 {
			discard(h.Epoch)
			if cs := remains(); len(cs) != 0 {
				t.Fatalf("what was discarded is still there: %+v", cs)
			}
		}
	}
}

func testCut(t *testing.T, k Kind) {
	b := k.bench(t)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice", "bob"))
	alice, bob := b.Connect("alice"), b.Connect("bob")
	b.bounce(alice, 10)
	b.bounce(bob, 10)

	patch := vpn.Patch{
		Generation: "g1", Base: 1, Revision: 2,
		Upsert: []vpn.Grant{Grant("carol")}, Remove: []vpn.CredentialID{"c-alice"},
	}
	if err := w.Patch(b.Context(), patch); err != nil {
		t.Fatal(err)
	}
	b.wantCut(alice)
	b.bounce(bob, 10)
	carol := b.Connect("carol")
	b.bounce(carol, 10)
	if b.Do("alice", "echo") == nil {
		t.Error("a removed user is let in")
	}

	n, err := w.Kick(b.Context(), "carol")
	if err != nil || n != 1 {
		t.Fatalf("kick: %d, %v", n, err)
	}
	b.wantCut(carol)
	b.bounce(bob, 10)

	capped := Grant("bob")
	capped.Capped = true
	if _, err := w.SetCeilings(b.Context(), b.Health(w).Epoch, ceilings(1, "bob", 100)); err != nil {
		t.Fatal(err)
	}
	if err := w.Patch(b.Context(), vpn.Patch{Generation: "g1", Base: 2, Revision: 3, Upsert: []vpn.Grant{capped}}); err != nil {
		t.Fatal(err)
	}
	_, _ = bob.Write(make([]byte, 1000))
	b.wantCut(bob)
	if got := b.used(w, "bob").Total(); got > 100 {
		t.Errorf("bob used %d bytes of 100", got)
	}
	cs, err := w.SetCeilings(b.Context(), b.Health(w).Epoch, ceilings(2, "bob", 50))
	if err != nil || trafficOf(cs, "bob") != b.used(w, "bob") {
		t.Errorf("the ceilings' answer is %+v, %v", cs, err)
	}
	_, err = w.SetCeilings(b.Context(), "another epoch", ceilings(3, "bob", 500))
	wantKind(t, err, vpn.Conflict)
	for _, turn := range []uint64{0, 1, 2, 4} {
		_, err = w.SetCeilings(b.Context(), b.Health(w).Epoch, ceilings(turn, "bob", 500))
		wantKind(t, err, vpn.Conflict) // out of turn
	}
	held, err := w.Ceilings(b.Context())
	if want := ceilings(2, "bob", 50); err != nil || !reflect.DeepEqual(held, want) {
		t.Errorf("the worker holds %+v, %v, want %+v", held, err, want)
	}
}

func ceilings(turn uint64, u vpn.UserID, bytes uint64) vpn.Ceilings {
	return vpn.Ceilings{Turn: turn, Ceilings: []vpn.Ceiling{{User: u, Bytes: bytes}}}
}

// What is shared with other workers is held, told and told of, and survives
// the control plane.
func testShares(t *testing.T, k Kind) {
	b := k.bench(t)
	w := b.Start()
	if err := w.SetLog(b.Context(), vpn.Logging{Level: vpn.LogDebug}); err != nil {
		t.Error(err)
	}
	wantKind(t, w.SetLog(b.Context(), vpn.Logging{Level: vpn.LogWarn}), vpn.Invalid)
	spec := b.Spec(1, "alice", "bob")
	for i := range spec.Grants {
		spec.Grants[i].RateDown, spec.Grants[i].Devices = 10_000_000, 3
	}
	if err := w.Put(b.Context(), spec); err != nil {
		t.Fatal(err)
	}
	alice := b.Connect("alice")
	b.bounce(alice, 10)
	epoch := b.Health(w).Epoch
	shares := vpn.Shares{Turn: 1, Workers: 3, Shares: []vpn.Share{
		{User: "alice", Up: vpn.Whole / 2, Down: vpn.Whole / 4, Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}},
	}}
	usage := func() vpn.Counters {
		t.Helper()
		cs, err := w.Usage(b.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	if cs := usage(); len(cs.Demands) != 0 || cs.SharesTurn != 0 || cs.At <= 0 {
		t.Errorf("alone, the worker tells %+v", cs)
	}
	wantKind(t, w.SetShares(b.Context(), "another epoch", shares), vpn.Conflict)
	if err := w.SetShares(b.Context(), epoch, shares); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.SetShares(b.Context(), epoch, shares), vpn.Conflict) // out of turn
	if held, err := w.Shares(b.Context()); err != nil || !reflect.DeepEqual(held, shares) {
		t.Errorf("the worker holds %+v, %v, want %+v", held, err, shares)
	}
	b.bounce(alice, 10)
	cs := usage()
	if cs.SharesTurn != 1 || len(cs.Demands) != 1 {
		t.Fatalf("the worker tells %+v", cs)
	}
	if d := cs.Demands[0]; d.User != "alice" || d.RateDown != 10_000_000 || d.Devices != 3 || d.Conns != 1 || len(d.Networks) != 1 || d.Up == 0 || d.Down == 0 {
		t.Errorf("the worker tells %+v of alice", d)
	}
}

func testRevisions(t *testing.T, k Kind) {
	b := k.bench(t)
	w := b.Start()
	patch := func(generation string, base, revision uint64) error {
		return w.Patch(b.Context(), vpn.Patch{
			Generation: generation, Base: base, Revision: revision, Upsert: []vpn.Grant{Grant("late")},
		})
	}
	put := func(generation string, revision uint64) error {
		s := b.Spec(revision, "alice")
		s.Generation = generation
		return w.Put(b.Context(), s)
	}
	wantKind(t, patch("g1", 0, 1), vpn.Conflict) // it knows nothing that this could change
	for _, step := range []struct {
		what string
		err  error
		kind vpn.Kind // empty: taken
	}{
		{"the first spec", put("g1", 5), ""},
		{"the same again", put("g1", 5), ""},
		{"an older one", put("g1", 4), vpn.Conflict},
		{"a patch that leads on", patch("g1", 5, 6), ""},
		{"the same patch again", patch("g1", 5, 6), ""},
		{"a patch from elsewhere", patch("g1", 7, 8), vpn.Conflict},
		{"a patch to the past", patch("g1", 6, 5), vpn.Conflict},
		{"a patch of another store's life", patch("g2", 6, 7), vpn.Conflict},
		{"the spec before the patch", put("g1", 5), vpn.Conflict},
		{"a restored store's spec", put("g2", 1), ""},
		{"a patch of the life before", patch("g1", 1, 2), vpn.Conflict},
	} {
		if got := kindOf(step.err); got != step.kind {
			t.Errorf("%s: %v, want kind %q", step.what, step.err, step.kind)
		}
	}
	if h := b.Health(w); h.Generation != "g2" || h.Revision != 1 {
		t.Errorf("in the end the worker is at %s %d", h.Generation, h.Revision)
	}
	other := b.Spec(9, "alice")
	other.Generation, other.Server.ID = "g2", vpn.ServerID(vpn.NewID())
	wantKind(t, w.Put(b.Context(), other), vpn.Conflict)
	b.bounce(b.Connect("alice"), 10)
}

func kindOf(err error) vpn.Kind {
	if err == nil {
		return ""
	}
	return vpn.KindOf(err)
}

func testProblem(t *testing.T, k Kind) {
	b := k.bench(t)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice", "bob"))
	alice, bob := b.Connect("alice"), b.Connect("bob")
	b.bounce(alice, 10)

	bad := b.Spec(2, "bob")
	bad.Server.Settings = []byte(`{"fail":"the target is gone"}`)
	err := w.Put(b.Context(), bad)
	if err == nil || !strings.Contains(err.Error(), "the target is gone") {
		t.Fatalf("a spec that cannot be applied gives %v", err)
	}
	if h := b.Health(w); h.Revision != 1 || !strings.Contains(h.Problem, "the target is gone") {
		t.Errorf("after it the worker says %+v", h)
	}
	b.wantCut(alice) // who was removed is cut whatever the engine can do
	b.bounce(bob, 10)
	wantKind(t, w.Patch(b.Context(), vpn.Patch{Generation: "g1", Base: 2, Revision: 3}), vpn.Conflict)

	// The same revision again is tried again.
	b.Put(w, b.Spec(2, "bob"))
	if h := b.Health(w); h.Revision != 2 || h.Problem != "" {
		t.Errorf("after a spec that can be applied the worker says %+v", h)
	}
	b.bounce(bob, 10)

	strange := k.bench(t)
	strange.Server.Protocol = "telepathy"
	w = strange.Start()
	wantKind(t, w.Put(b.Context(), strange.Spec(1)), vpn.Invalid)
}

func testLargeSpec(t *testing.T, k Kind) {
	b := k.bench(t)
	w := b.Start()
	users := make([]string, 10_000)
	for i := range users {
		users[i] = fmt.Sprintf("user-%05d-%s", i, vpn.NewID())
	}
	b.Put(w, b.Spec(1, users...))
	b.bounce(b.Connect(users[len(users)-1]), 10)
}

func testOneWorker(t *testing.T, k Kind) {
	b := k.bench(t)
	const tries = 8
	var (
		wg      sync.WaitGroup
		workers = make([]app.Worker, tries)
		errs    = make([]error, tries)
	)
	for i := range tries {
		wg.Go(func() {
			if i%2 == 0 {
				workers[i], errs[i] = b.Workers.Start(b.Context(), b.Server)
			} else {
				_, errs[i] = b.Workers.Find(b.Context(), b.Place())
			}
		})
	}
	wg.Wait()
	started := 0
	for i := range tries {
		switch {
		case i%2 != 0 && errs[i] != nil:
			t.Errorf("find: %v", errs[i])
		case workers[i] != nil:
			started++
		case i%2 == 0:
			wantKind(t, errs[i], vpn.Conflict)
		}
	}
	if started != 1 {
		t.Errorf("%d of %d starts succeeded", started, tries)
	}
	b.wantProcesses(1)
	ids, err := b.Workers.List(b.Context())
	if err != nil || len(ids) != 1 || ids[0] != b.Place() {
		t.Errorf("list gives %v, %v", ids, err)
	}
}

func testPanic(t *testing.T, k Kind) {
	b := k.bench(t)
	wantEnd := func(w app.Worker) {
		t.Helper()
		b.wantEnd(w)
		cs, err := b.Workers.Remains(b.Context(), b.Place())
		if cs != nil || err != nil {
			t.Errorf("a worker that panicked left %+v, %v", cs, err)
		}
	}
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	b.bounce(b.Connect("alice"), 10)
	if err := b.Do("alice", "panic"); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of a broken engine sees %v", err)
	}
	wantEnd(w)

	b.vacate(k)
	w = b.Start()
	s := b.Spec(1, "alice")
	s.Server.Settings = []byte(`{"panic":true}`)
	wantKind(t, w.Put(b.Context(), s), vpn.Unavailable)
	wantEnd(w)
}

func testStillborn(t *testing.T, k Kind) {
	b := k.bench(t)
	b.Server.Name = Stillborn
	_, err := b.Workers.Start(b.Context(), b.Server)
	wantKind(t, err, vpn.Unavailable)
	if !strings.Contains(err.Error(), "this worker cannot live") {
		t.Errorf("the error does not say why: %v", err)
	}
	if w := b.Find(); w != nil {
		t.Error("a worker that died at its start is found")
	}
}

func testBadServer(t *testing.T, k Kind) {
	b := k.bench(t)
	for _, bad := range []vpn.Server{
		{ID: "../../../etc/passwd", Name: "main"},
		{ID: "", Name: "main"},
		{ID: b.Server.ID, Name: "../main"},
	} {
		_, err := b.Workers.Start(b.Context(), bad)
		wantKind(t, err, vpn.Invalid)
	}
	_, err := b.Workers.Find(b.Context(), app.Place{Server: "..", Runtime: b.Server.Runtime})
	wantKind(t, err, vpn.Invalid)
	_, err = b.Workers.Remains(b.Context(), app.Place{Server: "..", Runtime: b.Server.Runtime})
	wantKind(t, err, vpn.Invalid)
	wantKind(t, b.Workers.Discard(b.Context(), app.Place{Server: "../x", Runtime: b.Server.Runtime}), vpn.Invalid)
}

func testTwoStores(t *testing.T, k Kind) {
	a, b := k.bench(t), k.bench(t)
	b.Server.ID = a.Server.ID // a copy of a store has the same ids
	mine := a.Start()
	if w := b.Find(); w != nil {
		t.Fatal("a store finds another store's worker")
	}
	if ids, err := b.Workers.List(b.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("a store lists another store's workers: %v, %v", ids, err)
	}
	theirs := b.Start()
	if err := mine.Kill(a.Context()); err != nil {
		t.Fatal(err)
	}
	if h := b.Health(theirs); h.PID == 0 {
		t.Fatalf("the other store's worker says %+v", h)
	}
	b.wantProcesses(1)
}

// wantConnected fails unless bytes still come back over c.
func (b *Bench) wantConnected(c net.Conn) {
	b.T.Helper()
	b.bounce(c, 1000)
}
