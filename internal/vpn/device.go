package vpn

import "time"

// A Device is one of a user's machines that has credentials of its own, so
// that it can be let out without the others. Apart from these every user has
// one credential per server that belongs to no device in particular.
type Device struct {
	Name      string    `json:"name"` // see [ValidName]; unique among the user's
	Servers   []string  `json:"servers"`
	CreatedAt time.Time `json:"created_at"`
}

// NewDevice is what a caller says when a user gets a device.
type NewDevice struct {
	Name    string   `json:"name"`
	Servers []string `json:"servers,omitempty" doc:"those to give it access to, by name or ID; left out: all that the user may use"`
}

// Rotation says which of a user's credentials are made anew. What is left out
// narrows nothing down.
type Rotation struct {
	Server  string    `json:"server,omitempty" doc:"only those to this server, by name or ID"`
	Device  string    `json:"device,omitempty" doc:"only those of this device"`
	OldEnds time.Time `json:"old_ends,omitzero" doc:"until then the old credentials work beside the new ones; left out: they end at once, with their connections"`
	EndOld  bool      `json:"end_old,omitempty" doc:"make nothing anew: end those that an earlier rotation let work on"`
}
