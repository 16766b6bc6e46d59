package runtimetest

import (
	"errors"
	"io"
	"net"
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
