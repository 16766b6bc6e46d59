//go:build linux && e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"vpn/internal/vpn"
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

// Of each protocol: a user has no more connections than the limit, and the time
// that is valid for begins with the first use.
func TestConnectionsAndTimeOfEachProtocol(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"vless, xray", "shadowsocks, ss-local", "shadowsocks 2022, sing-box", "http, sing-box", "https, sing-box", "socks5, xray",
		tunneled, "wireguard, userspace",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testConnectionsAndTime(t, ways()[name])
		})
	}
}

func testConnectionsAndTime(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 2)
	const few, timed = 0, 1
	i.Must("users", "update", "u0", "--connections", "2")
	const valid = 6 * time.Second // shorter than a person can ask for
	patch := vpn.UserPatch{ValidFor: new(vpn.Seconds(valid / time.Second))}
	if err := i.API(t.Context(), "PATCH", "/v1/users/u1", patch, nil); err != nil {
		t.Fatal(err)
	}
	if u := i.User("u1"); u.Status != vpn.OnHold || !u.ExpiresAt.IsZero() {
		t.Fatalf("before the first use: %+v", u.UserInfo)
	}
	before := time.Now() // a device speaks as soon as it is there
	client := w.start(i.World, t, logins...)
	conn := client.MustOpen(t, timed, false)
	after := time.Now()
	if w.protocol != "wireguard" { // in which a device is one (TestUserspace/connections)
		first := client.MustOpen(t, few, false)
		second := client.MustOpen(t, few, true)
		if err := client.Refused(t.Context(), few); err != nil {
			t.Errorf("a third connection of two: %v", err)
		}
		first.Close()
		eventuallyIn(t, client, few)
		alive(t, "the connection that stays", second)
	}
	alive(t, "while the time runs", conn)
	late := time.Second
	if rig.Slow() {
		late = patience()
	}
	if !w.deaf && !conn.Ended(time.Until(after.Add(valid+late))) {
		t.Error("a connection outlives its user's time by a second")
	}
	rig.Until(t, time.Until(after.Add(valid+late+2*time.Second)), func() error { return client.Refused(t.Context(), timed) })
	if early := time.Until(before.Add(valid)); early > 0 {
		t.Errorf("cut %v too early", early)
	}
	if u := i.User("u1"); u.Status != vpn.Expired || u.FirstUsedAt.Before(before) || u.FirstUsedAt.After(after) {
		t.Errorf("%s, first used %v, between %v and %v", u.Status, u.FirstUsedAt, before, after)
	}
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
