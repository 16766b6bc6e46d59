package sqlite

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestBackupInTheStoresPlaceBeginsANewLife(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 10)
	want, generation := snapshot(t, s), s.Generation()
	check(t, s.Backup(t.Context(), filepath.Join(dir, "copy")))
	update(t, s, func(tx app.Tx) error { return tx.Users.Put(vpn.User{ID: "late", Name: "late"}) })
	check(t, s.Close())

	// By hand, and the seal of the later store forgotten beside it.
	check(t, os.Rename(filepath.Join(dir, "copy"), path))
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	restored, err := Open(t.Context(), path, Options{Now: func() time.Time { return now }})
	check(t, err)
	if got := snapshot(t, restored); !maps.Equal(got, want) {
		t.Errorf("the backup holds %v, want %v", got, want)
	}
	if restored.ID() != s.ID() {
		t.Errorf("the id was %s and is %s", s.ID(), restored.ID())
	}
	second := restored.Generation()
	if second == generation || second == "" {
		t.Errorf("the generation was %s and is %q", generation, second)
	}
	view(t, restored, func(tx app.Tx) error {
		es, err := tx.Events.List(1)
		if len(es) != 1 || es[0].Action != "store.restore" || !es[0].At.Equal(now) {
			t.Errorf("the audit log has %+v", es)
		}
		return err
	})
	check(t, restored.Close())
	if again := mustOpen(t, path).Generation(); again != second {
		t.Errorf("opened again, the generation went from %s to %s", second, again)
	}
}

func TestBackupReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, filepath.Join(dir, "vpn.db"))
	taken := filepath.Join(dir, "taken")
	check(t, os.WriteFile(taken, []byte("dear"), 0o600))
	if err := s.Backup(t.Context(), taken); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("onto a file: got %v, want a conflict", err)
	}
	if text, _ := os.ReadFile(taken); string(text) != "dear" {
		t.Errorf("the file holds %q now", text)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "nowhere", "copy")); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("into no directory: got %v, want unavailable", err)
	}
	if err := s.Backup(canceled(t), filepath.Join(dir, "copy")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: got %v", err)
	}
	check(t, s.Close())
	if err := s.Backup(t.Context(), filepath.Join(dir, "copy")); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("of a closed store: got %v, want unavailable", err)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"taken", "vpn.db", "vpn.db-seal"}) {
		t.Errorf("left behind: %q", got)
	}
}

// Two users change together, all the time: a backup has them equal.
func TestBackupIsOneMoment(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, filepath.Join(dir, "vpn.db"))
	put := func(ctx context.Context, n uint64) error {
		return s.Update(ctx, func(tx app.Tx) error {
			for _, id := range []vpn.UserID{"one", "two"} {
				if err := tx.Users.Put(vpn.User{ID: id, Name: string(id), Limits: vpn.Limits{Quota: n}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(t, put(t.Context(), 1))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		for n := uint64(2); ctx.Err() == nil; n++ {
			if err := put(ctx, n); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for _, name := range []string{"a", "b", "c"} {
		path := filepath.Join(dir, name)
		check(t, s.Backup(t.Context(), path))
		view(t, mustOpen(t, path), func(tx app.Tx) error {
			us, err := tx.Users.List(vpn.UserFilter{})
			if len(us) != 2 || us[0].Limits != us[1].Limits {
				t.Errorf("a backup holds %+v", us)
			}
			return err
		})
	}
	stop()
	check(t, <-done)
}
