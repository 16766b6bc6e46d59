package vpn

import (
	"math"
	"net/netip"
	"time"
)

// Traffic is bytes of payload: up from the user, down to the user.
type Traffic struct {
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// MaxTraffic is the highest count: what a signed 64-bit column holds.
const MaxTraffic = math.MaxInt64

// Total returns up and down together, at most [MaxTraffic].
func (t Traffic) Total() uint64 { return addCapped(t.Up, t.Down) }

// Add returns t and o together, each direction at most [MaxTraffic].
func (t Traffic) Add(o Traffic) Traffic {
	return Traffic{Up: addCapped(t.Up, o.Up), Down: addCapped(t.Down, o.Down)}
}

// Since returns how far t has moved from an earlier reading. A direction that
// fell counts as nothing.
func (t Traffic) Since(earlier Traffic) Traffic {
	return Traffic{Up: t.Up - min(t.Up, earlier.Up), Down: t.Down - min(t.Down, earlier.Down)}
}

func addCapped(a, b uint64) uint64 {
	if s := a + b; s >= a && s <= MaxTraffic {
		return s
	}
	return MaxTraffic
}

// Rate is bytes per second.
type Rate struct {
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// Add returns r and o together.
func (r Rate) Add(o Rate) Rate { return Rate{Up: r.Up + o.Up, Down: r.Down + o.Down} }

// A Counter is what one credential has moved since its worker's epoch began.
type Counter struct {
	Credential CredentialID `json:"credential"`
	User       UserID       `json:"user"`
	Traffic
	Conns int `json:"conns"` // live flows now
}

// Counters are a worker's counters at one moment. An epoch is one life of one
// worker; counts of different epochs have nothing to do with each other.
type Counters struct {
	Epoch    string    `json:"epoch"`
	Seq      uint64    `json:"seq"` // hand it back as after, to learn what moved since; that acknowledges these
	Counters []Counter `json:"counters"`

	// What the worker holds now, by the turns of [Ceilings] and [Shares], and
	// what is wanted of shared limits; At is the age of the epoch in
	// milliseconds.
	CeilingsTurn uint64   `json:"ceilings_turn,omitempty"`
	SharesTurn   uint64   `json:"shares_turn,omitempty"`
	At           int64    `json:"at,omitempty"`
	CPU          int64    `json:"cpu,omitempty"` // milliseconds that the worker has computed
	Demands      []Demand `json:"demands,omitempty"`

	// FirstUses end holds. Each answer has all of them that the grants do not
	// know of yet.
	FirstUses []FirstUse `json:"first_uses,omitempty"`
}

// A Session is one live connection or datagram flow of a user.
type Session struct {
	ID         uint64         `json:"id"` // unique within the worker's epoch
	Credential CredentialID   `json:"credential"`
	User       UserID         `json:"user"`
	UserName   string         `json:"user_name,omitempty"` // filled in by the control plane
	Server     string         `json:"server,omitempty"`    // filled in by the control plane
	Protocol   Protocol       `json:"protocol,omitempty"`  // filled in by the control plane
	Source     netip.AddrPort `json:"source"`
	Network    string         `json:"network"` // "tcp" or "udp"
	Since      time.Time      `json:"since"`
	Traffic
}
