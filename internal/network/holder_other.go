//go:build !linux

package network

// PortHolder does not know, on this system.
func PortHolder(string, uint16) (string, bool) { return "", false }
