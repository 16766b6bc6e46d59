package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func TestOpenMakesAStoreOnlyIfItMay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "vpn.db")
	if _, err := Open(t.Context(), path, Options{NoCreate: true}); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("without a store: got %v, want not found", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("a directory was made all the same")
	}
	s := mustOpen(t, path)
	id := s.ID()
	check(t, s.Close())
	s, err := Open(t.Context(), path, Options{NoCreate: true})
	check(t, err)
	defer s.Close()
	if s.ID() != id {
		t.Errorf("the id was %s and is %s", id, s.ID())
	}
}

func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{"with space", "ques?tion", "ha#sh", "per%41cent", "file:x", "ünï", "a&mode=memory", "semi;colon"} {
		dir := filepath.Join(t.TempDir(), name)
		s := mustOpen(t, filepath.Join(dir, "vpn.db"))
		populate(t, s, 1)
		check(t, s.Backup(t.Context(), filepath.Join(dir, "copy of vpn.db")))
		check(t, s.Close())
		if got, want := listing(t, dir), []string{"copy of vpn.db", "vpn.db", "vpn.db-seal"}; !slices.Equal(got, want) {
			t.Errorf("%q holds %q, want %q", name, got, want)
		}
	}
	t.Chdir(t.TempDir())
	s := mustOpen(t, "vpn.db")
	check(t, s.Close())
	if _, err := os.Stat("vpn.db"); err != nil {
		t.Error(err)
	}
}

func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// contents are the files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range listing(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		files[name] = string(text)
	}
	return files
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	for _, umask := range []int{0, 0o277} {
		dir := t.TempDir()
		defer syscall.Umask(syscall.Umask(umask))
		lock, err := Lock(t.Context(), dir, 0)
		check(t, err)
		s := mustOpen(t, filepath.Join(dir, "vpn.db"))
		populate(t, s, 1)
		view(t, s, func(tx app.Tx) error { _, err := tx.Revision(); return err })
		check(t, s.Backup(t.Context(), filepath.Join(dir, "copy")))
		modes := func(want []string) {
			t.Helper()
			if got := listing(t, dir); !slices.Equal(got, want) {
				t.Errorf("with umask %o: got %q, want %q", umask, got, want)
			}
			for _, name := range listing(t, dir) {
				if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
					t.Errorf("with umask %o: %s has mode %v (%v)", umask, name, st.Mode(), err)
				}
			}
		}
		modes([]string{"copy", "lock", "vpn.db", "vpn.db-shm", "vpn.db-wal"})
		check(t, s.Close())
		check(t, lock.Close())
		modes([]string{"copy", "lock", "vpn.db", "vpn.db-seal"})
		syscall.Umask(0o022)
	}
	t.Run("of a directory that is made", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		defer syscall.Umask(syscall.Umask(0))
		check(t, mustOpen(t, filepath.Join(dir, "vpn.db")).Close())
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the directory has mode %v (%v)", st.Mode(), err)
		}
	})
	t.Run("when they were not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "vpn.db")
		check(t, mustOpen(t, path).Close())
		check(t, os.Chmod(path, 0o644))
		check(t, mustOpen(t, path).Close())
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v (%v)", st.Mode(), err)
		}
	})
}

// A link in the place of one of our files leads to somebody else's: that one
// is neither taken for ours, nor is who may read it or what it holds changed.
func TestLinksAreNotFollowed(t *testing.T) {
	for name, open := range map[string]func(path string) error{
		"lock": func(path string) error {
			_, err := Lock(t.Context(), filepath.Dir(path), 0)
			return err
		},
		"vpn.db": func(path string) error {
			_, err := Open(t.Context(), path, Options{})
			return err
		},
		"vpn.db, looked at only": func(path string) error {
			_, err := Inspect(t.Context(), path)
			return err
		},
	} {
		name, _, _ := strings.Cut(name, ",")
		theirs, dir := filepath.Join(t.TempDir(), "passwd"), t.TempDir()
		check(t, os.WriteFile(theirs, []byte("root:x:0:0\n"), 0o644))
		check(t, os.Chmod(theirs, 0o644))
		for _, to := range []string{theirs, filepath.Join(dir, "nowhere"), dir} {
			path := filepath.Join(dir, name)
			check(t, os.Symlink(to, path))
			if err := open(path); vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), path+" is in the way") {
				t.Errorf("%s is a link to %s: %v", name, to, err)
			}
			if got, err := os.Readlink(path); err != nil || got != to {
				t.Errorf("%s was a link to %s: %q, %v", name, to, got, err)
			}
			check(t, os.Remove(path))
		}
		st, err := os.Stat(theirs)
		check(t, err)
		if text, err := os.ReadFile(theirs); err != nil || string(text) != "root:x:0:0\n" || st.Mode().Perm() != 0o644 {
			t.Errorf("as %s: the file of somebody else holds %q, with mode %v (%v)", name, text, st.Mode(), err)
		}
		if got := listing(t, dir); len(got) > 0 {
			t.Errorf("as %s: %q were made", name, got)
		}
	}
}

func TestCloseLeavesOneWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 10)
	check(t, s.Close())
	check(t, s.Close())
	alone := filepath.Join(t.TempDir(), "vpn.db")
	copyFile(t, path, alone)
	want, got := snapshot(t, mustOpen(t, path)), snapshot(t, mustOpen(t, alone))
	if len(got) != 10 || !maps.Equal(got, want) {
		t.Errorf("the file alone holds %v, want %v", got, want)
	}
}

func TestOpenAgainAndAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	for i := range 4 {
		s := mustOpen(t, path)
		if got := len(snapshot(t, s)); got != i {
			t.Errorf("opened for the %d. time, it holds %d users", i+1, got)
		}
		update(t, s, func(tx app.Tx) error { return tx.Users.Put(vpn.User{ID: vpn.UserID(vpn.NewID()), Name: vpn.NewID()}) })
		if _, err := os.Stat(path + sealSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a changed store has a seal (%v)", err)
		}
		check(t, s.Close())
	}
}

// A seal that was forgotten beside a log does not outlive the log.
func TestASealOfBeforeIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	check(t, mustOpen(t, path).Close())
	old, err := os.ReadFile(path + sealSuffix)
	check(t, err)
	s := mustOpen(t, path)
	populate(t, s, 1)
	killed := crash(t, path)
	check(t, os.WriteFile(killed+sealSuffix, old, 0o600))
	s = mustOpen(t, killed)
	if _, err := os.Stat(killed + sealSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there (%v)", err)
	}
	if got := len(snapshot(t, s)); got != 1 {
		t.Errorf("the store holds %d users", got)
	}
}

// snapshot is every user of a store, with what the user has used.
func snapshot(t *testing.T, s *Store) map[string]vpn.Traffic {
	t.Helper()
	out := map[string]vpn.Traffic{}
	view(t, s, func(tx app.Tx) error {
		us, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		for _, u := range us {
			out[u.Name+" "+string(u.ID)] = u.Used
		}
		return err
	})
	return out
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, text, 0o600))
}

// Reading leaves the files as they are, the seal too: a command that only
// lists costs no write.
func TestViewsChangeNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 10)
	check(t, s.Close())
	before := contents(t, filepath.Dir(path))
	s = mustOpen(t, path)
	snapshot(t, s)
	check(t, s.Close())
	if !maps.Equal(contents(t, filepath.Dir(path)), before) {
		t.Error("a view has changed a file")
	}
}

// newest is the version that this program writes.
func newest(t *testing.T) int {
	t.Helper()
	all, err := fs.Glob(migrations(), "*.sql")
	check(t, err)
	last := all[len(all)-1] // which Glob has sorted
	n, err := strconv.Atoi(last[:5])
	check(t, err)
	return n
}

// withNext is what a newer program brings.
func withNext(t *testing.T, statements string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	all, err := fs.Glob(migrations(), "*.sql")
	check(t, err)
	for _, name := range all {
		data, err := fs.ReadFile(migrations(), name)
		check(t, err)
		out[name] = &fstest.MapFile{Data: data}
	}
	out[fmt.Sprintf("%05d_next.sql", newest(t)+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statements)}
	return out
}

func TestOpenRefusesANewerStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vpn.db")
	s, err := open(t.Context(), path, Options{}, withNext(t, `ALTER TABLE users ADD COLUMN next TEXT;`))
	check(t, err)
	populate(t, s, 10)
	refuse := func(what string) {
		t.Helper()
		before := contents(t, dir)
		_, err := Open(t.Context(), path, Options{})
		if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), fmt.Sprintf("has version %d,", newest(t)+1)) || !strings.Contains(err.Error(), fmt.Sprintf("up to %d", newest(t))) {
			t.Errorf("%s: got %v", what, err)
		}
		after := contents(t, dir)
		delete(before, "vpn.db-shm")
		delete(after, "vpn.db-shm")
		if !maps.Equal(after, before) {
			t.Errorf("%s: files were touched: %q, then %q", what, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
	}
	crashed := crash(t, path)
	check(t, s.Close())
	refuse("closed in order")
	path = crashed
	dir = filepath.Dir(path)
	refuse("killed")
}

// crash returns a copy of a store in use, as a kill leaves it.
func crash(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "vpn.db")
	copyFile(t, path, to)
	copyFile(t, path+walSuffix, to+walSuffix)
	return to
}

func TestMigrationKeepsABackup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 10)
	want, id, generation := snapshot(t, s), s.ID(), s.Generation()
	check(t, s.Close())

	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	next := withNext(t, `ALTER TABLE users ADD COLUMN next TEXT;`)
	s, err := open(t.Context(), path, Options{Now: func() time.Time { return now }}, next)
	check(t, err)
	if got := snapshot(t, s); !maps.Equal(got, want) || s.ID() != id || s.Generation() != generation {
		t.Errorf("after the migration: %v, want %v", got, want)
	}
	view(t, s, func(tx app.Tx) error {
		es, err := tx.Events.List(1)
		if len(es) != 1 || es[0].Action != "store.migrate" || es[0].Actor != "system" || !es[0].At.Equal(now) {
			t.Errorf("the audit log has %+v", es)
		}
		return err
	})
	check(t, s.Close())
	if got := listing(t, dir); !slices.Equal(got, []string{"vpn.db", "vpn.db-seal", fmt.Sprintf("vpn.db.before-%d", newest(t)+1)}) {
		t.Errorf("the directory holds %q", got)
	}

	// Back to the older program: its backup takes the store's place.
	check(t, os.Rename(fmt.Sprintf("%s.before-%d", path, newest(t)+1), path))
	s = mustOpen(t, path)
	if got := snapshot(t, s); !maps.Equal(got, want) || s.ID() != id || s.Generation() == generation {
		t.Errorf("the backup holds %v, want %v; generation %s, was %s", got, want, s.Generation(), generation)
	}
}

// A store that the first program made is opened with all that is in it, and
// without what it had no words for.
func TestOpenTakesAnOldStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	dump, err := os.ReadFile(filepath.Join("testdata", "version-1.sql"))
	check(t, err)
	db := raw(t, path)
	_, err = db.Exec(string(dump))
	check(t, err)
	check(t, db.Close())

	s := mustOpen(t, path)
	view(t, s, func(tx app.Tx) error {
		us, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		if len(us) != 3 {
			t.Fatalf("%d users", len(us))
		}
		want := vpn.User{
			ID: "uiobtsofyfulv5yi", Name: "alice", Enabled: true, Limits: vpn.Limits{Quota: 50e9, RateDown: 2.5e6, Devices: 2},
			Used: vpn.Traffic{Up: 10, Down: 30}, CreatedAt: us[0].CreatedAt, UpdatedAt: us[0].UpdatedAt,
		}
		if !reflect.DeepEqual(us[0], want) {
			t.Errorf("alice is\n%+v, want\n%+v", us[0], want)
		}
		return err
	})
	view(t, s, func(tx app.Tx) error {
		g, err := tx.Credentials.Grants("yi32jv7y7g57lbsz", 0)
		if len(g.Upsert) != 2 || g.Upsert[0].Hold != (vpn.Hold{}) || g.Upsert[0].Throttle != 0 || !g.Upsert[0].Capped {
			t.Errorf("grants %+v", g)
		}
		return err
	})
	update(t, s, func(tx app.Tx) error {
		u, err := tx.Users.ByName("alice")
		u.Tags, u.Note, u.TurnsAt = []string{"old"}, "of long standing", time.UnixMicro(1).UTC()
		return errors.Join(err, tx.Users.Put(u), tx.Periods.AddReset(u.ID, vpn.Reset{Actor: "system"}))
	})
	check(t, s.Close())
	if _, err := os.Stat(fmt.Sprintf("%s.before-%d", path, newest(t))); err != nil {
		t.Error(err)
	}
}

func TestMigrationThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	s := mustOpen(t, path)
	populate(t, s, 10)
	want := snapshot(t, s)
	check(t, s.Close())
	bad := withNext(t, "DELETE FROM credentials; DELETE FROM users;\nINSERT INTO nothing VALUES (1);")
	if _, err := open(t.Context(), path, Options{}, bad); err == nil {
		t.Fatal("a bad migration: no error")
	}
	if got := snapshot(t, mustOpen(t, path)); !maps.Equal(got, want) {
		t.Errorf("after a bad migration: %v, want %v", got, want)
	}
}

func TestAKilledCreationIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	for _, suffix := range []string{".new", ".new-wal", ".new-shm"} {
		check(t, os.WriteFile(path+suffix, []byte("half"), 0o600))
	}
	s := mustOpen(t, path)
	populate(t, s, 1)
	check(t, s.Close())
	if got := listing(t, filepath.Dir(path)); !slices.Equal(got, []string{"vpn.db", "vpn.db-seal"}) {
		t.Errorf("the directory holds %q", got)
	}
}

func TestOpenHonoursItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpn.db")
	check(t, mustOpen(t, path).Close())
	if _, err := Open(canceled(t), path, Options{}); err == nil || vpn.KindOf(err) != vpn.Internal {
		t.Errorf("got %v, want the context's error", err)
	}
}

// What power loss must not take depends on these; no kill would show that
// they are wrong.
func TestSettings(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "vpn.db"))
	for _, c := range []struct {
		db           *sql.DB
		pragma, want string
	}{
		{s.write, "journal_mode", "wal"},
		{s.write, "synchronous", "2"},
		{s.write, "foreign_keys", "1"},
		{s.write, "busy_timeout", "10000"},
		{s.read, "journal_mode", "wal"},
		{s.read, "busy_timeout", "10000"},
	} {
		var got string
		check(t, c.db.QueryRow("PRAGMA "+c.pragma).Scan(&got))
		if got != c.want {
			t.Errorf("%s is %s, want %s", c.pragma, got, c.want)
		}
	}
}

// raw opens the file as another program would.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	check(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}
