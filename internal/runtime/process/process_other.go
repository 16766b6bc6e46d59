//go:build !linux

package process

import (
	"runtime"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Workers cannot be had on this system; see [New].
type Workers struct{ app.Workers }

// New returns an error of kind [vpn.Unavailable]: finding a worker again
// safely after a crash takes what only Linux has.
func New(Options) (*Workers, error) {
	return nil, vpn.Errorf(vpn.Unavailable, "servers cannot run on %s", runtime.GOOS).
		WithHint("run the daemon on Linux, and use vpn from here with --socket")
}

// Lost returns none.
func (*Workers) Lost() []vpn.ServerID { return nil }

// SetUIDs does nothing.
func (*Workers) SetUIDs(vpn.UIDRange) {}

// Close does nothing.
func (*Workers) Close() error { return nil }
