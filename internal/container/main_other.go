//go:build !linux

package container

import (
	"runtime"

	"vpn/internal/vpn"
)

// Main returns an error of kind [vpn.Unavailable]: containers are Linux's.
func Main(Options) error {
	return vpn.Errorf(vpn.Unavailable, "servers cannot run on %s", runtime.GOOS)
}

func become(Options) error { return nil }
