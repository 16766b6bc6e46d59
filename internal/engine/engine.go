// Package engine is what carries packets, inside a worker: one folder below
// this one per protocol, and package all, which lists them.
//
// An engine decides nothing about users. It passes every connection and
// datagram flow of a credential through the [meter.Meter], which counts and
// holds users to their limits, and every destination through the
// [egress.Guard]. It opens no store and starts no process.
//
// To add one: make a folder here, run package enginetest over it, and add a
// line to package all.
package engine

import (
	"context"
	"log/slog"

	"vpn/internal/engine/egress"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// Engine serves one [vpn.Spec].
type Engine interface {
	// Apply makes what runs equal to spec. It is told the whole truth every
	// time, finds the difference itself and keeps every connection that the
	// difference does not touch. Twice is the same as once. It returns once
	// the listener accepts connections; after an error what ran before still
	// runs, or nothing does and the next Apply begins anew.
	//
	// The meter has been told spec's grants before Apply is called: who is no
	// longer granted is cut already and cannot come back in.
	Apply(ctx context.Context, spec vpn.Spec) error

	// Close ends the listener and every connection. The meter can be read
	// afterwards, and holds the final counts.
	Close() error
}

// Carried is an [Engine] whose packets go one of several ways, chosen when it
// starts.
type Carried interface {
	// Carrier returns the way they go, and why it is not the one that was asked
	// for, if it is not. Both are empty while nothing runs.
	Carrier() (name, reason string)
}

// Config is what an engine is built around.
type Config struct {
	Meter *meter.Meter
	Guard *egress.Guard
	Log   *slog.Logger

	// Tunnel is the descriptor of a TUN device, which passes whole packets,
	// each behind a virtio header, and is the engine's from now on; 0 if the
	// host has none for it. The device is up, and has its addresses and its
	// way to the internet, before the first packet is due. An engine needs no
	// capability for it, and can change nothing about it.
	Tunnel int
}

// New makes an engine that serves nothing yet.
type New func(Config) (Engine, error)
