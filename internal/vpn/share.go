package vpn

import (
	"net/netip"
	"time"
)

// Whole is all of a user's rate, in the unit of a [Share].
const Whole = 1_000_000

// A Share is what one worker may use of a user's limits that hold over all
// workers together.
type Share struct {
	User UserID `json:"user"`

	// Up and Down are parts of the user's rates, in millionths: [Whole] is all
	// of them. As parts they stay right when the user's rate is changed.
	Up   int `json:"up"`
	Down int `json:"down"`

	// Connections and Networks are what counts against the user's limits
	// because it is on other workers.
	Connections int            `json:"connections,omitempty"`
	Networks    []netip.Prefix `json:"networks,omitempty"`
}

// Shares are what a worker is told of shared limits, or holds of them.
type Shares struct {
	// Turn counts the changes. A worker takes only the one that follows the
	// last: a call that was overtaken changes nothing.
	Turn uint64 `json:"turn"`

	// Workers is how many have to share. Of a user who is not in Shares each
	// of them may use as large a part of the rate. 0 and 1: there is no other.
	Workers int `json:"workers"`

	Shares []Share `json:"shares,omitempty"`

	// Even names users who are not to have a share of their own any more.
	Even []UserID `json:"even,omitempty"`
}

// Ceilings are the ceilings that a worker holds, or is told.
type Ceilings struct {
	Turn     uint64    `json:"turn"` // as in [Shares]
	Ceilings []Ceiling `json:"ceilings"`

	// Retired are, in the worker's answer, the counters that its usage does
	// not name any more and that count against ceilings all the same.
	Retired []Counter `json:"retired,omitempty"`
}

// A Demand is what one worker has of a user whose limits are shared. Workers
// tell it of users who are live on them, if there is another worker.
type Demand struct {
	User        UserID `json:"user"`
	RateUp      uint64 `json:"rate_up,omitempty"` // the limits, as the worker knows them; 0: none
	RateDown    uint64 `json:"rate_down,omitempty"`
	Devices     int    `json:"devices,omitempty"`
	Connections int    `json:"connections,omitempty"`

	// Since the worker's epoch began: what was moved, and for how many
	// milliseconds in all it waited for the rate.
	Up       uint64 `json:"moved_up,omitempty"`
	Down     uint64 `json:"moved_down,omitempty"`
	WaitUp   int64  `json:"wait_up,omitempty"`
	WaitDown int64  `json:"wait_down,omitempty"`

	Conns    int        `json:"conns,omitempty"`    // live now
	Networks []Presence `json:"networks,omitempty"` // told of users whose devices are limited

	// Dry says that the user was refused or cut of late because the ceiling
	// here was reached.
	Dry bool `json:"dry,omitempty"`
}

// A Presence is a source network, one device, when it came, by the wall clock
// in Unix milliseconds, since workers of one machine have that in common, and
// for how many milliseconds it has moved no byte.
type Presence struct {
	Network netip.Prefix `json:"network"`
	Since   int64        `json:"since"`
	Silent  int64        `json:"silent,omitempty"`
}

// RoamingGrace is how long a device must have moved no byte before another may
// take its place. A phone that goes from one network to another leaves its old
// connections behind, and nobody closes them for minutes; two devices that are
// in use, even for a chat, are seldom silent at once for so long.
const RoamingGrace = 10 * time.Second
