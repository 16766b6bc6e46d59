package vpn

import (
	"slices"
	"time"
)

// Limits are what a user may use, over all protocols and servers together. A
// zero field is no limit.
type Limits struct {
	Quota       uint64 `json:"quota,omitempty" doc:"bytes up and down since the last reset; 0 is unlimited"`
	RateUp      uint64 `json:"rate_up,omitempty" doc:"bytes per second from the user; 0 is unlimited"`
	RateDown    uint64 `json:"rate_down,omitempty" doc:"bytes per second to the user; 0 is unlimited"`
	Devices     int    `json:"devices,omitempty" doc:"source networks (/32, /64) at one time; 0 is unlimited"`
	Connections int    `json:"connections,omitempty" doc:"connections at one time; 0 is unlimited"`
}

// A User is one person, with one set of limits on every server.
type User struct {
	ID        UserID    `json:"id"`
	Name      string    `json:"name"` // unique among the living; see [ValidName]
	Enabled   bool      `json:"enabled"`
	Limits    Limits    `json:"limits"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Used      Traffic   `json:"used"` // since the last reset
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	DeletedAt time.Time `json:"deleted_at,omitzero"` // set: a tombstone, kept for undo and late counters

	// AllowedServers are the only ones that let the user in; nil is every one,
	// those that are yet to come too.
	AllowedServers []ServerID `json:"allowed_servers,omitzero"`
}

// MayUse reports whether a server is one of those that let u in.
func (u User) MayUse(s ServerID) bool {
	return u.AllowedServers == nil || slices.Contains(u.AllowedServers, s)
}

// UserStatus is what a user's fields come to at one moment. It is derived,
// never stored.
type UserStatus string

// The states of a user; all but Active are kept out.
const (
	Deleted  UserStatus = "deleted" // a tombstone
	Active   UserStatus = "active"
	Disabled UserStatus = "disabled"
	Expired  UserStatus = "expired"
	Limited  UserStatus = "limited" // the quota is used up
)

// Status returns the state of u at the time now.
func (u User) Status(now time.Time) UserStatus {
	switch {
	case !u.DeletedAt.IsZero():
		return Deleted
	case !u.Enabled:
		return Disabled
	case !u.ExpiresAt.IsZero() && !now.Before(u.ExpiresAt):
		return Expired
	case u.Limits.Quota > 0 && u.Used.Total() >= u.Limits.Quota:
		return Limited
	}
	return Active
}

// NewUser is what a caller says when it asks for a user.
type NewUser struct {
	Name      string    `json:"name"`
	Limits    Limits    `json:"limits,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Servers   *[]string `json:"servers,omitempty" doc:"the only servers that let the user in, by name or ID; left out: every one"`
}

// UserPatch changes the fields that are set. A zero ExpiresAt means never.
type UserPatch struct {
	Name        *string    `json:"name,omitempty"`
	Enabled     *bool      `json:"enabled,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Quota       *uint64    `json:"quota,omitempty"`
	RateUp      *uint64    `json:"rate_up,omitempty"`
	RateDown    *uint64    `json:"rate_down,omitempty"`
	Devices     *int       `json:"devices,omitempty"`
	Connections *int       `json:"connections,omitempty"`
	Servers     *[]string  `json:"servers,omitempty" doc:"the only servers that let the user in from now on, by name or ID"`
	AllServers  bool       `json:"all_servers,omitempty" doc:"every server lets the user in again"`
}

// UserRestore says how a deleted user comes back.
type UserRestore struct {
	As string `json:"as,omitempty" doc:"the name from now on; left out, the one it had"`
}

// UserFilter selects users; its zero value selects all that are not deleted.
type UserFilter struct {
	Deleted bool // the tombstones too
}

// UserInfo is a user as the faces show one.
type UserInfo struct {
	User
	Status UserStatus `json:"status"`
	Online int        `json:"online"` // live connections now
	Rate   Rate       `json:"rate"`   // over the last second
}

// UserDetail is one user with everything that belongs to it.
type UserDetail struct {
	UserInfo
	Servers  []UserServer `json:"servers"`
	Sessions []Session    `json:"sessions"`
}

// UserServer is a user's part in one server.
type UserServer struct {
	Server   string   `json:"server"`
	Protocol Protocol `json:"protocol"`
	Allowed  bool     `json:"allowed" doc:"the server lets the user in, as far as the user's list of servers goes"`
	Used     Traffic  `json:"used"` // ever, resets or not
}

// UserChange is the answer to a change: the user afterwards, and whether the
// workers follow already.
type UserChange struct {
	User   UserInfo `json:"user"`
	Access []Access `json:"access,omitempty"` // set when the user was given new links
	Synced bool     `json:"synced" doc:"false: stored, and the workers follow when they are back"`
	DryRun bool     `json:"dry_run,omitempty" doc:"nothing was changed: this is what would be"`
}

// Access is what a user puts into a client application.
type Access struct {
	Server   string   `json:"server"`
	Protocol Protocol `json:"protocol"`
	Device   string   `json:"device,omitempty" doc:"the device that it is for, if the user has several"`
	Link     string   `json:"link"`
	Others   []string `json:"others,omitempty" doc:"links to the same server for other kinds of clients"`
	Note     string   `json:"note,omitempty" doc:"what to know when using them"`
}

// Kicked is the answer to a kick.
type Kicked struct {
	Connections int  `json:"connections" doc:"connections that were closed; their user may come back at once"`
	DryRun      bool `json:"dry_run,omitempty" doc:"nothing was closed: these would be"`
}
