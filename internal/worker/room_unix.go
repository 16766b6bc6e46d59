//go:build unix

package worker

import (
	"log/slog"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mostConnections returns how many connections of users this process has
// descriptors and memory for.
func mostConnections(log *slog.Logger) int {
	var limit unix.Rlimit // Go has raised it as far as it may be
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("how many files may be open is not known", slog.Any("err", err))
		return 0
	}
	return room(uint64(limit.Cur), uint64(debug.SetMemoryLimit(-1))) //nolint:unconvert // signed in FreeBSD
}
