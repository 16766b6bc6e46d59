package app

import (
	"context"
	"fmt"

	"vpn/internal/vpn"
)

// Reset sets what a user has used back to nothing; one whose quota was used up
// is let in again. Totals per server stay. Every byte that the workers have
// counted until now belongs to the time before.
func (u *Users) Reset(ctx context.Context, name string) (vpn.UserChange, error) {
	actor, err := authorize(ctx, "users.reset")
	if err != nil {
		return vpn.UserChange{}, err
	}
	commit := u.Store.Update // a dry run's, which is rolled back
	if !u.dryRun() {
		u.reconciler.measure(ctx)
		commit = u.reconciler.ledger.commitWith
	}
	var (
		usr vpn.User
		has doors
	)
	err = commit(ctx, func(tx Tx) error {
		var err error
		if usr, err = findUser(tx, name); err != nil {
			return err
		}
		used := usr.Used
		if err := resetUsed(tx, &usr, u.Now(), actor); err != nil {
			return err
		}
		if has, err = doorsOf(tx, usr, u.Now()); err != nil {
			return err
		}
		return u.record(tx, actor, "users.reset", usr.Name, fmt.Sprintf("used %d up, %d down", used.Up, used.Down))
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	synced := u.reconciler.Sync(ctx, has.servers()...)
	now := live{}
	if !u.dryRun() { // what is pending would have been counted before
		all, _ := u.reconciler.ledger.live()
		now = all[usr.ID]
	}
	return vpn.UserChange{User: u.userInfo(usr, now), Synced: synced, DryRun: u.dryRun()}, nil
}
