package app

import (
	"context"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// A roster is what of all users their states follow from, kept from one
// question to the next: a terminal UI asks each second who is online and how
// many have expired, and to read 10,000 users takes 30 ms. It is read anew
// when a user was changed or what was used was stored, and forgotten when
// nobody has asked for a while.
type roster struct {
	store  Store
	ledger *ledger

	mu sync.Mutex
	// Guarded by mu.
	users    []vpn.User // as [UserStore.Brief] has them; nil: not read
	names    map[vpn.UserID]string
	revision uint64 // of the store when they were read
	commits  uint64 // of the ledger, before that
	asked    time.Time
}

// rosterIdle is how long nobody has to ask until the roster is forgotten.
const rosterIdle = time.Minute

// read returns the living users, by name, and what the ledger adds to them.
// Neither is changed any more. What was moved is in one of them, and in one
// only.
func (r *roster) read(ctx context.Context) ([]vpn.User, map[vpn.UserID]live, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Now()
	for {
		now, commits := r.ledger.live()
		known, err := r.update(ctx, commits)
		if err != nil {
			return nil, nil, err
		}
		if known {
			return r.users, now, nil
		}
	}
}

// update reads the users if they are others than before, and reports whether
// that was not so. The caller holds r.mu.
func (r *roster) update(ctx context.Context, commits uint64) (known bool, err error) {
	err = r.store.View(ctx, func(tx Tx) error {
		revision, err := tx.Revision()
		if err != nil {
			return err
		}
		if known = r.users != nil && revision == r.revision && commits == r.commits; known {
			return nil
		}
		users, err := tx.Users.Brief(vpn.UserFilter{})
		if err != nil {
			return err
		}
		if users == nil {
			users = []vpn.User{}
		}
		if r.names == nil || revision != r.revision {
			r.names = make(map[vpn.UserID]string, len(users))
			for _, u := range users {
				r.names[u.ID] = u.Name
			}
		}
		r.users, r.revision, r.commits = users, revision, commits
		return nil
	})
	return known, err
}

// namer is [namer] by user, of few rows.
func (r *roster) namer(ctx context.Context) (func(Moved) string, error) {
	if _, _, err := r.read(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	names := r.names
	r.mu.Unlock()
	return func(m Moved) string {
		if name, ok := names[m.User]; ok {
			return name
		}
		// It was deleted; by which name one knows it, the store has.
		name := gone
		_ = r.store.View(ctx, func(tx Tx) error { // without a name the row is told all the same
			u, err := tx.Users.Get(m.User)
			if err == nil {
				name = u.Name + " " + gone
			}
			return err
		})
		return name
	}, nil
}

// tidy forgets what nobody has asked for.
func (r *roster) tidy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users != nil && time.Since(r.asked) > rosterIdle {
		r.users, r.names = nil, nil
	}
}
