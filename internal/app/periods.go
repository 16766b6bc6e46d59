package app

import (
	"context"
	"log/slog"
	"time"

	"vpn/internal/clock"
	"vpn/internal/vpn"
)

// schedule sets when usr's usage becomes less by itself, seen from now, after its
// period was changed.
func schedule(usr *vpn.User, now time.Time) error {
	p := usr.Limits.Period
	next, err := p.Next(now)
	if err != nil {
		return err
	}
	usr.TurnsAt, usr.ResetsAt = next, next
	if p.Every == vpn.Rolling { // no day that is over counts yet
		usr.ResetsAt, err = p.Leaves(next)
	}
	return err
}

// rephase is schedule for a user who is stored. What has been used until now
// counts for the first day of a rolling period, and so is never let go of too
// early.
func rephase(tx Tx, usr *vpn.User, now time.Time) error {
	if err := schedule(usr, now); err != nil {
		return err
	}
	return tx.Periods.DropDays(usr.ID, forever())
}

// forever is later than all days that count.
func forever() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

// resetUsed begins usr's usage anew and remembers what it was.
func resetUsed(tx Tx, usr *vpn.User, now time.Time, actor Actor) error {
	since := usr.UsedSince
	if since.IsZero() {
		since = usr.CreatedAt
	}
	// A period without any use is none to remember, unless somebody asked.
	if usr.Used != (vpn.Traffic{}) || actor != System() {
		if err := tx.Periods.AddReset(usr.ID, vpn.Reset{At: now, Actor: actor.Name, Since: since, Used: usr.Used}); err != nil {
			return err
		}
	}
	usr.Used, usr.UsedSince = vpn.Traffic{}, now
	if usr.Limits.Period.Every == vpn.Rolling {
		if err := rephase(tx, usr, now); err != nil {
			return err
		}
	}
	return tx.Periods.SetUsed(*usr)
}

// turn does what is due of usr's period at now. Everything that was used until
// now is in usr: the caller has committed it.
func turn(tx Tx, usr *vpn.User, now time.Time) error {
	if usr.Limits.Period.Every == vpn.Rolling {
		return turnDay(tx, usr, now)
	}
	if err := schedule(usr, now); err != nil {
		return err
	}
	return resetUsed(tx, usr, now, System())
}

// turnDay ends a day of a rolling period: what was used on it becomes a part
// by itself, and days that have left the window count no more. After a while
// without a control plane all that has passed meanwhile counts for the day
// that ended last: no byte is let go of too early.
func turnDay(tx Tx, usr *vpn.User, now time.Time) error {
	p := usr.Limits.Period
	days, err := tx.Periods.Days(usr.ID)
	if err != nil {
		return err
	}
	today := usr.Used
	for _, d := range days {
		today = today.Since(d.Used)
	}
	if today != (vpn.Traffic{}) {
		leaves, err := p.Leaves(now)
		if err != nil {
			return err
		}
		day := Day{Leaves: leaves, Used: today}
		if err := tx.Periods.AddDay(usr.ID, day); err != nil {
			return err
		}
		days = append(days, day)
	}
	if err := tx.Periods.DropDays(usr.ID, now); err != nil {
		return err
	}
	if err := schedule(usr, now); err != nil {
		return err
	}
	for _, d := range days {
		switch {
		case !d.Leaves.After(now):
			usr.Used = usr.Used.Since(d.Used)
		case d.Leaves.Before(usr.ResetsAt):
			usr.ResetsAt = d.Leaves
		}
	}
	return tx.Periods.SetUsed(*usr)
}

// A calendar begins users' periods anew when their time has come.
type calendar struct {
	store   Store
	ledger  *ledger
	books   *books
	clock   *clock.Clock
	log     *slog.Logger
	measure func(context.Context) // asks the workers what has moved until now
	greeted func() bool           // all workers that live have been asked once
	began   time.Time             // when it looked first, by the monotonic clock
	last    time.Time             // when it looked last, by the wall clock
}

// greetWait is how long what is due waits for workers that do not answer.
const greetWait = 5 * time.Second

// ready reports whether what passed while no control plane was there is
// known: it belongs to the period that was.
func (c *calendar) ready() bool {
	if c.began.IsZero() {
		c.began = time.Now()
	}
	return c.greeted() || time.Since(c.began) > greetWait
}

// wait returns a channel that tells when the next period begins anew, if that
// is before the next sample, which looks too. Otherwise it returns nil.
func (c *calendar) wait() <-chan time.Time {
	next := c.ledger.nextTurn()
	if next.IsZero() {
		return nil
	}
	if d := next.Sub(c.clock.Now()); d > 0 && d < samplePeriod {
		return time.After(d)
	}
	return nil
}

// turn begins anew what is due, and reports whether anything was. What the
// workers have counted until they are asked now belongs to the time before,
// and every later byte to the time after.
func (c *calendar) turn(ctx context.Context) bool {
	c.mend(ctx)
	next := c.ledger.nextTurn()
	if now := c.clock.Now(); next.IsZero() || now.Before(next) || c.books.problem() != nil || !c.ready() {
		return false
	}
	c.measure(ctx)
	now := c.clock.Now()
	err := c.books.note(c.ledger.commitWith(ctx, func(tx Tx) error {
		due, err := tx.Periods.Due(now)
		if err != nil {
			return err
		}
		for i := range due {
			if err := turn(tx, &due[i], now); err != nil {
				return err
			}
		}
		return nil
	}))
	return err == nil
}

// mend undoes what a clock that was ahead has done to the times to come: a
// user whose period would begin anew after the next two beginnings is taken
// back to the next. One beginning too many may have been seen while the clock
// was ahead, so the very next one may stay left out. A clock that is before
// the user was made is the one that is wrong.
func (c *calendar) mend(ctx context.Context) {
	now, last := c.clock.Now(), c.last
	c.last = now
	if !last.IsZero() && !now.Before(last.Add(-time.Minute)) {
		return // the first look, and one after the clock was put back
	}
	var users []vpn.User
	err := c.store.View(ctx, func(tx Tx) (err error) {
		users, err = tx.Users.List(vpn.UserFilter{})
		return err
	})
	if err != nil {
		c.last = last // and look again
		return
	}
	var ahead []vpn.UserID
	for _, usr := range users {
		if isAhead(usr, now) {
			ahead = append(ahead, usr.ID)
		}
	}
	if len(ahead) == 0 {
		return
	}
	c.log.Warn("the clock was ahead, and periods begin anew as it says now", slog.Int("users", len(ahead)))
	_ = c.books.note(c.ledger.commitWith(ctx, func(tx Tx) error {
		for _, id := range ahead {
			usr, err := tx.Users.Get(id)
			if err != nil {
				return err
			}
			if err := rephase(tx, &usr, now); err != nil {
				return err
			}
			if err := tx.Periods.SetUsed(usr); err != nil {
				return err
			}
		}
		return nil
	}))
}

func isAhead(usr vpn.User, now time.Time) bool {
	if usr.TurnsAt.IsZero() || now.Before(usr.CreatedAt) {
		return false
	}
	next, err := usr.Limits.Period.Next(now)
	if err != nil {
		return false
	}
	next, err = usr.Limits.Period.Next(next)
	return err == nil && usr.TurnsAt.After(next)
}
