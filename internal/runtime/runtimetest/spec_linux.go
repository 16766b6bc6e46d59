package runtimetest

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

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
