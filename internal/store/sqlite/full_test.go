package sqlite

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// A disk may become full at any page: whatever was begun is undone, and once
// there is space again everything works.
func TestFullDisk(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "vpn.db"))
	srv, creds := populate(t, s, 50)
	var pages int
	check(t, s.write.QueryRow(`PRAGMA page_count`).Scan(&pages))
	limit := func(n int) {
		t.Helper()
		_, err := s.write.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n))
		check(t, err)
	}
	counters := make([]vpn.Counter, len(creds))
	moved := uint64(0)
	change := func(tx app.Tx, careless bool) error {
		moved++
		for i, c := range creds {
			counters[i] = vpn.Counter{Credential: c.ID, Traffic: vpn.Traffic{Up: moved}}
		}
		for i := range 20 {
			err := tx.Users.Put(vpn.User{ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprintf("u%d-%d", moved, i)})
			if err != nil && !careless {
				return err
			}
			if err := tx.Events.Add(vpn.Event{Action: "careless"}); err != nil && !careless {
				return err
			}
			if err := tx.Usage.Record(srv.ID, fmt.Sprint("epoch", moved, i), counters, time.Unix(1e9, 0)); err != nil && !careless {
				return err
			}
		}
		return nil
	}
	grew := false
	for n := pages; !grew; n += 3 {
		before := snapshot(t, s)
		limit(n)
		for _, careless := range []bool{false, true} {
			err := s.Update(t.Context(), func(tx app.Tx) error { return change(tx, careless) })
			if err == nil {
				grew = true
				break
			}
			if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "disk is full") {
				t.Fatalf("with %d pages: got %v", n, err)
			}
			if got := snapshot(t, s); !maps.Equal(got, before) {
				t.Fatalf("with %d pages, careless %v: something was changed: %d users, then %d", n, careless, len(before), len(got))
			}
		}
		limit(1 << 30)
		view(t, s, func(tx app.Tx) error {
			es, err := tx.Events.List(1)
			if !grew && len(es) > 0 {
				t.Fatalf("with %d pages: something was changed: %+v", n, es)
			}
			return err
		})
		update(t, s, func(tx app.Tx) error { return tx.Users.Put(vpn.User{ID: vpn.UserID(vpn.NewID()), Name: vpn.NewID()}) })
	}
	check(t, checkIntegrity(t.Context(), s.read, s.path))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 1)

	// Another program holds the database.
	_, err := s.write.Exec(`PRAGMA busy_timeout = 1`)
	check(t, err)
	other := raw(t, path)
	other.SetMaxOpenConns(1)
	_, err = other.Exec(`BEGIN IMMEDIATE`)
	check(t, err)
	err = s.Update(t.Context(), func(app.Tx) error { return nil })
	if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "locked") {
		t.Errorf("while another program writes: got %v", err)
	}
	if err := readAll(t.Context(), s); err != nil {
		t.Errorf("a view while another program writes: %v", err)
	}
	_, err = other.Exec(`ROLLBACK`)
	check(t, err)
	update(t, s, func(tx app.Tx) error { return tx.Events.Add(vpn.Event{}) })
}
