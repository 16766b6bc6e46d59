//go:build !linux

package cli

import (
	"runtime"

	"vpn/internal/vpn"
)

// servesHere returns an error on systems where no control plane can run:
// finding a worker again safely after a crash takes what only Linux has. What
// asks a control plane elsewhere works everywhere.
func servesHere() error {
	name := map[string]string{"darwin": "macOS", "windows": "Windows", "freebsd": "FreeBSD"}[runtime.GOOS]
	if name == "" {
		name = runtime.GOOS
	}
	return vpn.Errorf(vpn.Unavailable, "servers run on Linux only; from %s, vpn manages those that run elsewhere", name).
		WithHint("name the machine: %s", elsewhere)
}
