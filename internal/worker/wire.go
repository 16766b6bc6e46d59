package worker

import (
	"encoding/json"
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// The types of this file are what crosses the control socket. They exist
// because a [vpn.Secret] hides itself in every encoding and a worker must be
// told; what holds no secret crosses as it is. Fields are only ever added, and
// a reader ignores those that it does not know.

type wireSpec struct {
	Generation string      `json:"generation"`
	Revision   uint64      `json:"revision"`
	Server     wireServer  `json:"server"`
	Grants     []wireGrant `json:"grants"`
}

type wireServer struct {
	ID       vpn.ServerID    `json:"id"`
	Name     string          `json:"name"`
	Protocol vpn.Protocol    `json:"protocol"`
	Listen   netip.Addr      `json:"listen"`
	Port     uint16          `json:"port"`
	Allow    []netip.Prefix  `json:"allow,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Private  string          `json:"private,omitempty"`
}

type wireGrant struct {
	Credential  vpn.CredentialID `json:"credential"`
	User        vpn.UserID       `json:"user"`
	Name        string           `json:"name,omitempty"`
	Secret      string           `json:"secret"`
	Slot        uint32           `json:"slot,omitempty"`
	NotBefore   time.Time        `json:"not_before,omitzero"`
	NotAfter    time.Time        `json:"not_after,omitzero"`
	Blocked     bool             `json:"blocked,omitempty"`
	Hold        wireHold         `json:"hold,omitzero"`
	Capped      bool             `json:"capped,omitempty"`
	Throttle    uint64           `json:"throttle,omitempty"`
	RateUp      uint64           `json:"rate_up,omitempty"`
	RateDown    uint64           `json:"rate_down,omitempty"`
	Devices     int              `json:"devices,omitempty"`
	Connections int              `json:"connections,omitempty"`
}

// wireHold is a [vpn.Hold], without which an older worker lets a user in for
// ever, until it is told the end.
type wireHold struct {
	ValidFor    vpn.Seconds `json:"valid_for"`
	HeldSince   time.Time   `json:"held_since"`
	FirstUsedAt time.Time   `json:"first_used_at,omitzero"`
}

type wirePatch struct {
	Generation string             `json:"generation"`
	Base       uint64             `json:"base"`
	Revision   uint64             `json:"revision"`
	Upsert     []wireGrant        `json:"upsert,omitempty"`
	Remove     []vpn.CredentialID `json:"remove,omitempty"`
}

type wireCeilings struct {
	Epoch string `json:"epoch"`
	vpn.Ceilings
}

type wireShares struct {
	Epoch string `json:"epoch"`
	vpn.Shares
}

type wireKicked struct {
	Connections int `json:"connections"`
}

type wireError struct {
	Kind    vpn.Kind `json:"kind"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"`
}

func toWireSpec(s vpn.Spec) wireSpec {
	return wireSpec{
		Generation: s.Generation,
		Revision:   s.Revision,
		Server: wireServer{
			ID: s.Server.ID, Name: s.Server.Name, Protocol: s.Server.Protocol,
			Listen: s.Server.Listen, Port: s.Server.Port, Allow: s.Server.Allow,
			Settings: s.Server.Settings, Private: s.Server.Private.Reveal(),
		},
		Grants: toWireGrants(s.Grants),
	}
}

func (w wireSpec) spec() vpn.Spec {
	return vpn.Spec{
		Generation: w.Generation,
		Revision:   w.Revision,
		Server: vpn.ServerSpec{
			ID: w.Server.ID, Name: w.Server.Name, Protocol: w.Server.Protocol,
			Listen: w.Server.Listen, Port: w.Server.Port, Allow: w.Server.Allow,
			Settings: w.Server.Settings, Private: vpn.NewSecret(w.Server.Private),
		},
		Grants: grants(w.Grants),
	}
}

func toWirePatch(p vpn.Patch) wirePatch {
	return wirePatch{
		Generation: p.Generation, Base: p.Base, Revision: p.Revision,
		Upsert: toWireGrants(p.Upsert), Remove: p.Remove,
	}
}

func (w wirePatch) patch() vpn.Patch {
	return vpn.Patch{
		Generation: w.Generation, Base: w.Base, Revision: w.Revision,
		Upsert: grants(w.Upsert), Remove: w.Remove,
	}
}

func toWireGrants(gs []vpn.Grant) []wireGrant {
	out := make([]wireGrant, len(gs))
	for i, g := range gs {
		out[i] = wireGrant{
			Credential: g.Credential, User: g.User, Name: g.Name, Secret: g.Secret.Reveal(), Slot: g.Slot,
			NotBefore: g.NotBefore, NotAfter: g.NotAfter, Hold: wireHold(g.Hold), Blocked: g.Blocked,
			Capped: g.Capped, Throttle: g.Throttle,
			RateUp: g.RateUp, RateDown: g.RateDown, Devices: g.Devices, Connections: g.Connections,
		}
	}
	return out
}

func grants(ws []wireGrant) []vpn.Grant {
	out := make([]vpn.Grant, len(ws))
	for i, w := range ws {
		out[i] = vpn.Grant{
			Credential: w.Credential, User: w.User, Name: w.Name, Secret: vpn.NewSecret(w.Secret), Slot: w.Slot,
			NotBefore: w.NotBefore, NotAfter: w.NotAfter, Hold: vpn.Hold(w.Hold), Blocked: w.Blocked,
			Capped: w.Capped, Throttle: w.Throttle,
			RateUp: w.RateUp, RateDown: w.RateDown, Devices: w.Devices, Connections: w.Connections,
		}
	}
	return out
}
