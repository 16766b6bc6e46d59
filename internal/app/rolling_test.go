package app_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// What counts of a rolling period is the last thirty days, today included: in
// no thirty days in a row is more than the quota used, and no byte counts for
// longer. After a while without a control plane bytes may count for a day that
// was later, and never for one that was earlier.
func TestRollingCountsThirtyDays(t *testing.T) {
	b := newBench(t)
	zone, err := vpn.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	server := b.server("main")
	rapid.Check(t, func(t *rapid.T) {
		name := vpn.NewID()
		u := b.create(vpn.NewUser{Name: name, Limits: vpn.Limits{Period: vpn.Period{Every: vpn.Rolling, TimeZone: "Europe/Berlin"}}})
		var cred vpn.CredentialID
		err := b.store.View(b.ctx, func(tx app.Tx) error {
			cs, err := tx.Credentials.ForUser(u.ID)
			cred = cs[0].ID
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		start := u.CreatedAt.In(zone)
		noon := func(day int) time.Time {
			return time.Date(start.Year(), start.Month(), start.Day()+day, 12, 0, 0, 0, zone)
		}
		var (
			used  = map[int]uint64{}
			total uint64
		)
		for day := 0; day < 100; {
			if n := rapid.Uint64Range(0, 3).Draw(t, "bytes"); n > 0 {
				used[day] += n
				total += n
			}
			next := day + rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 7, 40}).Draw(t, "days")
			now := noon(next)
			var got vpn.User
			err := b.store.Update(b.ctx, func(tx app.Tx) error {
				err := tx.Usage.Record(server, name, []vpn.Counter{{Credential: cred, User: u.ID, Traffic: vpn.Traffic{Up: total}}}, now)
				if err != nil {
					return err
				}
				if got, err = tx.Users.Get(u.ID); err != nil {
					return err
				}
				return app.Turn(tx, &got, now)
			})
			if err != nil {
				t.Fatal(err)
			}
			// What was used on day has been counted on the day before next.
			if moved := used[day]; next > day+1 {
				delete(used, day)
				used[next-1] += moved
			}
			var want uint64
			oldest := -1
			for d := next - vpn.RollingDays + 1; d <= next; d++ {
				want += used[d]
				if used[d] > 0 && oldest < 0 {
					oldest = d
				}
			}
			if got.Used.Total() != want {
				t.Fatalf("on day %d used is %d, want %d: %v", next, got.Used.Total(), want, used)
			}
			if oldest < 0 {
				oldest = next // today's, if there comes to be any
			}
			if leaves := noon(oldest + vpn.RollingDays).Add(-12 * time.Hour); got.ResetsAt.Sub(leaves).Abs() > time.Hour {
				t.Fatalf("on day %d it becomes less at %v, want %v", next, got.ResetsAt.In(zone), leaves)
			}
			day = next
		}
	})
}

// A reset by hand lets go of all days.
func TestRollingIsReset(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		w := b.workers.worker(b.server("main"))
		u := b.create(vpn.NewUser{Name: "alice", Limits: vpn.Limits{Quota: 1000, Period: vpn.Period{Every: vpn.Rolling}}})
		w.move(u.ID, 600)
		b.until("the count", func() bool { return b.used("alice") == 600 })
		b.away(time.Date(2000, 1, 2, 0, 0, 1, 0, time.UTC).Sub(b.now()))
		if d := b.show("alice"); d.Used.Total() != 600 || len(d.Resets) != 0 || !d.ResetsAt.Equal(time.Date(2000, 1, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("the day after: %+v", d.User)
		}
		if n := w.move(u.ID, 1000); n != 400 {
			t.Errorf("%d bytes passed of 400", n)
		}
		if _, err := b.app.Users.Reset(b.ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		if n := w.move(u.ID, 5000); n != 1000 {
			t.Errorf("%d bytes passed after the reset", n)
		}
		b.until("the count", func() bool { return b.used("alice") == 1000 })
		b.away(time.Date(2000, 1, 3, 0, 0, 1, 0, time.UTC).Sub(b.now()))
		d := b.show("alice")
		if d.Used.Total() != 1000 || len(d.Resets) != 1 || d.Resets[0].Used.Total() != 1000 || d.Resets[0].Actor != "test" {
			t.Errorf("used %v, resets %+v", d.Used, d.Resets)
		}
	})
}
