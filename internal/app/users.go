package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// Users are the use cases of users. A user is named by name or ID.
type Users struct{ *core }

// Create makes a user with a credential on every server, or on those that are
// to let it in. The user exists once
// it returns without an error, whatever the workers say.
func (u *Users) Create(ctx context.Context, in vpn.NewUser) (vpn.UserChange, error) {
	actor, err := authorize(ctx, "users.create")
	if err != nil {
		return vpn.UserChange{}, err
	}
	if err := u.checkNew(in); err != nil {
		return vpn.UserChange{}, err
	}
	now := u.Now()
	usr := vpn.User{
		ID: vpn.UserID(vpn.NewID()), Name: in.Name, Enabled: true, Limits: in.Limits,
		ExpiresAt: in.ExpiresAt, Tags: sortedTags(in.Tags), Email: in.Email, Note: in.Note, CreatedAt: now, UpdatedAt: now,
	}
	if in.ValidFor > 0 {
		usr.Hold = hold(in.ValidFor, now)
	}
	if err := schedule(&usr, now); err != nil {
		return vpn.UserChange{}, err
	}
	var (
		access []vpn.Access
		has    doors
	)
	err = u.Store.Update(ctx, func(tx Tx) error {
		if in.Servers != nil {
			if usr.AllowedServers, err = serverIDs(tx, *in.Servers); err != nil {
				return err
			}
		}
		if err := devicesOf(tx, usr); err != nil {
			return err
		}
		if err := tx.Users.Put(usr); err != nil {
			return err
		}
		if err := u.equip(tx, usr); err != nil {
			return err
		}
		if access, err = u.access(tx, usr); err != nil {
			return err
		}
		if has, err = doorsOf(tx, usr, u.Now()); err != nil {
			return err
		}
		return u.record(tx, actor, "users.create", usr.Name, "")
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	change := u.follow(ctx, vpn.User{}, usr, nil, has)
	change.Access = access
	return change, nil
}

// List returns those of the living users that f selects, by name.
func (u *Users) List(ctx context.Context, f vpn.UserFilter) ([]vpn.UserInfo, error) {
	users, now, err := readUsers(ctx, u, f)
	if err != nil {
		return nil, err
	}
	most := len(users)
	if f.Online {
		most = min(most, len(now))
	}
	out := make([]vpn.UserInfo, 0, most)
	for i := range users {
		l := now[users[i].ID]
		if f.Online && l.conns == 0 {
			continue
		}
		if info := u.userInfo(users[i], l); f.Meets(info.User, info.Status) {
			out = append(out, info)
		}
	}
	return out, nil
}

// Each calls fn with each user that List would return, in the same order, and
// returns fn's first error. What fn is given, it must not keep.
func (u *Users) Each(ctx context.Context, f vpn.UserFilter, fn func(*vpn.UserInfo) error) error {
	users, now, err := readUsers(ctx, u, f)
	if err != nil {
		return err
	}
	var info vpn.UserInfo
	for i := range users {
		l := now[users[i].ID]
		if f.Online && l.conns == 0 {
			continue
		}
		if info = u.userInfo(users[i], l); !f.Meets(info.User, info.Status) {
			continue
		}
		if err := fn(&info); err != nil {
			return err
		}
	}
	return nil
}

// readUsers returns the living users, by name, as far as f looks at them, and
// what is live of them.
func readUsers(ctx context.Context, u *Users, f vpn.UserFilter) (users []vpn.User, now map[vpn.UserID]live, err error) {
	if _, err := authorize(ctx, "users.list"); err != nil {
		return nil, nil, err
	}
	if err := checkFilter(f); err != nil {
		return nil, nil, err
	}
	if f.Online && isBrief(f) { // asked by whoever watches, again and again
		u.reconciler.glance(ctx)
		return u.reconciler.roster.read(ctx)
	}
	err = u.Store.View(ctx, func(tx Tx) (err error) {
		list := tx.Users.List
		if isBrief(f) {
			list = tx.Users.Brief
		}
		users, err = list(vpn.UserFilter{})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	u.reconciler.glance(ctx)
	now, _ = u.reconciler.ledger.live()
	return users, now, nil
}

// isBrief reports whether nothing is looked at but what [UserStore.Brief] has,
// and what follows from that.
func isBrief(f vpn.UserFilter) bool {
	has := []string{
		"id", "name", "enabled", "expires_at", "valid_for", "held_since", "first_used_at", "created_at", "deleted_at",
		"limits.quota", "limits.throttle", "used", "used.up", "used.down",
		"status", "online", "rate", "rate.up", "rate.down",
	}
	more := func(field string) bool { return !slices.Contains(has, field) }
	return len(f.Fields) > 0 && len(f.Tags) == 0 && f.Search == "" && !slices.ContainsFunc(f.Fields, more)
}

// userInfo derives what is shown of usr from what is stored and what is live.
func (c *core) userInfo(usr vpn.User, l live) vpn.UserInfo {
	l.on(&usr)
	return vpn.UserInfo{User: usr, Status: usr.Status(c.Now()), Online: l.conns, Rate: l.rate}
}

// Show returns one user with its traffic per server and its live sessions.
func (u *Users) Show(ctx context.Context, name string) (vpn.UserDetail, error) {
	if _, err := authorize(ctx, "users.show"); err != nil {
		return vpn.UserDetail{}, err
	}
	var (
		usr     vpn.User
		servers []vpn.Server
		creds   []vpn.Credential
		used    map[vpn.ServerID]vpn.Traffic
		resets  []vpn.Reset
	)
	err := u.Store.View(ctx, func(tx Tx) (err error) {
		if usr, err = findUser(tx, name); err != nil {
			return err
		}
		if servers, err = tx.Servers.List(); err != nil {
			return err
		}
		if creds, err = tx.Credentials.ForUser(usr.ID); err != nil {
			return err
		}
		if used, err = tx.Usage.ByUser(usr.ID); err != nil {
			return err
		}
		resets, err = tx.Periods.Resets(usr.ID)
		return err
	})
	if err != nil {
		return vpn.UserDetail{}, err
	}
	u.reconciler.glance(ctx)
	l := u.reconciler.ledger
	pending := l.pendingOn(usr.ID)
	now, _ := l.live()
	out := vpn.UserDetail{UserInfo: u.userInfo(usr, now[usr.ID]), Servers: []vpn.UserServer{}, Sessions: []vpn.Session{}, Resets: resets}
	by := map[vpn.CredentialID]int{} // live connections
	for _, s := range servers {
		out.Servers = append(out.Servers, vpn.UserServer{Server: s.Name, Protocol: s.Protocol, Allowed: usr.MayUse(s.ID), Used: used[s.ID].Add(pending[s.ID])})
		for _, x := range u.reconciler.sessions(ctx, s) {
			if x.User == usr.ID {
				x.UserName = usr.Name
				out.Sessions = append(out.Sessions, x)
				by[x.Credential]++
			}
		}
	}
	out.Credentials = credentialsOf(usr, servers, creds, by, u.Now())
	out.Online = max(out.Online, len(out.Sessions))
	return out, nil
}

// credentialsOf returns what lets usr in, server by server and device by device,
// the oldest first.
func credentialsOf(usr vpn.User, servers []vpn.Server, creds []vpn.Credential, online map[vpn.CredentialID]int, now time.Time) []vpn.UserCredential {
	out := []vpn.UserCredential{}
	for _, s := range servers {
		for _, cred := range creds {
			if cred.Server != s.ID || !usr.MayUse(s.ID) || isOver(cred, now) {
				continue
			}
			out = append(out, vpn.UserCredential{
				ID: cred.ID, Server: s.Name, Device: cred.Label, CreatedAt: cred.CreatedAt, EndsAt: cred.NotAfter, Online: online[cred.ID],
			})
		}
	}
	slices.SortStableFunc(out, func(a, b vpn.UserCredential) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Device, b.Device))
	})
	return out
}

// Delete removes a user: cut at once, gone from every list. Its traffic stays
// counted in the servers' totals.
func (u *Users) Delete(ctx context.Context, name string) (vpn.UserChange, error) {
	return u.change(ctx, "users.delete", name, func(_ Tx, usr *vpn.User) (string, error) {
		usr.DeletedAt = u.Now()
		return "", nil
	})
}

// change loads a user, lets edit change it, stores it with an audit event and
// makes the workers follow.
func (u *Users) change(ctx context.Context, action, name string, edit func(Tx, *vpn.User) (string, error)) (vpn.UserChange, error) {
	actor, err := authorize(ctx, action)
	if err != nil {
		return vpn.UserChange{}, err
	}
	var (
		was, usr vpn.User
		had, has doors
	)
	err = u.Store.Update(ctx, func(tx Tx) error {
		var err error
		if was, err = findUser(tx, name); err != nil {
			return err
		}
		if had, err = doorsOf(tx, was, u.Now()); err != nil {
			return err
		}
		usr = was
		detail, err := edit(tx, &usr)
		if err != nil {
			return err
		}
		usr.UpdatedAt = u.Now()
		if usr.DeletedAt.IsZero() && opens(usr, was) {
			if err := devicesOf(tx, usr); err != nil {
				return err
			}
		}
		if usr.Limits.Period != was.Limits.Period {
			if err := rephase(tx, &usr, u.Now()); err != nil {
				return err
			}
		}
		if err := tx.Users.Put(usr); err != nil {
			return err
		}
		if !usr.DeletedAt.IsZero() {
			if err := u.revoke(tx, usr); err != nil {
				return err
			}
		} else if err := u.equip(tx, usr); err != nil {
			return err
		}
		if has, err = doorsOf(tx, usr, u.Now()); err != nil {
			return err
		}
		return u.record(tx, actor, action, was.Name, detail)
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	return u.follow(ctx, was, usr, had, has), nil
}

// revoke deletes usr's credentials.
func (u *Users) revoke(tx Tx, usr vpn.User) error {
	creds, err := tx.Credentials.ForUser(usr.ID)
	if err != nil {
		return err
	}
	for _, c := range creds {
		c.DeletedAt = usr.DeletedAt // by which a restore finds it again
		if err := tx.Credentials.Put(c); err != nil {
			return err
		}
	}
	return nil
}

// Kick drops a user's live connections. The user may come back at once.
func (u *Users) Kick(ctx context.Context, name string) (vpn.Kicked, error) {
	actor, err := authorize(ctx, "users.kick")
	if err != nil {
		return vpn.Kicked{}, err
	}
	var usr vpn.User
	err = u.Store.View(ctx, func(tx Tx) (err error) {
		usr, err = findUser(tx, name)
		return err
	})
	if err != nil {
		return vpn.Kicked{}, err
	}
	u.note(ctx, actor, "users.kick", usr.Name, "")
	n, err := u.reconciler.kick(ctx, usr.ID)
	return vpn.Kicked{Connections: n, DryRun: u.dryRun()}, err
}

// Access returns what the user puts into a client application, one per server.
func (u *Users) Access(ctx context.Context, name string) ([]vpn.Access, error) {
	if _, err := authorize(ctx, "users.access"); err != nil {
		return nil, err
	}
	var out []vpn.Access
	err := u.Store.View(ctx, func(tx Tx) error {
		usr, err := findUser(tx, name)
		if err != nil {
			return err
		}
		out, err = u.access(tx, usr)
		return err
	})
	return out, err
}

// findUser returns the living user of that name or, failing that, ID.
func findUser(tx Tx, name string) (vpn.User, error) {
	usr, err := tx.Users.ByName(name)
	if vpn.KindOf(err) != vpn.NotFound {
		return usr, err
	}
	if byID, idErr := tx.Users.Get(vpn.UserID(name)); idErr == nil && byID.DeletedAt.IsZero() {
		return byID, nil
	}
	return vpn.User{}, unknownUser(tx, name)
}

// unknownUser says that there is no such user, and who may be meant.
func unknownUser(tx Tx, name string) error {
	users, err := tx.Users.Brief(vpn.UserFilter{})
	if err != nil {
		return err
	}
	names := make([]string, 0, len(users))
	for _, u := range users {
		names = append(names, u.Name)
	}
	return unknown("user", name, names, "vpn users list")
}

// unknown is the error for a name that nothing has.
func unknown(what, name string, names []string, list string) error {
	e := vpn.Errorf(vpn.NotFound, "no %s is named %q", what, name)
	if near, ok := vpn.Nearest(name, names); ok {
		return e.WithHint("did you mean %q?", near)
	}
	return e.WithHint("see them all: %s", list)
}
