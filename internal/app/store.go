package app

import (
	"context"
	"time"

	"vpn/internal/vpn"
)

// Store keeps what the product knows. Package storetest says what an
// implementation promises.
//
// Every change of a user, server or credential is stamped with the store's
// revision, which grows by at least one with each [Store.Update] that makes
// such a change.
type Store interface {
	// View runs fn on a consistent snapshot. fn must not write.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn in one transaction, alone, and commits if it returns
	// nil. fn has no side effects: it may be run again. A failure inside it,
	// other than that something is not found, fails the Update even if fn
	// lets it pass.
	Update(ctx context.Context, fn func(Tx) error) error

	// ID names the store for ever; Generation names its life, which a restore
	// begins anew.
	ID() string
	Generation() string
}

// Tx is one transaction: a small store per noun. Looking up what is not there
// gives an error of kind [vpn.NotFound]; a second living thing of one name
// gives one of kind [vpn.Conflict]; a full disk one of kind
// [vpn.Unavailable].
type Tx struct {
	Users       UserStore
	Servers     ServerStore
	Credentials CredentialStore
	Usage       UsageStore
	History     HistoryStore
	Periods     PeriodStore
	Events      EventStore
	Revision    func() (uint64, error) // of the last change that is visible here
}

// UserStore keeps users. ByName and List leave tombstones out unless asked.
// Put inserts or replaces by id, all but Used, which only [UsageStore.Record]
// and [PeriodStore.SetUsed] move.
type UserStore interface {
	Get(id vpn.UserID) (vpn.User, error) // a tombstone too
	ByName(name string) (vpn.User, error)
	List(f vpn.UserFilter) ([]vpn.User, error) // by name
	Put(u vpn.User) error

	// Brief is List with no more of a user than what its status follows from:
	// ID, Name, Enabled, ExpiresAt, Hold, Used, Limits.Quota and
	// Limits.Throttle, CreatedAt and DeletedAt. It takes half the time.
	Brief(f vpn.UserFilter) ([]vpn.User, error)
}

// ServerStore keeps servers, as UserStore keeps users. Put chooses the Slot
// of a new one and returns the server as stored.
type ServerStore interface {
	Get(id vpn.ServerID) (vpn.Server, error)
	ByName(name string) (vpn.Server, error)
	List() ([]vpn.Server, error) // the living, by name
	Put(s vpn.Server) (vpn.Server, error)
}

// CredentialStore keeps credentials.
type CredentialStore interface {
	// ForUser and ForServer return the living credentials.
	ForUser(id vpn.UserID) ([]vpn.Credential, error)
	ForServer(id vpn.ServerID) ([]vpn.Credential, error)

	// Tombstones returns the deleted credentials of a user on servers that
	// live.
	Tombstones(id vpn.UserID) ([]vpn.Credential, error)

	// Put stores a credential. A new one gets the lowest slot of its server that
	// is free from the one that it names on, and keeps it.
	Put(c vpn.Credential) error

	// Slots returns the slots of a server's credentials, in order, those of
	// tombstones among them.
	Slots(server vpn.ServerID) ([]Slot, error)

	// Grants returns what server's worker must grant, after revision since:
	// with since 0 everything, else what was changed or removed later, users'
	// fields included. If tombstones as young as since have been purged, or
	// since is yet to come, it returns everything too.
	Grants(server vpn.ServerID, since uint64) (GrantChanges, error)

	// Purge forgets users, servers and credentials that were deleted before t.
	// Credentials that ended before it are deleted.
	Purge(t time.Time) error
}

// A Slot is the number of a credential on its server.
type Slot struct {
	Number uint32
	Lives  bool // or it is kept for a credential that was deleted and may come back
}

// GrantChanges are the changes of one server's grants.
type GrantChanges struct {
	Upsert []vpn.Grant
	Remove []vpn.CredentialID
	Whole  bool // Upsert is everything there is; what it does not name goes
}

// UsageStore keeps traffic. All of a user's and a server's totals follow from
// Record alone.
type UsageStore interface {
	// Record takes the counters of one epoch of a server's worker, cumulative
	// since the epoch began, and adds what each has moved beyond the last
	// record of that epoch to its user and server, and to the history at that
	// time. The same counters twice, older ones, and those of an epoch that was
	// ended add nothing. Counters of unknown credentials are ignored.
	Record(server vpn.ServerID, epoch string, cs []vpn.Counter, at time.Time) error

	// Marks returns what Record has seen of an epoch.
	Marks(epoch string) (map[vpn.CredentialID]vpn.Traffic, error)

	// End closes an epoch after its last Record: its marks are forgotten and
	// later counters of it are ignored, for a week at least.
	End(epoch string, at time.Time) error

	// ByUser and ByServer return totals since ever.
	ByUser(id vpn.UserID) (map[vpn.ServerID]vpn.Traffic, error)
	ByServer() (map[vpn.ServerID]vpn.Traffic, error)

	// Quotas returns what the living users with a quota have used.
	Quotas() ([]Quota, error)
}

// Quota is one user's quota and what of it is used.
type Quota struct {
	User     vpn.UserID
	Quota    uint64
	Throttle uint64 // bytes per second beyond it; 0: none
	Used     vpn.Traffic
}

// PeriodStore keeps when usage begins anew, and what it was before.
type PeriodStore interface {
	// Due returns the living users whose TurnsAt has come; Next returns the
	// earliest TurnsAt of the living, the zero time if nobody has one.
	Due(now time.Time) ([]vpn.User, error)
	Next() (time.Time, error)

	// SetUsed stores u's Used, UsedSince, ResetsAt and TurnsAt, and nothing
	// else of it. Nobody's grants change by that.
	SetUsed(u vpn.User) error

	// AddReset remembers a reset, and Resets returns the last hundred, the
	// newest first.
	AddReset(id vpn.UserID, r vpn.Reset) error
	Resets(id vpn.UserID) ([]vpn.Reset, error)

	// AddDay adds what was used on a day to a user's days; two that leave at
	// one time are one. Days returns them, the first to leave first, and
	// DropDays forgets those that have left until then.
	AddDay(id vpn.UserID, d Day) error
	Days(id vpn.UserID) ([]Day, error)
	DropDays(id vpn.UserID, until time.Time) error
}

// Day is a whole day's part of what a user has used, under [vpn.Rolling].
type Day struct {
	Leaves time.Time // when it counts no more
	Used   vpn.Traffic
}

// HistoryStore keeps what was moved over time: every byte that [UsageStore.Record]
// adds, once, in steps that grow with its age; and how many connections there
// were, as far as somebody watched.
type HistoryStore interface {
	// List returns what was moved from since until until, in steps of that many
	// seconds, or together with 0: by user and server as by asks, ordered by
	// time. What belongs to a user that was purged is nobody's.
	List(q HistoryRange) ([]Moved, error)

	// Watch adds what was seen of connections, but for those of users whom it
	// does not know.
	Watch(w Watched) error

	// Watched returns for how long it was watched, ordered by time, in steps as
	// List has them. Whose connections it was is List's.
	Watched(q HistoryRange) ([]Watched, error)

	// Roll makes hours and days of what is old, seen from now, and forgets
	// what is very old.
	Roll(now time.Time) error
}

// HistoryRange is what [HistoryStore.List] is asked.
type HistoryRange struct {
	Since, Until time.Time
	Step         time.Duration
	User         vpn.UserID   // only this one's, if set
	Server       vpn.ServerID // only over this one, if set
	ByUser       bool         // tell users apart
	ByServer     bool         // tell servers apart
}

// Moved is what was moved in one step.
type Moved struct {
	At     time.Time
	User   vpn.UserID   // with ByUser; empty: of users that are gone
	Server vpn.ServerID // with ByServer
	vpn.Traffic
	Connected int64 // the seconds of all connections together
}

// Watched is what was seen of connections in one step.
type Watched struct {
	At        time.Time
	Seconds   int64               // in which somebody looked
	Connected map[Connected]int64 // the seconds of all connections together
}

// Connected is whose connections they are, and over which server.
type Connected struct {
	User   vpn.UserID
	Server vpn.ServerID
}

// EventStore keeps the audit log.
type EventStore interface {
	Add(e vpn.Event) error
	List(limit int) ([]vpn.Event, error) // the newest first
}
