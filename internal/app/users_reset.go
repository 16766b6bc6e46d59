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
	u.reconciler.measure(ctx)
	var usr vpn.User
	err = u.reconciler.ledger.commitWith(ctx, func(tx Tx) error {
		var err error
		if usr, err = findUser(tx, name); err != nil {
			return err
		}
		used := usr.Used
		if err := tx.Users.ResetUsed(usr.ID); err != nil {
			return err
		}
		usr.Used = vpn.Traffic{}
		return u.record(tx, actor, "users.reset", usr.Name, fmt.Sprintf("used %d up, %d down", used.Up, used.Down))
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	synced := u.reconciler.Sync(ctx)
	return vpn.UserChange{User: u.info(usr, u.reconciler.ledger.liveUsers()[usr.ID]), Synced: synced}, nil
}
