package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// crowd is how many users a large installation has; the budgets are for it.
const crowd = 10_000

// populate stores n users with a credential each on one server.
func populate(t testing.TB, s *Store, n int) (vpn.Server, []vpn.Credential) {
	t.Helper()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	srv := vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: "main", Protocol: "vless", Runtime: "process", CreatedAt: now}
	creds := make([]vpn.Credential, n)
	update(t, s, func(tx app.Tx) error {
		if _, err := tx.Servers.Put(srv); err != nil {
			return err
		}
		for i := range creds {
			u := vpn.User{
				ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprintf("user-%05d", i), Enabled: true,
				Limits:    vpn.Limits{Quota: 100e9, RateUp: 1e6, RateDown: 1e6, Devices: 3},
				ExpiresAt: now.Add(720 * time.Hour), CreatedAt: now, UpdatedAt: now,
			}
			creds[i] = vpn.Credential{
				ID: vpn.CredentialID(vpn.NewID()), User: u.ID, Server: srv.ID, Slot: uint32(i),
				Secret: vpn.NewSecret("4f1c9a52-3e0b-4d7e-9b53-" + vpn.NewID()[:12]), CreatedAt: now,
			}
			if err := tx.Users.Put(u); err != nil {
				return err
			}
			if err := tx.Credentials.Put(creds[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return srv, creds
}

func update(t testing.TB, s *Store, fn func(app.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *Store, fn func(app.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkOpen is what a command without a daemon pays for: sealed and
// nothing changed, and, after a kill, with a look at everything.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "vpn.db")
	s := mustOpen(b, path)
	populate(b, s, crowd)
	s.Close()
	for _, bench := range []struct {
		name    string
		prepare func()
		use     func(app.Tx) error
	}{
		{"sealed", func() {}, nil},
		{"unsealed", func() { check(b, breakSeal(path)) }, nil},
		{"and list", func() {}, func(tx app.Tx) error { _, err := tx.Users.List(vpn.UserFilter{}); return err }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				bench.prepare()
				began := time.Now()
				s, err := Open(b.Context(), path, Options{})
				check(b, err)
				if bench.use != nil {
					view(b, s, bench.use)
				}
				took = append(took, time.Since(began))
				check(b, s.Close())
			}
			report(b, took)
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkStore(b *testing.B) {
	s := mustOpen(b, filepath.Join(b.TempDir(), "vpn.db"))
	srv, creds := populate(b, s, crowd)
	measure := func(name string, do func(i int)) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				do(i)
				took = append(took, time.Since(began))
			}
			report(b, took)
		})
	}
	var moved uint64
	counters := make([]vpn.Counter, crowd)
	record := func(n int) {
		moved += 1000
		for i, c := range creds[:n] {
			counters[i] = vpn.Counter{Credential: c.ID, User: c.User, Traffic: vpn.Traffic{Up: moved, Down: 2 * moved}}
		}
		update(b, s, func(tx app.Tx) error { return tx.Usage.Record(srv.ID, "epoch", counters[:n], time.Now()) })
	}
	record(crowd)
	measure("record 10000", func(int) { record(crowd) })
	measure("record 10", func(int) { record(10) })
	since, err := uint64(0), error(nil)
	view(b, s, func(tx app.Tx) error { since, err = tx.Revision(); return err })
	measure("grants 10000", func(int) {
		view(b, s, func(tx app.Tx) error { _, err := tx.Credentials.Grants(srv.ID, 0); return err })
	})
	measure("grants that changed", func(int) {
		view(b, s, func(tx app.Tx) error { _, err := tx.Credentials.Grants(srv.ID, since); return err })
	})
	measure("list 10000", func(int) {
		view(b, s, func(tx app.Tx) error { _, err := tx.Users.List(vpn.UserFilter{}); return err })
	})
	measure("quotas 10000", func(int) {
		view(b, s, func(tx app.Tx) error { _, err := tx.Usage.Quotas(); return err })
	})
	measure("create", func(int) {
		update(b, s, func(tx app.Tx) error {
			u := vpn.User{ID: vpn.UserID(vpn.NewID()), Name: vpn.NewID()}
			if err := tx.Users.Put(u); err != nil {
				return err
			}
			return tx.Credentials.Put(vpn.Credential{ID: vpn.CredentialID(vpn.NewID()), User: u.ID, Server: srv.ID})
		})
	})
	measure("backup", func(i int) { check(b, s.Backup(b.Context(), filepath.Join(b.TempDir(), fmt.Sprint(i)))) })
	measure("record 10000 of a new epoch", func(i int) {
		update(b, s, func(tx app.Tx) error {
			return tx.Usage.Record(srv.ID, fmt.Sprint("epoch", moved, i), counters, time.Now())
		})
	})
	measure("end of an epoch of 10000", func(i int) {
		update(b, s, func(tx app.Tx) error { return tx.Usage.End(fmt.Sprint("epoch", moved, i), time.Now()) })
	})
}
