package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/app"
	"vpn/internal/runtime"
	"vpn/internal/vpn"
)

// engine is a runtime that answers, fails or hangs on command. Its methods say
// what was asked.
type engine struct {
	name    string
	err     error
	hang    chan struct{} // if set, a list takes until it is closed
	asked   []string
	changed chan app.Place
}

func (e *engine) note(what string) error {
	e.asked = append(e.asked, what)
	return e.err
}

func (e *engine) Find(_ context.Context, p app.Place) (app.Worker, error) {
	return nil, e.note("find " + string(p.Server))
}

func (e *engine) Start(_ context.Context, s vpn.Server) (app.Worker, error) {
	return nil, e.note("start " + string(s.ID))
}

func (e *engine) Remains(_ context.Context, p app.Place) ([]vpn.Counters, error) {
	return nil, e.note("remains " + string(p.Server))
}

func (e *engine) Discard(_ context.Context, p app.Place, epochs ...string) error {
	return e.note("discard " + string(p.Server) + " " + epochs[0])
}

func (e *engine) List(context.Context) ([]app.Place, error) {
	if e.hang != nil {
		<-e.hang
	}
	return []app.Place{{Server: vpn.ServerID("of-" + e.name), Runtime: e.name}}, e.note("list")
}

func (e *engine) Changed() <-chan app.Place { return e.changed }

type fixture struct {
	process, docker *engine
	used            bool
	ready           error
	unused          int
	workers         *runtime.Workers
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{process: &engine{name: "process"}, docker: &engine{name: "docker", changed: make(chan app.Place)}, used: true}
	f.workers = runtime.New(slog.New(slog.DiscardHandler),
		runtime.Runtime{Name: "process", Workers: f.process},
		runtime.Runtime{
			Name: "docker", Workers: f.docker, Patience: time.Second,
			Used:  func(context.Context) bool { return f.used },
			Ready: func(context.Context, bool) error { return f.ready },
			Unused: func(context.Context) error {
				f.unused++
				return nil
			},
		})
	t.Cleanup(func() { f.workers.Close() })
	return f
}

func (f *fixture) list(t *testing.T) (names []string, took time.Duration) {
	t.Helper()
	began := time.Now()
	places, err := f.workers.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places {
		names = append(names, p.Runtime)
	}
	return names, time.Since(began)
}

func (f *fixture) lists(t *testing.T, what string, within time.Duration, want ...string) {
	t.Helper()
	names, took := f.list(t)
	if len(names) != len(want) || took > within {
		t.Errorf("%s: %v after %s, want %v within %s", what, names, took, want, within)
	}
}

func TestEachIsAskedAboutItsOwn(t *testing.T) {
	f := newFixture(t)
	at := app.Place{Server: "a", Runtime: "docker"}
	_, _ = f.workers.Find(t.Context(), at)
	_, _ = f.workers.Start(t.Context(), vpn.Server{ID: "a", Runtime: "docker"})
	_, _ = f.workers.Remains(t.Context(), at)
	_ = f.workers.Discard(t.Context(), at, "e")
	want := []string{"find a", "start a", "remains a", "discard a e"}
	for i, what := range want {
		if i >= len(f.docker.asked) || f.docker.asked[i] != what {
			t.Fatalf("asked was %q, want %q", f.docker.asked, want)
		}
	}
	if len(f.process.asked) > 0 {
		t.Errorf("the other was asked %q", f.process.asked)
	}
	if _, err := f.workers.Find(t.Context(), app.Place{Server: "a", Runtime: "jail"}); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("an unknown runtime: %v", err)
	}
	f.ready = errors.New("no")
	if err := f.workers.Ready(t.Context(), "docker", true); !errors.Is(err, f.ready) {
		t.Errorf("ready: %v", err)
	}
	if err := f.workers.Ready(t.Context(), "process", true); err != nil {
		t.Errorf("ready: %v", err)
	}
}

func TestWhatIsNotUsedIsNotAsked(t *testing.T) {
	f := newFixture(t)
	f.used = false
	f.lists(t, "unused", time.Minute, "process")
	if len(f.docker.asked) > 0 {
		t.Errorf("asked was %q", f.docker.asked)
	}
}

func TestTheLastOneIsToldOf(t *testing.T) {
	f := newFixture(t)
	at := app.Place{Server: "a", Runtime: "docker"}
	_ = f.workers.Discard(t.Context(), at, "e")
	if f.unused != 0 {
		t.Error("one that is used is cleaned up")
	}
	f.used = false
	_ = f.workers.Discard(t.Context(), at, "e")
	if f.unused != 1 {
		t.Error("one that is used no more is not cleaned up")
	}
}

func TestOneThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.lists(t, "both answer", 0, "process", "docker")
		hang := make(chan struct{})
		f.docker.hang = hang
		f.docker.err = errors.New("time-out")
		f.lists(t, "it hangs", time.Second, "process")
		f.lists(t, "it hangs on", 0, "process")
		close(hang)
		synctest.Wait()
		again := make(chan struct{})
		f.docker.hang = again
		f.lists(t, "it has failed and hangs again", 0, "process")
		f.docker.err = nil
		close(again)
		synctest.Wait()
		f.docker.hang = nil
		f.lists(t, "it is back", time.Second, "process", "docker")
	})
}

func TestOneThatFailsIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.docker.err = errors.New("no engine")
		// It may have answered by the time that the first is asked for it.
		if names, took := f.list(t); took > 0 || len(names) == 0 || names[0] != "process" {
			t.Errorf("listed is %v after %s", names, took)
		}
		f.process.err = errors.New("no directory")
		if _, err := f.workers.List(t.Context()); !errors.Is(err, f.process.err) {
			t.Errorf("the error of what is at hand is %v", err)
		}
	})
}

func TestChangesArePassedOn(t *testing.T) {
	f := newFixture(t)
	at := app.Place{Server: "a", Runtime: "docker"}
	go func() { f.docker.changed <- at }()
	select {
	case got := <-f.workers.Changed():
		if got != at {
			t.Errorf("%v has changed", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was passed on")
	}
}
