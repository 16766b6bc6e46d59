package vpn

import (
	"encoding/json"
	"net/netip"
	"time"
)

// A Credential lets one user into one server. A user may have several on one
// server: one per device, or an old and a new one side by side.
type Credential struct {
	ID        CredentialID `json:"id"`
	User      UserID       `json:"user"`
	Server    ServerID     `json:"server"`
	Label     string       `json:"label,omitempty"` // a device, or nothing
	Secret    Secret       `json:"-"`
	Slot      uint32       `json:"-"` // its number on the server, for what follows from one: a port of several
	NotBefore time.Time    `json:"not_before,omitzero"`
	NotAfter  time.Time    `json:"not_after,omitzero"`
	CreatedAt time.Time    `json:"created_at"`
	DeletedAt time.Time    `json:"deleted_at,omitzero"`
}

// A Spec is the whole truth about one server: what its worker must make so.
type Spec struct {
	Generation string // the life of the store; a restored store begins a new one
	Revision   uint64 // grows with every change within a generation
	Server     ServerSpec
	Grants     []Grant
}

// ServerSpec is the part of a [Spec] that is not about users.
type ServerSpec struct {
	ID       ServerID
	Name     string
	Protocol Protocol
	Listen   netip.Addr
	Port     uint16
	Allow    []netip.Prefix
	Settings json.RawMessage
	Private  Secret
}

// A Grant admits one credential, within its user's limits. Grants of one user
// share those limits; they carry equal ones.
type Grant struct {
	Credential  CredentialID
	User        UserID
	Name        string // the user's: with some protocols clients give it beside the secret
	Secret      Secret
	Slot        uint32    // the credential's
	NotBefore   time.Time // zero: at once
	NotAfter    time.Time // zero: for ever
	Blocked     bool      // kept in place, and kept out: disabled
	Hold        Hold      // zero: none. Its first use ends at FirstUsedAt, or with the worker's own first flow
	Capped      bool      // needs a [Ceiling] in the worker's epoch; without one nothing passes
	Throttle    uint64    // bytes per second, both ways together, once the ceiling is reached; 0: cut there
	RateUp      uint64    // bytes per second; 0: no limit
	RateDown    uint64
	Devices     int // source networks; 0: no limit
	Connections int // flows; 0: no limit
}

// A Patch leads from one revision of a spec to a later one.
type Patch struct {
	Generation string
	Base       uint64 // the revision that the worker must have
	Revision   uint64
	Upsert     []Grant
	Remove     []CredentialID
}

// A Ceiling stops a user of a worker when the worker's own count of that
// user, up and down together since the epoch began, reaches Bytes. It holds
// while the user's grants are Capped. A user with a Throttle goes on at the
// rate of Throttle, this worker's part of it, in bytes per second; 0 is all.
type Ceiling struct {
	User     UserID `json:"user"`
	Bytes    uint64 `json:"bytes"`
	Throttle uint64 `json:"throttle,omitempty"`
}

// Health is what a worker says of itself.
type Health struct {
	Server     ServerID  `json:"server"` // empty: it has no spec yet
	Name       string    `json:"name"`
	Epoch      string    `json:"epoch"`
	Generation string    `json:"generation"`
	Revision   uint64    `json:"revision"` // of the spec that runs
	Problem    string    `json:"problem,omitempty"`
	PID        int       `json:"pid"`
	UID        int       `json:"uid"`
	Version    string    `json:"version"`
	StartedAt  time.Time `json:"started_at"`
	Memory     uint64    `json:"memory"` // resident bytes
	Conns      int       `json:"conns"`
	Carrier    string    `json:"carrier,omitempty"`     // the way that packets go, where there are several
	CarrierWhy string    `json:"carrier_why,omitempty"` // it is not the one that was asked for
	Confined   bool      `json:"confined"`              // the kernel keeps it away from files that are not its business
}
