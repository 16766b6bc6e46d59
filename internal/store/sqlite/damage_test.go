package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// rounds is how often a test of chance is repeated. The variable asks for
// more than the everyday number.
func rounds(t *testing.T, variable string, everyday int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return everyday
	}
	n, err := strconv.Atoi(text)
	check(t, err)
	return n
}

// aged returns the path of a closed store with some history: deleted users,
// traffic of running and ended epochs, events, free pages.
func aged(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vpn.db")
	s := mustOpen(t, path)
	age(t, s)
	check(t, s.Close())
	return path
}

func age(t *testing.T, s *Store) {
	t.Helper()
	srv, creds := populate(t, s, 150)
	counters := make([]vpn.Counter, len(creds))
	for i, c := range creds {
		counters[i] = vpn.Counter{Credential: c.ID, User: c.User, Traffic: vpn.Traffic{Up: 1000, Down: uint64(i)}}
	}
	now := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	update(t, s, func(tx app.Tx) error {
		for _, epoch := range []string{"one", "two"} {
			check(t, tx.Usage.Record(srv.ID, epoch, counters, time.Unix(1e9, 0)))
		}
		check(t, tx.Usage.End("one", now))
		for _, c := range creds[:40] {
			u, err := tx.Users.Get(c.User)
			check(t, err)
			u.DeletedAt = now
			check(t, tx.Users.Put(u))
			check(t, tx.Events.Add(vpn.Event{At: now, Actor: "uid 0 (root)", Action: "users.delete", Subject: u.Name}))
		}
		return nil
	})
	update(t, s, func(tx app.Tx) error { return tx.Credentials.Purge(now.Add(time.Hour)) })
}

// readAll reads everything; with a file that is as it should be it succeeds.
func readAll(ctx context.Context, s *Store) error {
	return s.View(ctx, func(tx app.Tx) error {
		us, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		if err != nil {
			return err
		}
		for _, u := range us {
			if _, err := tx.Credentials.ForUser(u.ID); err != nil {
				return err
			}
			if _, err := tx.Usage.ByUser(u.ID); err != nil {
				return err
			}
		}
		servers, err := tx.Servers.List()
		if err != nil {
			return err
		}
		for _, srv := range servers {
			if _, err := tx.Credentials.Grants(srv.ID, 0); err != nil {
				return err
			}
		}
		if _, err := tx.Usage.Marks("two"); err != nil {
			return err
		}
		_, err = tx.Events.List(1000)
		return err
	})
}

// mutations are what disks and careless copies do to a file.
func mutations(r *rand.Rand, size int) (string, func([]byte) []byte) {
	const page = 4096
	switch at := r.IntN(size); r.IntN(6) {
	case 0:
		return fmt.Sprintf("cut to %d bytes", at), func(b []byte) []byte { return b[:at] }
	case 1:
		at -= at % page
		return fmt.Sprintf("cut to %d pages", at/page), func(b []byte) []byte { return b[:at] }
	case 2:
		at -= at % page
		return fmt.Sprintf("page %d zeroed", at/page), func(b []byte) []byte { clear(b[at : at+page]); return b }
	case 3:
		from, to := at-at%page, r.IntN(size/page)*page
		return fmt.Sprintf("page %d written over page %d", from/page, to/page), func(b []byte) []byte {
			copy(b[to:to+page], b[from:from+page])
			return b
		}
	case 4:
		return fmt.Sprintf("noise at %d", at), func(b []byte) []byte {
			for i := at; i < min(at+64, len(b)); i++ {
				b[i] = byte(r.Uint32())
			}
			return b
		}
	default:
		bit := r.IntN(8)
		return fmt.Sprintf("bit %d of byte %d flipped", bit, at), func(b []byte) []byte { b[at] ^= 1 << bit; return b }
	}
}

// A sealed file that was changed is refused, whatever was changed. Without a
// seal, as after a kill, a file is refused that SQLite itself finds damaged.
// Neither is touched, and nothing panics.
func TestADamagedFileIsRefused(t *testing.T) {
	source := aged(t)
	whole, err := os.ReadFile(source)
	check(t, err)
	seal, err := os.ReadFile(source + sealSuffix)
	check(t, err)
	opened := 0
	n := rounds(t, "VPN_TEST_DAMAGE", 60)
	for i := range n {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		what, mutate := mutations(r, len(whole))
		text := mutate([]byte(string(whole)))
		if string(text) == string(whole) {
			continue
		}
		path := filepath.Join(t.TempDir(), "vpn.db")
		check(t, os.WriteFile(path, text, 0o600))
		check(t, os.WriteFile(path+sealSuffix, seal, 0o600))
		refused(t, what+", sealed", path, text)

		check(t, os.Remove(path+sealSuffix))
		if sound(t, path) {
			opened++
			s, err := Open(t.Context(), path, Options{})
			if err != nil {
				wellSaid(t, what, path, err)
				continue
			}
			if err := readAll(t.Context(), s); err != nil {
				t.Logf("%s: %v", what, err) // a name that is no UTF-8 any more, an address that is none
			}
			check(t, s.Close())
			continue
		}
		refused(t, what+", without a seal", path, text)
	}
	t.Logf("%d of %d files were sound to SQLite", opened, n)
}

// sound is SQLite's own opinion of a file.
func sound(t *testing.T, path string) bool {
	t.Helper()
	db := connect("file:" + path + "?mode=ro&immutable=1")
	defer db.Close()
	var verdict string
	err := db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict)
	return err == nil && verdict == "ok"
}

func refused(t *testing.T, what, path string, text []byte) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err == nil {
		t.Errorf("%s: it was opened", what)
		check(t, s.Close())
		return
	}
	wellSaid(t, what, path, err)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(text) {
		t.Errorf("%s: the file was touched (%v)", what, err)
	}
}

// wellSaid wants an error that tells which file it is about, and what to do.
func wellSaid(t *testing.T, what, path string, err error) {
	t.Helper()
	e, ok := err.(*vpn.Error) //nolint:errorlint // nothing may be wrapped around it
	if !ok || e.Kind != vpn.Unavailable || !strings.Contains(e.Message, path) || e.Hint == "" {
		t.Errorf("%s: got %v (%T), want an error of kind unavailable with the path and a hint", what, err, err)
	}
}

// A killed store's log is part of it. What is wrong with a log must neither
// panic nor make a mixture of two stores.
func TestADamagedLog(t *testing.T) {
	path := aged(t)
	s := mustOpen(t, path)
	for i := range 20 {
		update(t, s, func(tx app.Tx) error {
			return tx.Users.Put(vpn.User{ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprint("late-", i)})
		})
	}
	killed := crash(t, path)
	check(t, s.Close())
	whole, err := os.ReadFile(killed)
	check(t, err)
	log, err := os.ReadFile(killed + walSuffix)
	check(t, err)
	for i := range rounds(t, "VPN_TEST_DAMAGE", 25) {
		r := rand.New(rand.NewPCG(2, uint64(i)))
		what, mutate := mutations(r, len(log))
		path := filepath.Join(t.TempDir(), "vpn.db")
		check(t, os.WriteFile(path, whole, 0o600))
		check(t, os.WriteFile(path+walSuffix, mutate([]byte(string(log))), 0o600))
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			wellSaid(t, what, path, err)
			continue
		}
		if err := readAll(t.Context(), s); err != nil {
			t.Errorf("%s: it was opened, and then: %v", what, err)
		}
		check(t, s.Close())
		if !sound(t, path) {
			t.Errorf("%s: it was opened, and is not sound", what)
		}
	}
}

func TestWhatIsNoStoreIsRefused(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "other.db")
	db := raw(t, foreign)
	_, err := db.Exec(`CREATE TABLE meta (x TEXT); CREATE TABLE inbounds (id INTEGER)`)
	check(t, err)
	check(t, db.Close())
	text, err := os.ReadFile(foreign)
	check(t, err)
	for what, text := range map[string][]byte{
		"an empty file":           {},
		"a text":                  []byte("users: alice\n"),
		"another program's store": text,
		"zeroes":                  make([]byte, 8192),
		"a header alone":          []byte("SQLite format 3\x00"),
	} {
		path := filepath.Join(t.TempDir(), "vpn.db")
		check(t, os.WriteFile(path, text, 0o600))
		refused(t, what, path, text)
	}

	path := filepath.Join(t.TempDir(), "vpn.db")
	check(t, os.WriteFile(path+walSuffix, []byte("a log without its file"), 0o600))
	if _, err := Open(t.Context(), path, Options{}); err == nil {
		t.Error("a log without its file: no error")
	} else {
		wellSaid(t, "a log without its file", path, err)
	}

	path = filepath.Join(t.TempDir(), "vpn.db")
	check(t, os.Mkdir(path, 0o700))
	if _, err := Open(t.Context(), path, Options{}); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a directory: got %v, want a conflict", err)
	}
}

// Who changes the file by hand and means it takes the seal away.
func TestASealCanBeTakenAway(t *testing.T) {
	path := aged(t)
	db := raw(t, path)
	_, err := db.Exec(`UPDATE users SET quota = 42`)
	check(t, err)
	check(t, db.Close())
	_, err = Open(t.Context(), path, Options{})
	if err == nil || !strings.Contains(err.(*vpn.Error).Hint, path+sealSuffix) { //nolint:errorlint // it would panic, and fail
		t.Fatalf("changed by another program: got %v", err)
	}
	check(t, os.Remove(path+sealSuffix))
	view(t, mustOpen(t, path), func(tx app.Tx) error {
		us, err := tx.Users.List(vpn.UserFilter{})
		if len(us) == 0 || us[0].Limits.Quota != 42 {
			t.Errorf("got %+v", us)
		}
		return err
	})
}

func TestAHalfWrittenSealIsNone(t *testing.T) {
	path := aged(t)
	check(t, os.WriteFile(path+sealSuffix, []byte("crc32c"), 0o600))
	if err := readAll(t.Context(), mustOpen(t, path)); err != nil {
		t.Error(err)
	}
}
