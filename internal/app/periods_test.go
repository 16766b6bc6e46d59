package app_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// sleep lets time pass, which in a bubble takes none.
func (b *bench) sleep(d time.Duration) { <-time.After(d) }

// sleepUntil lets time pass until the clock of the wall says at.
func (b *bench) sleepUntil(at time.Time) { b.sleep(at.Sub(b.now())) }

func (b *bench) show(name string) vpn.UserDetail {
	b.t.Helper()
	d, err := b.app.Users.Show(b.ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *bench) create(in vpn.NewUser) vpn.UserInfo {
	b.t.Helper()
	c, err := b.app.Users.Create(b.ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return c.User
}

// away lets time pass without a control plane, which makes up for it: days of
// one that supervises are long, even in a bubble.
func (b *bench) away(d time.Duration) {
	b.t.Helper()
	b.end()
	b.sleep(d)
	b.reopen()
}

func daily(quota uint64) vpn.Limits {
	return vpn.Limits{Quota: quota, Period: vpn.Period{Every: vpn.Daily}}
}

// oclock is where the day begins at that hour of UTC: where somebody moves on
// from one such place to the next, a day begins every hour.
func oclock(hour int) string { return fmt.Sprint("Etc/GMT+", hour) }

// moveTo lets a user's days begin at that hour.
func (b *bench) moveTo(name string, hour int) {
	b.t.Helper()
	if _, err := b.app.Users.Update(b.ctx, name, vpn.UserPatch{TimeZone: new(oclock(hour))}); err != nil {
		b.t.Fatal(err)
	}
}

// At the end of its period a user who was cut is let in again on every
// server, within a second and without a restart.
func TestAPeriodBeginsAnew(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		main, second := b.workers.worker(b.server("main")), b.workers.worker(b.server("second"))
		limits := daily(1000)
		limits.Period.TimeZone = oclock(1)
		u := b.create(vpn.NewUser{Name: "alice", Limits: limits})
		midnight := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
		if !u.ResetsAt.Equal(midnight) {
			t.Fatalf("it resets at %v", u.ResetsAt)
		}
		var moved uint64
		b.until("the quota is used up", func() bool {
			moved += main.move(u.ID, 200) + second.move(u.ID, 50)
			return moved == 1000
		})
		b.until("the product knows", func() bool { return b.show("alice").Status == vpn.Limited })
		b.sleepUntil(midnight.Add(-time.Millisecond))
		if main.move(u.ID, 1) != 0 || b.show("alice").Used.Total() != 1000 {
			t.Error("it was reset too early")
		}
		b.sleepUntil(midnight.Add(time.Second))
		if main.move(u.ID, 1) != 1 || second.move(u.ID, 1) != 1 {
			t.Error("a second later a server does not let the user in")
		}
		b.until("the count", func() bool { return b.used("alice") == 2 })
		d := b.show("alice")
		if d.Status != vpn.Active || !d.ResetsAt.Equal(midnight.AddDate(0, 0, 1)) {
			t.Errorf("afterwards: %+v", d.UserInfo)
		}
		if len(d.Resets) != 1 || d.Resets[0].Used.Total() != 1000 || d.Resets[0].Actor != "system" || !d.Resets[0].Since.Equal(u.CreatedAt) {
			t.Errorf("resets %+v", d.Resets)
		}
		if late := d.Resets[0].At.Sub(midnight); late < 0 || late > time.Second {
			t.Errorf("reset %v after its time", late)
		}
		// The day after, with the use of a day.
		b.moveTo("alice", 2)
		b.sleepUntil(midnight.Add(time.Hour + time.Second))
		if d := b.show("alice"); d.Used.Total() != 0 || len(d.Resets) != 2 || d.Resets[0].Used.Total() != 2 || !d.Resets[0].Since.Equal(d.Resets[1].At) {
			t.Errorf("a day later: used %v, resets %+v", d.Used, d.Resets)
		}
		// And an idle one, of which there is nothing to remember.
		b.moveTo("alice", 3)
		b.sleepUntil(midnight.Add(2*time.Hour + time.Second))
		if d := b.show("alice"); len(d.Resets) != 2 || !d.ResetsAt.Equal(midnight.AddDate(0, 0, 1).Add(2*time.Hour)) {
			t.Errorf("two days later: %v, resets %+v", d.ResetsAt, d.Resets)
		}
	})
}

// Counters are in flight while periods begin anew, again and again: each byte
// belongs to exactly one.
func TestPeriodsLoseNoByteAndCountNoneTwice(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		main, second := b.server("main"), b.server("second")
		u := b.create(vpn.NewUser{Name: "alice", Limits: daily(1 << 40)})
		var moved atomic.Uint64
		const days = 5
		for day := 1; day <= days; day++ {
			midnight := time.Date(2000, 1, 1, day, 0, 0, 0, time.UTC)
			b.moveTo("alice", day)
			b.sleepUntil(midnight.Add(-3 * time.Second))
			var wg sync.WaitGroup
			for _, server := range []vpn.ServerID{main, second} {
				w := b.workers.worker(server)
				wg.Go(func() {
					for b.now().Before(midnight.Add(3 * time.Second)) {
						moved.Add(w.move(u.ID, 3))
						b.sleep(137 * time.Microsecond)
					}
				})
			}
			wg.Wait()
		}
		sum := func() uint64 {
			d := b.show("alice")
			if len(d.Resets) != days {
				t.Fatalf("%d resets", len(d.Resets))
			}
			n := d.Used.Total()
			for _, r := range d.Resets {
				n += r.Used.Total()
			}
			return n
		}
		b.until("every byte is counted", func() bool { return sum() == moved.Load() })
		b.sleep(30 * time.Second)
		if got := sum(); got != moved.Load() {
			t.Errorf("counted %d bytes of %d", got, moved.Load())
		}
	})
}

// A control plane that was away makes up for the reset when it is back, once.
// Till then the workers hold the user to what was left, and what has passed
// belongs to the time before.
func TestAResetFollowsAControlPlaneThatWasAway(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		w := b.workers.worker(b.server("main"))
		u := b.create(vpn.NewUser{Name: "alice", Limits: daily(1000)})
		w.move(u.ID, 300)
		b.until("the count", func() bool { return b.used("alice") == 300 })
		b.end()
		b.sleep(50 * time.Hour) // two resets
		if n := w.move(u.ID, 5000); n != 700 {
			t.Errorf("%d bytes passed while it was away, of 700 that were left", n)
		}
		b.reopen()
		b.until("the user is let in again", func() bool { return w.move(u.ID, 1) == 1 })
		b.until("the count", func() bool { return b.used("alice") == 1 })
		check := func(when string) {
			d := b.show("alice")
			if len(d.Resets) != 1 || d.Resets[0].Used.Total() != 1000 || !d.ResetsAt.Equal(time.Date(2000, 1, 4, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: resets at %v, and was: %+v", when, d.ResetsAt, d.Resets)
			}
		}
		check("back")
		b.reopen()
		b.sleep(time.Minute)
		check("back again")
	})
}

// A clock that jumps resets nobody by mistake, and nobody twice.
func TestResetsAndAClockThatJumps(t *testing.T) {
	const tomorrow = 24 * time.Hour
	for name, c := range map[string]struct {
		jump     time.Duration
		lasts    time.Duration
		resets   int // while it lasts
		resetsAt time.Time
	}{
		"a day, for half a minute":   {tomorrow, 30 * time.Second, 0, time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)},
		"a month, for half a minute": {31 * tomorrow, 30 * time.Second, 0, time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)},
		"a month, for an hour":       {31 * tomorrow, time.Hour, 1, time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC)},
		"a year, for an hour":        {366 * tomorrow, time.Hour, 1, time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)},
		"back a year, for an hour":   {-366 * tomorrow, time.Hour, 0, time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				var offset atomic.Int64
				b.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
				b.reset()
				b.supervise()
				w := b.workers.worker(b.server("main"))
				u := b.create(vpn.NewUser{Name: "alice", Limits: vpn.Limits{Quota: 1000, Period: vpn.Period{Every: vpn.Monthly}}})
				w.move(u.ID, 100)
				b.sleep(time.Minute)
				offset.Store(int64(c.jump))
				b.sleep(c.lasts)
				if n := len(b.show("alice").Resets); n != c.resets {
					t.Errorf("%d resets while the clock is wrong", n)
				}
				offset.Store(0)
				w.move(u.ID, 10)
				b.sleep(2 * time.Hour)
				d := b.show("alice")
				if len(d.Resets) != c.resets || !d.ResetsAt.Equal(c.resetsAt) {
					t.Errorf("afterwards %d resets, the next at %v", len(d.Resets), d.ResetsAt)
				}
				want := uint64(110)
				if c.resets > 0 {
					want = 10
				}
				if d.Used.Total() != want {
					t.Errorf("used %d, want %d", d.Used.Total(), want)
				}
			})
		})
	}
}

// Midnight that comes twice, because the clock was put back by half an hour,
// resets once.
func TestMidnightComesTwice(t *testing.T) {
	bubble(t, func(b *bench) {
		var offset atomic.Int64
		b.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		b.reset()
		b.supervise()
		w := b.workers.worker(b.server("main"))
		u := b.create(vpn.NewUser{Name: "alice", Limits: daily(1000)})
		b.moveTo("alice", 1)
		w.move(u.ID, 100)
		midnight := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
		b.sleepUntil(midnight.Add(10 * time.Minute))
		w.move(u.ID, 30)
		offset.Store(int64(-30 * time.Minute))
		b.sleep(time.Hour)
		if d := b.show("alice"); len(d.Resets) != 1 || d.Used.Total() != 30 || !d.ResetsAt.Equal(midnight.AddDate(0, 0, 1)) {
			t.Errorf("resets %+v, used %v, the next at %v", d.Resets, d.Used, d.ResetsAt)
		}
	})
}

// Another period begins on its own day and keeps what was used.
func TestAPeriodIsChanged(t *testing.T) {
	bubble(t, func(b *bench) {
		b.supervise()
		w := b.workers.worker(b.server("main"))
		u := b.create(vpn.NewUser{Name: "alice", Limits: vpn.Limits{Quota: 1000, Period: vpn.Period{Every: vpn.Monthly, ResetsOn: "31", TimeZone: "Europe/Berlin"}}})
		w.move(u.ID, 100)
		b.until("the count", func() bool { return b.used("alice") == 100 })
		at := func(want time.Time, p vpn.UserPatch) {
			t.Helper()
			c, err := b.app.Users.Update(b.ctx, "alice", p)
			if err != nil || !c.User.ResetsAt.Equal(want) || c.User.Used.Total() != 100 {
				t.Errorf("%v, it resets at %v, used %v; want %v", err, c.User.ResetsAt, c.User.Used, want)
			}
		}
		if want := time.Date(2000, 1, 30, 23, 0, 0, 0, time.UTC); !u.ResetsAt.Equal(want) {
			t.Errorf("it resets at %v", u.ResetsAt)
		}
		at(time.Date(2000, 1, 14, 23, 0, 0, 0, time.UTC), vpn.UserPatch{ResetsOn: new("15")})
		at(time.Date(2000, 1, 15, 0, 0, 0, 0, time.UTC), vpn.UserPatch{TimeZone: new("")})
		at(time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC), vpn.UserPatch{Period: new(vpn.Weekly)}) // the 15th is no day of a week
		at(time.Date(2000, 1, 31, 0, 0, 0, 0, time.UTC), vpn.UserPatch{Period: new(vpn.Rolling)})
		at(time.Time{}, vpn.UserPatch{Period: new(vpn.NoCycle)})
		b.away(40 * 24 * time.Hour)
		if n := len(b.show("alice").Resets); n != 0 {
			t.Errorf("%d resets of who has no period", n)
		}
	})
}
