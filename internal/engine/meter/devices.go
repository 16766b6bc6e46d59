package meter

import (
	"net/netip"
	"time"
)

// roamingGrace is how long a device must have moved no byte before another
// may take its place. A phone that goes from one network to another leaves its
// old connections behind, and nobody closes them for minutes; two devices that
// are in use, even for a chat, are seldom silent at once for so long.
const roamingGrace = 10 * time.Second

// A device is a source network from which a user has live flows. It is
// guarded by the user's mu.
type device struct {
	flows  int
	active int64 // when a byte moved last, as Meter.activity tells it
}

// left returns the device whose place one more, from net, may take: there are
// as many as may be, and it is the one that has been silent for longest, and
// for long enough. Otherwise it returns nil.
func (u *user) left(net netip.Prefix, now int64, grace time.Duration) *device {
	if u.limits.devices == 0 || u.networks[net] != nil || len(u.networks) < u.limits.devices {
		return nil
	}
	var silent *device
	for _, d := range u.networks {
		if silent == nil || d.active < silent.active {
			silent = d
		}
	}
	if silent == nil || time.Duration(now-silent.active) < grace {
		return nil
	}
	return silent
}
