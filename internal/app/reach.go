package app

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// This file is whom a change concerns: the servers that have to hear of it,
// and the connections that it ends.

// doors are the credentials of a user on those servers that may let it in.
type doors map[vpn.CredentialID]vpn.Credential

func doorsOf(tx Tx, usr vpn.User, now time.Time) (doors, error) {
	creds, err := tx.Credentials.ForUser(usr.ID)
	out := doors{}
	for _, cred := range creds {
		if usr.MayUse(cred.Server) && !isOver(cred, now) {
			out[cred.ID] = cred
		}
	}
	return out, err
}

// servers returns where they are.
func (d doors) servers() (ids []vpn.ServerID) {
	for _, cred := range d {
		ids = with(ids, cred.Server)
	}
	return ids
}

// A reach is how far a change of a user goes.
type reach struct {
	servers []vpn.ServerID            // that have to hear of it
	shut    map[vpn.CredentialID]bool // the credentials whose connections end
	at      []vpn.ServerID            // where these are
}

// reachOf compares a user and its doors before a change with those after it.
// What people write about users is no server's business, and one that neither
// let the user in nor does now has nothing to follow.
func reachOf(was, is vpn.UserInfo, had, has doors) reach {
	r := reach{shut: map[vpn.CredentialID]bool{}}
	told := !reflect.DeepEqual(ofServers(was.User), ofServers(is.User))
	for id, cred := range had {
		now, there := has[id]
		there = there && now.Secret.Equal(cred.Secret)
		if told || !there || !now.NotAfter.Equal(cred.NotAfter) {
			r.servers = with(r.servers, cred.Server)
		}
		if letIn(was) && !(there && letIn(is)) {
			r.shut[id] = true
			r.at = with(r.at, cred.Server)
		}
	}
	for id, cred := range has {
		if _, there := had[id]; told || !there {
			r.servers = with(r.servers, cred.Server)
		}
	}
	return r
}

// ofServers is what servers know of a user. Which of them let it in, its doors
// tell.
func ofServers(u vpn.User) vpn.User {
	u.AllowedServers, u.Tags, u.Email, u.Note, u.UpdatedAt = nil, nil, "", "", time.Time{}
	return u
}

// letIn reports whether a user is let in, where it may.
func letIn(u vpn.UserInfo) bool {
	switch u.Status {
	case vpn.Active, vpn.OnHold:
		return true
	case vpn.Limited:
		return u.Limits.Throttle > 0
	}
	return false
}

func with(ids []vpn.ServerID, id vpn.ServerID) []vpn.ServerID {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}

// follow makes the workers follow a change of a user, and says what came of it.
func (c *core) follow(ctx context.Context, was, is vpn.User, had, has doors) vpn.UserChange {
	all, _ := c.reconciler.ledger.live()
	now := all[is.ID]
	out := vpn.UserChange{User: c.userInfo(is, now), DryRun: c.dryRun()}
	r := reachOf(c.userInfo(was, now), out.User, had, has)
	if len(r.shut) > 0 {
		out.Connections = liveOn(ctx, c.reconciler.Reconciler, r.at, func(s vpn.Session) bool { return r.shut[s.Credential] })
	}
	out.Synced = c.reconciler.Sync(ctx, r.servers...)
	return out
}

// liveOn counts the live connections on some servers that are meant. What ends
// them does not wait for a worker that is slow: its own are not counted.
func liveOn(ctx context.Context, r *Reconciler, servers []vpn.ServerID, meant func(vpn.Session) bool) int {
	r.glance(ctx)
	ctx, cancel := context.WithTimeout(ctx, measureWait)
	defer cancel()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		n  int
	)
	for _, p := range r.purses() {
		if p.silent || !slices.Contains(servers, p.server) {
			continue
		}
		wg.Go(func() {
			found, _ := p.worker.Sessions(ctx) // none of one that does not answer
			mu.Lock()
			defer mu.Unlock()
			for _, s := range found {
				if meant(s) {
					n++
				}
			}
		})
	}
	wg.Wait()
	return n
}

// everybody's connections.
func everybody(vpn.Session) bool { return true }
