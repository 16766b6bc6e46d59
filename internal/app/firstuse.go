package app

import (
	"maps"
	"time"

	"vpn/internal/vpn"
)

// firstUses are the workers' reports that users who were on hold have
// connected. A worker repeats its own until it is told; of several the
// earliest counts. The ledger's mutex guards them.
type firstUses struct {
	reported map[vpn.UserID]vpn.FirstUse // and not stored yet
	stored   map[vpn.UserID]vpn.FirstUse // the last of each: a repeated one is no news
}

func newFirstUses() firstUses {
	return firstUses{reported: map[vpn.UserID]vpn.FirstUse{}, stored: map[vpn.UserID]vpn.FirstUse{}}
}

func (x *firstUses) take(fs []vpn.FirstUse) {
	for _, f := range fs {
		if old, ok := x.stored[f.User]; ok && !newer(f, old) {
			continue
		}
		if old, ok := x.reported[f.User]; !ok || newer(f, old) {
			x.reported[f.User] = f
		}
	}
}

// newer reports whether f says more than old: it is of a later hold, or an
// earlier use of the same.
func newer(f, old vpn.FirstUse) bool {
	if !f.Held.Equal(old.Held) {
		return f.Held.After(old.Held)
	}
	return f.At.Before(old.At)
}

func (x *firstUses) pending() bool { return len(x.reported) > 0 }

// store writes what was reported. It may be run again.
func (x *firstUses) store(tx Tx, now time.Time) error {
	for id, f := range x.reported {
		usr, err := tx.Users.Get(id)
		if vpn.KindOf(err) == vpn.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		first := usr.Holds()
		if !usr.Begin(f) {
			continue
		}
		if err := tx.Users.Put(usr); err != nil {
			return err
		}
		if !first { // another worker was a moment earlier
			continue
		}
		err = tx.Events.Add(vpn.Event{
			At: now, Actor: System().Name, Action: "users.first_use", Subject: usr.Name,
			Detail: "expires_at " + usr.ExpiresAt.UTC().Format(time.RFC3339),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle notes that what was reported is stored.
func (x *firstUses) settle() {
	maps.Copy(x.stored, x.reported)
	clear(x.reported)
}
