//go:build !linux

package daemon

// monotonic is for service managers that this system has not.
func monotonic() string { return "MONOTONIC_USEC=0" }
