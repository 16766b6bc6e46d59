package worker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// withState gives h the state in dir, and returns the spec that was there.
func withState(t *testing.T, h *host, dir string) *vpn.Spec {
	t.Helper()
	s, last := openState(dir, slog.New(slog.DiscardHandler))
	h.state = s
	return last
}

// waitFor polls until the file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-late:
			t.Fatalf("%s is not written", path)
		case <-time.After(time.Millisecond):
		}
	}
}

// A worker that is started anew serves what the one before was told last,
// however that ended; after an orderly stop it serves nothing.
func TestSpecIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SpecFile)
	h, _ := newTestHost(t, &fakeEngine{})
	if last := withState(t, h, dir); last != nil {
		t.Fatalf("a new state holds %+v", last)
	}
	spec := fullSpec()
	if err := h.put(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	waitFor(t, path) // it may be killed from here on
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the spec has mode %v, %v", st.Mode(), err)
	}
	second := fullGrant()
	second.Credential = "c2"
	if err := h.patch(t.Context(), vpn.Patch{Generation: "g", Base: 3, Revision: 4, Upsert: []vpn.Grant{second}}); err != nil {
		t.Fatal(err)
	}
	h.state.close(false) // as by SIGTERM
	want := spec
	want.Revision, want.Grants = 4, []vpn.Grant{fullGrant(), second}

	var applied []vpn.Spec
	next, _ := newTestHost(t, &fakeEngine{apply: func(_ context.Context, s vpn.Spec) error {
		applied = append(applied, s)
		return nil
	}})
	last := withState(t, next, dir)
	if last == nil {
		t.Fatal("the spec is gone")
	}
	next.resume(t.Context(), *last)
	if d := diff([]vpn.Spec{want}, applied); d != "" {
		t.Errorf("the next worker serves: -want +got\n%s", d)
	}
	if h := next.health(); h.Revision != 4 || h.Generation != "g" {
		t.Errorf("it says %+v", h)
	}
	next.state.close(true)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after an orderly stop the spec is there: %v", err)
	}
}

// A restart must not undo what the control plane has said meanwhile, and what
// does not work at once is tried again.
func TestResume(t *testing.T) {
	old := fullSpec()
	newer := fullSpec()
	newer.Revision = 9
	var applied []uint64
	h, _ := newTestHost(t, &fakeEngine{apply: func(_ context.Context, s vpn.Spec) error {
		applied = append(applied, s.Revision)
		if len(applied) == 1 {
			return errors.New("the port is taken")
		}
		return nil
	}})
	if h.again(t.Context(), old) {
		t.Error("what did not work is not tried again")
	}
	if !h.again(t.Context(), old) || len(applied) != 2 {
		t.Errorf("revisions %v were applied", applied)
	}
	if err := h.put(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if !h.again(t.Context(), old) || len(applied) != 3 || h.health().Revision != 9 {
		t.Errorf("revisions %v were applied, and the worker is at %d", applied, h.health().Revision)
	}
}

func TestBrokenSpecIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, SpecFile), []byte(`{"revision":`), 0o600); err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, &fakeEngine{})
	if last := withState(t, h, dir); last != nil {
		t.Errorf("it holds %+v", last)
	}
	h.state.close(false)
}

// What a container's addresses are, the spec does not know.
func TestAnywhere(t *testing.T) {
	var got vpn.Spec
	h, _ := newTestHost(t, &fakeEngine{apply: func(_ context.Context, s vpn.Spec) error { got = s; return nil }})
	h.anywhere = true
	spec := fullSpec()
	spec.Server.Listen = spec.Server.Listen.Next()
	if err := h.put(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if !got.Server.Listen.IsUnspecified() || h.told.Server.Listen != spec.Server.Listen {
		t.Errorf("it listens on %s, and was told %s", got.Server.Listen, h.told.Server.Listen)
	}
}

func TestFinals(t *testing.T) {
	dir := t.TempDir()
	s, _ := openState(dir, slog.New(slog.DiscardHandler))
	defer s.close(false)
	epochs := []string{strings.Repeat("a", 32), strings.Repeat("b", 32)}
	for _, e := range epochs {
		if _, err := s.final(e).Write([]byte(`{"epoch":"` + e + `"}`)); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	hostile := strings.Repeat("c", 32)
	for name, content := range map[string]string{
		"final-" + strings.Repeat("d", 32) + ".json":     `{"epoch":"` + epochs[0] + `"}`, // another's
		"final-" + strings.Repeat("e", 32) + ".json":     `{`,
		"final-" + strings.Repeat("f", 32) + ".json.new": `{}`,
		"final-../x.json": "",
	} {
		_ = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
	}
	if err := os.WriteFile(secret, []byte(`{"epoch":"`+hostile+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "final-"+hostile+".json")); err != nil {
		t.Fatal(err)
	}
	want := func(left ...string) {
		t.Helper()
		cs, err := Finals(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range cs {
			got = append(got, c.Epoch)
		}
		if strings.Join(got, " ") != strings.Join(left, " ") {
			t.Errorf("there are the epochs %v, want %v", got, left)
		}
	}
	want(epochs...)
	if err := DiscardFinals(dir, epochs[0], "../secret", ""); err != nil {
		t.Fatal(err)
	}
	want(epochs[1])
	if cs, err := Finals(filepath.Join(dir, "none")); cs != nil || err != nil {
		t.Errorf("where nothing is, there is %v, %v", cs, err)
	}
}
