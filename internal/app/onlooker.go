package app

import (
	"context"
	"time"

	"vpn/internal/vpn"
)

// An onlooker finds out what happens to users by itself, and tells it to
// whoever follows. It looks once a second, and only while somebody does: with
// 10,000 users that takes a millisecond, and 30 more after a change.
//
// The reconciler's one loop calls it.
type onlooker struct {
	store  Store
	ledger *ledger
	feeds  *feeds
	now    func() time.Time

	// What was seen last; users is nil if nobody followed then.
	users            map[vpn.UserID]acquaintance
	revision         uint64
	expired, limited map[vpn.UserID]bool
}

// An acquaintance is what has to be known of a user.
type acquaintance struct {
	name    string
	expires time.Time // of those who are enabled; zero: never
	enabled bool
}

// look tells who has expired, or used up a quota, since the last look.
func (o *onlooker) look(ctx context.Context) {
	if !o.feeds.followed() {
		o.users, o.expired, o.limited = nil, nil, nil
		return
	}
	first := o.users == nil
	if err := o.read(ctx); err != nil {
		return // the next look sees what this one missed
	}
	now := o.now()
	expired, limited := map[vpn.UserID]bool{}, map[vpn.UserID]bool{}
	for id, u := range o.users {
		if !u.enabled || u.expires.IsZero() || now.Before(u.expires) {
			continue
		}
		expired[id] = true
		if !first && !o.expired[id] {
			o.feeds.tell(byItself(now, vpn.UserExpired, u.name, "expires_at "+u.expires.UTC().Format(time.RFC3339)))
		}
	}
	for _, id := range o.ledger.limited() {
		u, known := o.users[id]
		if !known || !u.enabled || expired[id] {
			continue
		}
		limited[id] = true
		if !first && !o.limited[id] {
			o.feeds.tell(byItself(now, vpn.UserLimited, u.name, "the quota is used up"))
		}
	}
	o.expired, o.limited = expired, limited
}

// read makes the acquaintance of the users, if they have changed.
func (o *onlooker) read(ctx context.Context) error {
	return o.store.View(ctx, func(tx Tx) error {
		revision, err := tx.Revision()
		if err != nil || o.users != nil && revision == o.revision {
			return err
		}
		all, err := tx.Users.List(vpn.UserFilter{})
		if err != nil {
			return err
		}
		users := make(map[vpn.UserID]acquaintance, len(all))
		for _, u := range all {
			users[u.ID] = acquaintance{u.Name, u.ExpiresAt, u.Enabled}
		}
		o.users, o.revision = users, revision
		return nil
	})
}

// limited returns the users whose quota is used up.
func (l *ledger) limited() []vpn.UserID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []vpn.UserID
	for id, a := range l.accounts.of {
		if !a.limited() {
			continue
		}
		u := vpn.User{Enabled: true, Limits: vpn.Limits{Quota: a.quota.Quota}, Used: a.quota.Used.Add(a.pending)}
		if u.Status(time.Time{}) == vpn.Limited {
			out = append(out, id)
		}
	}
	return out
}
