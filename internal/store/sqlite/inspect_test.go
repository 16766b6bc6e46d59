package sqlite

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vpn.db")
	if got, err := Inspect(t.Context(), path); err != nil || got.ID != "" {
		t.Errorf("where there is none: %+v, %v", got, err)
	}
	s, err := Open(t.Context(), path, Options{})
	check(t, err)
	for _, state := range []string{"fresh and open", "open and changed"} {
		got, err := Inspect(t.Context(), path)
		if err != nil || got.ID != s.ID() || got.Version < 1 || len(got.Pending) != 0 {
			t.Errorf("%s: %+v, %v", state, got, err)
		}
		check(t, s.Update(t.Context(), func(tx app.Tx) error {
			_, err := tx.Servers.Put(vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: "main" + state[:4], CreatedAt: time.Now()})
			return err
		}))
	}
	if got, err := Inspect(t.Context(), path); err != nil || got.Slots != 2 {
		t.Errorf("with two servers: %+v, %v", got, err)
	}
	check(t, s.Close())

	before := digest(t, dir)
	got, err := Inspect(t.Context(), path)
	if err != nil || got.Slots != 2 {
		t.Errorf("closed: %+v, %v", got, err)
	}
	if after := digest(t, dir); after != before {
		t.Errorf("looking has changed something:\n%s\n%s", before, after)
	}
}

func TestInspectNamesTheMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	s, err := Open(t.Context(), path, Options{})
	check(t, err)
	check(t, s.Close())
	db := connect(writerDSN(path))
	_, err = db.Exec(`UPDATE goose_db_version SET version_id = 0 WHERE version_id > 0`)
	check(t, err)
	check(t, db.Close())
	if got, err := Inspect(t.Context(), path); err != nil || len(got.Pending) == 0 || got.Pending[0] != "00001_store.sql" {
		t.Errorf("an older one: %+v, %v", got, err)
	}
}

func TestInspectRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	check(t, os.WriteFile(path, []byte("this is no database, and far from it"), 0o600))
	if _, err := Inspect(t.Context(), path); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("a file of somebody else's: %v", err)
	}
	check(t, os.Remove(path))
	s, err := Open(t.Context(), path, Options{})
	check(t, err)
	check(t, s.Close())
	db := connect(writerDSN(path))
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, 1)`)
	check(t, err)
	check(t, db.Close())
	if _, err := Inspect(t.Context(), path); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "has version 1000") {
		t.Errorf("a newer one: %v", err)
	}
}

// digest sums up the names and contents of a directory's files.
func digest(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	h := sha256.New()
	var names []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		check(t, err)
		h.Write(b)
		names = append(names, e.Name())
	}
	return fmt.Sprintf("%s %x", strings.Join(names, " "), h.Sum(nil))
}
