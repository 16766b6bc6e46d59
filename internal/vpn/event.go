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
