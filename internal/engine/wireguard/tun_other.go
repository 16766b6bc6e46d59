//go:build !linux

package wireguard

import "vpn/internal/vpn"

// newTUN returns an error: servers run on Linux.
func (e *Engine) newTUN(vpn.ServerSpec, settings) (carrier, error) {
	return carrier{}, vpn.Errorf(vpn.Unavailable, "there are TUN devices on Linux only")
}

// closeTUN has nothing to close.
func closeTUN(int) {}
