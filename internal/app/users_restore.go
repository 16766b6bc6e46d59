package app

import (
	"context"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// Deleted returns the users that can be restored, the last deleted first.
func (u *Users) Deleted(ctx context.Context) ([]vpn.UserInfo, error) {
	if _, err := authorize(ctx, "users.list"); err != nil {
		return nil, err
	}
	var users []vpn.User
	err := u.Store.View(ctx, func(tx Tx) (err error) {
		users, err = u.tombstones(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]vpn.UserInfo, 0, len(users))
	for _, usr := range users {
		out = append(out, u.userInfo(usr, live{}))
	}
	return out, nil
}

// Restore undoes a deletion that is not older than a day: the user is back
// under its id, with its limits, its usage and its credentials, so that the
// links that were handed out work again. On servers that are new since then it
// gets a credential too.
func (u *Users) Restore(ctx context.Context, name string, in vpn.UserRestore) (vpn.UserChange, error) {
	actor, err := authorize(ctx, "users.restore")
	if err != nil {
		return vpn.UserChange{}, err
	}
	if in.As != "" {
		if err := vpn.ValidName(in.As); err != nil {
			return vpn.UserChange{}, err
		}
	}
	var (
		usr    vpn.User
		access []vpn.Access
		has    doors
	)
	err = u.Store.Update(ctx, func(tx Tx) error {
		var err error
		if usr, err = u.tombstone(tx, name); err != nil {
			return err
		}
		deleted, was := usr.DeletedAt, usr.Name
		detail := ""
		if in.As != "" && in.As != was {
			usr.Name, detail = in.As, "as "+in.As
		}
		if _, err := tx.Users.ByName(usr.Name); err == nil {
			return vpn.Errorf(vpn.Conflict, "the name %q is taken by another user now", usr.Name).
				WithHint("restore it under another: vpn users restore %s --as NEWNAME", name)
		} else if vpn.KindOf(err) != vpn.NotFound {
			return err
		}
		usr.DeletedAt, usr.UpdatedAt = time.Time{}, u.Now()
		if err := devicesOf(tx, usr); err != nil {
			return err
		}
		if err := tx.Users.Put(usr); err != nil {
			return err
		}
		if err := u.readmit(tx, usr, deleted); err != nil {
			return err
		}
		if access, err = u.access(tx, usr); err != nil {
			return err
		}
		if has, err = doorsOf(tx, usr, u.Now()); err != nil {
			return err
		}
		return u.record(tx, actor, "users.restore", was, detail)
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	change := u.follow(ctx, vpn.User{}, usr, nil, has)
	change.Access = access
	return change, nil
}

// readmit brings back the credentials that were deleted together with usr, and
// makes one for each server that it has none on.
func (u *Users) readmit(tx Tx, usr vpn.User, deleted time.Time) error {
	gone, err := tx.Credentials.Tombstones(usr.ID)
	if err != nil {
		return err
	}
	for _, c := range gone {
		if c.DeletedAt.Before(deleted) {
			continue // it was taken from the user before
		}
		c.DeletedAt = time.Time{}
		if err := tx.Credentials.Put(c); err != nil {
			return err
		}
	}
	return u.equip(tx, usr)
}

// tombstones returns the deleted users that can still be restored, the last
// deleted first.
func (u *Users) tombstones(tx Tx) ([]vpn.User, error) {
	all, err := tx.Users.List(vpn.UserFilter{Deleted: true})
	if err != nil {
		return nil, err
	}
	now := u.Now()
	out := slices.DeleteFunc(all, func(usr vpn.User) bool {
		return usr.DeletedAt.IsZero() || now.Sub(usr.DeletedAt) >= tombstoneAge
	})
	slices.SortStableFunc(out, func(a, b vpn.User) int { return b.DeletedAt.Compare(a.DeletedAt) })
	return out, nil
}

// tombstone returns the user of that name that was deleted last or, failing
// that, the one of that ID.
func (u *Users) tombstone(tx Tx, name string) (vpn.User, error) {
	gone, err := u.tombstones(tx)
	if err != nil {
		return vpn.User{}, err
	}
	for _, is := range []func(vpn.User) bool{
		func(usr vpn.User) bool { return usr.Name == name },
		func(usr vpn.User) bool { return string(usr.ID) == name },
	} {
		if i := slices.IndexFunc(gone, is); i >= 0 {
			return gone[i], nil
		}
	}
	if usr, err := findUser(tx, name); err == nil {
		return vpn.User{}, vpn.Errorf(vpn.Conflict, "user %q is not deleted", usr.Name).WithHint("see: vpn users show %s", usr.Name)
	}
	names := make([]string, 0, len(gone))
	for _, usr := range gone {
		names = append(names, usr.Name)
	}
	return vpn.User{}, unknown("user deleted within the last 24 hours", name, names, "vpn users list --deleted")
}
