//go:build !linux

package router

import (
	"os"
	"runtime"

	"vpn/internal/vpn"
)

func elsewhere() error {
	return vpn.Errorf(vpn.Unavailable, "tunnels are made on Linux only, and this is %s", runtime.GOOS)
}

// Open does not know how, on this system.
func Open(vpn.ServerID) (*os.File, error) { return nil, elsewhere() }

// Persist does not know how, on this system.
func Persist(*os.File, uint32) error { return elsewhere() }

// Drop does nothing.
func Drop(vpn.ServerID) error { return nil }

// Apply does not know how, on this system.
func Apply(Tunnel) ([]Change, error) { return nil, elsewhere() }

// Changes has made none, on this system.
func Changes(string, vpn.ServerID) ([]Change, error) { return nil, nil }

// Servers have none, on this system.
func Servers(string) ([]vpn.ServerID, error) { return nil, nil }

// Exists is never so, on this system.
func Exists(vpn.ServerID) bool { return false }

// Remove has nothing to remove, on this system.
func Remove(string, vpn.ServerID) error { return nil }

// Collect has nothing to collect, on this system.
func Collect(string, []vpn.ServerID) ([]vpn.ServerID, error) { return nil, nil }
