//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
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

// In a real terminal, too: ^C goes to all that run in it, and with its window
// everything ends.
func TestUpInATerminal(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	for what, end := range map[string]func(*rig.Terminal){
		"^C":              func(tm *rig.Terminal) { tm.Press("C-c") },
		"a closed window": (*rig.Terminal).Close,
	} {
		tm := rig.OpenTerminal(t, 120, 60, []string{"VPN_DATA_DIR=" + i.Data, "HOME=" + t.TempDir()},
			"nsenter", "--net="+i.World.Server.Network(), i.Bin, "up", "--target", "self")
		tm.Want("█", "another user: vpn users create", "^C stops it all") // and the QR code above
		daemon := 0
		rig.Until(t, 5*time.Second, func() error {
			s, err := i.Status()
			daemon = s.PID
			return err
		})
		i.OneWorker()
		end(tm)
		rig.Until(t, 20*time.Second, func() error {
			if left := i.Workers(); len(left) > 0 {
				return fmt.Errorf("after %s there are workers: %v", what, left)
			}
			if err := syscall.Kill(daemon, 0); err == nil {
				return fmt.Errorf("after %s the daemon goes on", what)
			}
			return nil
		})
	}
}

// Whoever starts it twice at once gets one daemon, and the same link twice.
func TestUpTwiceAtOnce(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	const atOnce = 3
	ups := make([]*rig.Process, atOnce)
	for k := range ups {
		ups[k] = i.Launch("up", "--target", "self")
	}
	var links []string
	rig.Until(t, 30*time.Second, func() error {
		links = nil
		for _, up := range ups {
			if err := printed(up, "vless://"); err != nil {
				return err
			}
			_, after, _ := strings.Cut(up.Output(), "vless://")
			link, _, _ := strings.Cut(after, "\n")
			links = append(links, link)
		}
		return nil
	})
	slices.Sort(links)
	if links = slices.Compact(links); len(links) != 1 {
		t.Errorf("links: %q", links)
	}
	i.OneWorker()
	rig.Until(t, 10*time.Second, func() error {
		running := slices.DeleteFunc(slices.Clone(ups), func(up *rig.Process) bool { return up.Running() != nil })
		if len(running) != 1 {
			return fmt.Errorf("%d of them go on", len(running))
		}
		return nil
	})
	for _, up := range ups {
		if up.Running() == nil {
			up.Signal(os.Interrupt)
		}
		if status := up.Wait(t, 20*time.Second); status != 0 {
			t.Errorf("exit %d:\n%s", status, up.Output())
		}
	}
}
