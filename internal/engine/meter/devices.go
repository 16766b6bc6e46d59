package meter

import (
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// roamingGrace is [vpn.RoamingGrace].
const roamingGrace = vpn.RoamingGrace

// A device is a source network from which a user has live flows. It is
// guarded by the user's mu.
type device struct {
	flows  int
	first  uint64    // id of the flow that it came with
	since  time.Time // when that was
	active int64     // when a byte moved last, as Meter.activity tells it
}

// left returns the device whose place one more, from net, may take: there are
// as many as may be, on other workers too, and it is the one here that has
// been silent for longest, and for long enough. Otherwise it returns nil.
func (u *user) left(net netip.Prefix, other part, now int64, grace time.Duration) *device {
	if u.limits.devices == 0 || u.networks[net] != nil || other.networks[net] || other.beside(u) < u.limits.devices {
		return nil
	}
	var silent *device
	for n, d := range u.networks {
		if other.networks[n] {
			continue // its place is taken there as well
		}
		if silent == nil || d.active < silent.active {
			silent = d
		}
	}
	if silent == nil || time.Duration(now-silent.active) < grace {
		return nil
	}
	return silent
}
