//go:build linux && e2e

package e2e

import (
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A tunnel is one of the devices that a user may have, and one of the
// connections, beside those of other protocols on other servers.
func TestATunnelCountsAmongOthers(t *testing.T) {
	for _, limit := range []string{"--devices", "--connections"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			i := newTrioWith(t, []string{"--protocol", "wireguard", "--carrier", "userspace"}, limit, "1")
			laptop, phone := i.World.SingBox(t, from(i.logins[:2], 1)...), rig.WireGuard(i.World, t, from(i.logins, 2)[2])
			busy := phone.Load(t, 0, 1)
			pause(t.Context(), 1500*time.Millisecond) // a poll
			refuses := func(when string) {
				t.Helper()
				for server := range 2 {
					if err := laptop.Refused(t.Context(), server); err != nil {
						t.Errorf("%s: beside the tunnel, server %d: %v", when, server, err)
					}
				}
			}
			refuses("the tunnel is there")
			i.Daemon().Kill()
			refuses("the control plane is away")
			i.Serve()
			refuses("the control plane is back")
			busy.Stop(t)
			if limit == "--connections" {
				return // a tunnel is there for three minutes after its last packet
			}
			rig.Until(t, vpn.RoamingGrace+5*time.Second, func() error { return works(t, laptop, 0) })
			others := laptop.Load(t, 0, 1)
			pause(t.Context(), 1500*time.Millisecond)
			if err := phone.Refused(t.Context(), 0); err != nil {
				t.Errorf("the tunnel beside the laptop: %v", err)
			}
			others.Stop(t)
		})
	}
}
