package daemon

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// monotonic is the time as the service manager counts it.
func monotonic() string {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail with this clock
	return "MONOTONIC_USEC=" + strconv.FormatInt(ts.Nano()/1000, 10)
}
