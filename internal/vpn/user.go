package vpn

import (
	"slices"
	"time"
)

// Limits are what a user may use, over all protocols and servers together. A
// zero field is no limit.
type Limits struct {
	Quota       uint64 `json:"quota,omitempty" doc:"bytes up and down since the last reset; 0 is unlimited"`
	Period      Period `json:"period,omitzero" doc:"when the usage is reset by itself; left out: never"`
	Throttle    uint64 `json:"throttle,omitempty" doc:"bytes per second, up and down together, beyond the quota; 0: the user is cut there"`
	RateUp      uint64 `json:"rate_up,omitempty" doc:"bytes per second from the user; 0 is unlimited"`
	RateDown    uint64 `json:"rate_down,omitempty" doc:"bytes per second to the user; 0 is unlimited"`
	Devices     int    `json:"devices,omitempty" doc:"source networks (/32, /64) at one time; 0 is unlimited"`
	Connections int    `json:"connections,omitempty" doc:"connections at one time; 0 is unlimited"`
}

// MaxQuota is the highest quota: beyond a thousand years at 300 Mbit/s it is a
// mistake.
const MaxQuota = 1e18 - 1

// A User is one person, with one set of limits on every server.
type User struct {
	ID        UserID    `json:"id"`
	Name      string    `json:"name"` // unique among the living; see [ValidName]
	Enabled   bool      `json:"enabled"`
	Limits    Limits    `json:"limits"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Hold
	Used      Traffic   `json:"used"` // since the last reset, or in the last days: see [Rolling]
	UsedSince time.Time `json:"used_since,omitzero" doc:"of the last reset; left out: there was none"`
	ResetsAt  time.Time `json:"resets_at,omitzero" doc:"when used becomes less by itself; left out: never"`
	TurnsAt   time.Time `json:"-"` // when ResetsAt has to be looked at: under [Rolling] each day
	Tags      []string  `json:"tags,omitempty"`
	Email     string    `json:"email,omitempty"`
	Note      string    `json:"note,omitempty"`
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

// A Hold makes the time that a user is valid for begin with the first use.
// Its zero value holds nothing.
type Hold struct {
	ValidFor    Seconds   `json:"valid_for,omitempty" doc:"seconds of validity from the first use on"`
	HeldSince   time.Time `json:"held_since,omitzero" doc:"when the user was put on hold"`
	FirstUsedAt time.Time `json:"first_used_at,omitzero" doc:"when that ended"`
}

// Seconds is a length of time as it is written in JSON.
type Seconds int64

// Duration returns s as Go has it.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Holds reports whether the first use is yet to come.
func (h Hold) Holds() bool { return h.ValidFor > 0 && h.FirstUsedAt.IsZero() }

// A FirstUse is a worker's report that a user who was on hold has connected.
type FirstUse struct {
	User UserID    `json:"user"`
	Held time.Time `json:"held"` // the hold that it ends: its HeldSince
	At   time.Time `json:"at"`
}

// Begin takes a report of u's first use and says whether it changes u: it is
// of the hold that u has, and the earliest so far.
func (u *User) Begin(f FirstUse) bool {
	if u.ValidFor == 0 || !f.Held.Equal(u.HeldSince) || !u.FirstUsedAt.IsZero() && !f.At.Before(u.FirstUsedAt) {
		return false
	}
	u.FirstUsedAt = f.At
	u.ExpiresAt = f.At.Add(u.ValidFor.Duration())
	return true
}

// UserStatus is what a user's fields come to at one moment. It is derived,
// never stored.
type UserStatus string

// The states of a user. Active and OnHold are let in, and Limited is if the
// user has a Throttle.
const (
	Deleted  UserStatus = "deleted" // a tombstone
	Active   UserStatus = "active"
	OnHold   UserStatus = "on_hold" // the time begins with the first use
	Disabled UserStatus = "disabled"
	Expired  UserStatus = "expired"
	Limited  UserStatus = "limited" // the quota is used up, or what is left is less than a packet
)

// Throttled is a word to look for: of the [Limited], those who are slowed down
// and not cut. No user has it as its state.
const Throttled UserStatus = "throttled"

// Findable returns what a list may be narrowed down to.
func Findable() []UserStatus {
	return []UserStatus{Active, OnHold, Limited, Throttled, Expired, Disabled}
}

// lastPacket is what may be left, in bytes, of a quota that is used up: where
// whole packets are counted, as over a tunnel, none fits any more.
const lastPacket = 1500

// Statuses returns the states of the living.
func Statuses() []UserStatus { return []UserStatus{Active, OnHold, Limited, Expired, Disabled} }

// Status returns the state of u at the time now.
func (u User) Status(now time.Time) UserStatus {
	switch {
	case !u.DeletedAt.IsZero():
		return Deleted
	case !u.Enabled:
		return Disabled
	case !u.ExpiresAt.IsZero() && !now.Before(u.ExpiresAt):
		return Expired
	case u.Limits.Quota > 0 && u.Limits.Quota-min(u.Limits.Quota, u.Used.Total()) <= min(lastPacket, u.Limits.Quota/1000):
		return Limited
	case u.Holds():
		return OnHold
	}
	return Active
}

// NewUser is what a caller says when it asks for a user.
type NewUser struct {
	Name      string    `json:"name"`
	Limits    Limits    `json:"limits,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Servers   *[]string `json:"servers,omitempty" doc:"the only servers that let the user in, by name or ID; left out: every one"`
	ValidFor  Seconds   `json:"valid_for,omitempty" doc:"seconds of validity from the first use on, instead of expires_at"`
	Tags      []string  `json:"tags,omitempty"`
	Email     string    `json:"email,omitempty"`
	Note      string    `json:"note,omitempty"`
}

// UserPatch changes the fields that are set. A zero ExpiresAt means never, and
// ends a hold; ValidFor begins one.
type UserPatch struct {
	Name        *string    `json:"name,omitempty"`
	Enabled     *bool      `json:"enabled,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	ValidFor    *Seconds   `json:"valid_for,omitempty" doc:"seconds of validity from the next use on"`
	Quota       *uint64    `json:"quota,omitempty"`
	Period      *Cycle     `json:"period,omitempty" enum:",day,week,month,year,30d" doc:"empty: never"`
	ResetsOn    *string    `json:"resets_on,omitempty" doc:"empty: the first day of the period"`
	TimeZone    *string    `json:"time_zone,omitempty" doc:"empty: UTC"`
	Throttle    *uint64    `json:"throttle,omitempty" doc:"0: cut at the quota"`
	RateUp      *uint64    `json:"rate_up,omitempty"`
	RateDown    *uint64    `json:"rate_down,omitempty"`
	Devices     *int       `json:"devices,omitempty"`
	Connections *int       `json:"connections,omitempty"`
	Servers     *[]string  `json:"servers,omitempty" doc:"the only servers that let the user in from now on, by name or ID"`
	AllServers  bool       `json:"all_servers,omitempty" doc:"every server lets the user in again"`
	AddTags     []string   `json:"add_tags,omitempty"`
	RemoveTags  []string   `json:"remove_tags,omitempty"`
	Email       *string    `json:"email,omitempty" doc:"empty: none"`
	Note        *string    `json:"note,omitempty" doc:"empty: none"`
}

// UserRestore says how a deleted user comes back.
type UserRestore struct {
	As string `json:"as,omitempty" doc:"the name from now on; left out, the one it had"`
}

// UserFilter selects users; its zero value selects all that are not deleted.
// A user is selected who meets all of it.
type UserFilter struct {
	Deleted bool       // the tombstones too
	Status  UserStatus // one of [Findable]; empty: any
	Tags    []string   // each of them
	Search  string     // found in name, e-mail, note or a tag, in any letter case
	Online  bool       // with a connection now

	// Fields are those that somebody looks at, by their names in JSON such as
	// limits.quota; the others need not be filled in. None: all of them.
	Fields []string
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
	Servers     []UserServer     `json:"servers"`
	Credentials []UserCredential `json:"credentials" doc:"those that let the user in, where it may be let in, the old ones too"`
	Sessions    []Session        `json:"sessions"`
	Resets      []Reset          `json:"resets" doc:"the newest first, at most 100"`
}

// A Reset is the end of a time for which usage was counted.
type Reset struct {
	At    time.Time `json:"at"`
	Actor string    `json:"actor" doc:"who asked for it; system: it was due"`
	Since time.Time `json:"since" doc:"what was used was counted from then on"`
	Used  Traffic   `json:"used"`
}

// UserServer is a user's part in one server.
type UserServer struct {
	Server   string   `json:"server"`
	Protocol Protocol `json:"protocol"`
	Allowed  bool     `json:"allowed" doc:"the server lets the user in, as far as the user's list of servers goes"`
	Used     Traffic  `json:"used"` // ever, resets or not
}

// A UserCredential is one of a user's credentials as the faces show it, without
// its secret.
type UserCredential struct {
	ID        CredentialID `json:"id"`
	Server    string       `json:"server"`
	Device    string       `json:"device,omitempty" doc:"the device that it is for; left out: none in particular"`
	CreatedAt time.Time    `json:"created_at"`
	EndsAt    time.Time    `json:"ends_at,omitzero" doc:"it has been replaced, and works until then beside the new one"`
	Online    int          `json:"online" doc:"live connections made with it"`
}

// UserChange is the answer to a change: the user afterwards, and whether the
// workers follow already.
type UserChange struct {
	User   UserInfo `json:"user"`
	Access []Access `json:"access,omitempty"` // set when the user was given new links
	Synced bool     `json:"synced" doc:"false: stored, and a server that it concerns does not follow yet"`
	DryRun bool     `json:"dry_run,omitempty" doc:"nothing was changed: this is what would be"`

	Connections int `json:"connections,omitempty" doc:"live connections that it ends, as far as they could be counted"`
}

// Access is what a user puts into a client application.
type Access struct {
	Server   string   `json:"server"`
	Protocol Protocol `json:"protocol"`
	Device   string   `json:"device,omitempty" doc:"the device that it is for, if the user has several"`
	Link     string   `json:"link,omitempty"`
	Others   []string `json:"others,omitempty" doc:"links to the same server for other kinds of clients"`
	File     *File    `json:"file,omitempty" doc:"what the client application reads, instead of a link"`
	Note     string   `json:"note,omitempty" doc:"what to know when using them"`
}

// A File is a configuration for client applications that take no link. Who
// has it is let in.
type File struct {
	Name string `json:"name" doc:"a name that client applications accept"`
	Text string `json:"text"`
}

// Kicked is the answer to a kick.
type Kicked struct {
	Connections int  `json:"connections" doc:"connections that were closed; their user may come back at once"`
	DryRun      bool `json:"dry_run,omitempty" doc:"nothing was closed: these would be"`
}
