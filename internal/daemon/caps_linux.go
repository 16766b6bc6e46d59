package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
)

// maySwitchUser returns an error of kind [vpn.Denied] if root has not what
// giving workers users of their own takes: a service manager may have taken it.
func maySwitchUser() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("ask for the capabilities of this process: %w", err)
	}
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_KILL, "CAP_KILL"}} {
		if have[0].Effective&(1<<c.bit) == 0 {
			return vpn.Errorf(vpn.Denied, "workers cannot get user ids of their own: this process lacks %s", c.name).
				WithHint("add it to CapabilityBoundingSet= of the unit, or set worker_uids: none")
		}
	}
	return nil
}
