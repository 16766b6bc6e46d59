package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hide keeps what this process knows, every key there is, out of core dumps
// and from other processes of its user: a worker without a uid of its own is
// one.
func hide() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid tracing: %w", err)
	}
	return nil
}

// memoryShare is the part of the machine's memory, in percent, below which a
// worker's garbage collector tries to stay: it works harder before the kernel
// has to end the worker.
const memoryShare = 60

// workerMemory returns that in bytes; 0 if it is not known.
func workerMemory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit) / 100 * memoryShare //nolint:unconvert // its type differs by processor
}
