//go:build linux && e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// Two devices are two addresses: a third is refused while both are there, and
// admitted once one has left.
func TestDeviceLimit(t *testing.T) {
	t.Parallel()
	for name, w := range ways() {
		if !w.fixed && w.protocol != "wireguard" { // where each device has keys of its own: TestTunnelDevices
			t.Run(name, func(t *testing.T) { testDevices(t, w) })
		}
	}
}

func testDevices(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 1)
	i.Must("users", "update", "u0", "--devices", "2")
	link := logins[0].Link
	client := w.start(i.World, t,
		rig.Login{Link: link, From: rig.ClientAddr(1)},
		rig.Login{Link: link, From: rig.ClientAddr(2)},
		rig.Login{Link: link, From: rig.ClientAddr(3)})
	first := client.MustOpen(t, 0, false)
	second := client.MustOpen(t, 1, true)
	client.MustOpen(t, 0, false).Close() // one device may have many connections
	if err := client.Refused(t.Context(), 2); err != nil {
		t.Error(err)
	}
	if err := first.Echo(10); err != nil {
		t.Errorf("an admitted device: %v", err)
	}
	second.Close()
	eventuallyIn(t, client, 2)
	if err := client.Refused(t.Context(), 1); err != nil {
		t.Errorf("the one that left: %v", err)
	}
	if err := first.Echo(10); err != nil {
		t.Errorf("an admitted device: %v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	i.Must("users", "update", "u0", "--connections", "2")
	client := i.World.Xray(t, logins...)
	first := client.MustOpen(t, 0, false)
	client.MustOpen(t, 0, true)
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	first.Close()
	eventuallyIn(t, client, 0)
}

// eventuallyIn waits until a login is admitted, and leaves it connected.
func eventuallyIn(t *testing.T, c *rig.Client, login int) {
	t.Helper()
	rig.Until(t, 5*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		conn, err := c.Open(ctx, login, false)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err
	})
}
