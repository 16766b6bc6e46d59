package vpn

import "time"

// An Event records that something was changed, and who asked for it.
type Event struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`   // "uid 0 (root)", "system"
	Action  string    `json:"action"`  // "users.create": noun and verb of the API
	Subject string    `json:"subject"` // the user's or server's name
	Detail  string    `json:"detail,omitempty"`
}

// What happens by itself. Whoever follows the events is told; it is not kept.
// Of a server it is its new [ServerState], such as "servers.failed", with the
// problem as its detail.
const (
	ServerEnded = "servers.ended" // its worker has, and nobody asked it to; the detail says why
	UserLimited = "users.limited" // the quota is used up
	UserExpired = "users.expired"

	// EventsLost says that a reader was too slow and has missed events: what
	// it shows may be old, all of it.
	EventsLost = "events.lost"
)
