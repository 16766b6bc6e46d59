package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// A process that is killed at any moment loses nothing that it has said is
// done, and does nothing by halves. The next one opens what it finds.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	done := &promises{alive: map[string]bool{}}
	acknowledged := 0
	for i := range rounds(t, "VPN_TEST_KILLS", 30) {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		cmd, said := child(t, "writer", dir)
		after := r.IntN(25)
		for range after {
			if !said.Scan() {
				t.Fatal("the writer ended by itself")
			}
			done.note(t, said.Text())
		}
		<-time.After(time.Duration(r.IntN(4000)) * time.Microsecond)
		check(t, cmd.Process.Kill())
		for said.Scan() {
			done.note(t, said.Text()) // it was committed before the kill
		}
		_ = cmd.Wait()
		acknowledged += done.fresh
		done.fresh = 0
		if hasLog(filepath.Join(dir, "vpn.db")) {
			// The next writer finds the files as they are; a copy is looked at.
			done.kept(t, crash(t, filepath.Join(dir, "vpn.db")))
		}
	}
	s := mustOpen(t, filepath.Join(dir, "vpn.db"))
	done.keptBy(t, s)
	t.Logf("%d acknowledged changes", acknowledged)
	if acknowledged < 100 {
		t.Errorf("only %d changes were acknowledged: the test shows little", acknowledged)
	}
}

// promises are what writers have said is done.
type promises struct {
	alive    map[string]bool // by name
	recorded uint64
	fresh    int
}

func (p *promises) note(t *testing.T, line string) {
	t.Helper()
	p.fresh++
	verb, what, _ := strings.Cut(line, " ")
	switch verb {
	case "create":
		p.alive[what] = true
	case "delete":
		p.alive[what] = false
	case "record":
		var n uint64
		if _, err := fmt.Sscan(what, &n); err != nil {
			t.Fatalf("the writer said %q", line)
		}
		if n < p.recorded {
			t.Errorf("recorded %d, after %d", n, p.recorded)
		}
		p.recorded = n
	}
}

func (p *promises) kept(t *testing.T, path string) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	p.keptBy(t, s)
	check(t, s.Close())
}

func (p *promises) keptBy(t *testing.T, s *Store) {
	t.Helper()
	check(t, checkIntegrity(t.Context(), s.read, s.path))
	view(t, s, func(tx app.Tx) error {
		all, err := tx.Users.List(vpn.UserFilter{Deleted: true})
		check(t, err)
		creds, err := tx.Credentials.ForServer("main")
		check(t, err)
		has := map[vpn.UserID]int{}
		for _, c := range creds {
			has[c.User]++
		}
		users := map[string]vpn.User{}
		var used vpn.Traffic
		for _, u := range all {
			users[u.Name] = u
			used = used.Add(u.Used)
			if has[u.ID] != 1 {
				t.Errorf("user %s has %d credentials: it was stored by half", u.Name, has[u.ID])
			}
		}
		for name, alive := range p.alive {
			u, ok := users[name]
			if !ok {
				t.Errorf("user %s was acknowledged, and is lost", name)
			}
			if ok && !alive && u.DeletedAt.IsZero() {
				t.Errorf("the deletion of user %s was acknowledged, and is lost", name)
			}
		}
		if len(all) == 0 {
			return nil // killed before the first commit
		}
		first := users["crowd-000"].Used.Up
		if first < p.recorded || first > p.recorded+writerUnit {
			t.Errorf("recorded %d, acknowledged %d", first, p.recorded)
		}
		p.recorded = first // seen is as good as said: the next kill may add one more
		byServer, err := tx.Usage.ByServer()
		check(t, err)
		if want := (vpn.Traffic{Up: first * writerCrowd}); used != want || byServer["main"] != want {
			t.Errorf("traffic by halves: users %v, server %v, want %v", used, byServer["main"], want)
		}
		return nil
	})
}
