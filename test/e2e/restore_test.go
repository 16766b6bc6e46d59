//go:build linux && e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A user whose quota is used up connects again 200 ms after a reset, by its
// old link; what the server has carried for it ever stays counted, to the
// byte, and others notice nothing.
func TestAResetLetsAUserConnectAgain(t *testing.T) {
	const quota, budget, tries = 2_000_000, 200 * time.Millisecond, 5
	i, logins := install(t, 3)
	i.Must("users", "update", "u0", "--quota", "2MB")
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 1, 2)
	var took []time.Duration
	var ever uint64
	for range tries {
		conn := client.MustOpen(t, 0, false)
		if err := conn.Download(10*quota, 0); err == nil {
			t.Fatal("ten times the quota has passed")
		}
		ever += usedUp(t, i, "u0")
		if err := client.Refused(t.Context(), 0); err != nil {
			t.Error(err)
		}
		start := time.Now()
		var c vpn.UserChange
		i.JSON(&c, "users", "reset", "u0")
		if !c.Synced || c.User.Used.Total() != 0 || c.User.Status != vpn.Active {
			t.Errorf("reset: %+v", c)
		}
		open(t, client, 0)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("users reset and the first session: %v", took)
	if median := took[tries/2]; median > budget && !rig.Slow() {
		t.Errorf("median %v, the budget is %v", median, budget)
	}
	// The sessions that measured the time have moved some bytes too.
	u := i.User("u0")
	ever += u.Used.Total()
	if got := u.Servers[0].Used.Total(); got < ever || got > ever+tries*1000 {
		t.Errorf("the server's total is %d, used were %d", got, ever)
	}
	load.Stop(t)
}

// A user who was deleted and restored connects by the link that it has had
// from the beginning; the daemon need not have lived in between.
func TestARestoredUserConnectsByTheOldLink(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 2)
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 1, 1)
	if err := client.MustOpen(t, 0, false).Download(1_000_000, 0); err != nil {
		t.Fatal(err)
	}
	i.Must("users", "delete", "u0", "--yes")
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	var c vpn.UserChange
	i.JSON(&c, "users", "restore", "u0")
	if !c.Synced {
		t.Error("the answer says that no worker follows yet")
	}
	if err := client.MustOpen(t, 0, false).Download(1000, 0); err != nil {
		t.Errorf("after a restore: %v", err)
	}
	rig.Until(t, 10*time.Second, func() error {
		if used := i.User("u0").Used.Total(); used < 1_000_000 {
			return vpn.Errorf(vpn.Internal, "used are %d bytes", used)
		}
		return nil
	})
	if err := load.Err(); err != nil {
		t.Errorf("connections of others: %v", err)
	}

	i.Must("users", "delete", "u0", "--yes")
	i.Daemon().Kill()
	i.Serve()
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	i.Must("users", "restore", "u0")
	client.MustOpen(t, 0, false)
	load.Stop(t)
}
