//go:build linux && e2e

package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// "vpn up" belongs to its terminal: ^C, a closed window and a plain kill stop
// everything in order, and the next one serves again with the same keys.
func TestUpEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	var link string
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGHUP, syscall.SIGTERM} {
		up := i.Launch("up", "--target", "self")
		rig.Until(t, 20*time.Second, func() error { return printed(up, "vless://") })
		now := i.Must("users", "link", "me")
		if link != "" && now != link {
			t.Errorf("before %v: another link than before", sig)
		}
		link = now
		i.OneWorker()
		up.Signal(sig)
		up.Wait(t, 20*time.Second)
		if left := i.Workers(); len(left) > 0 {
			t.Errorf("after %v: workers %v", sig, left)
		}
	}
}
