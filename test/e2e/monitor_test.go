//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// What clients move is in the history, once and soon, whatever becomes of the
// control plane; and who is connected is seen.
func TestMonitorShowsWhatIsMoved(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 2)
	client := i.World.Xray(t, logins...)
	const size = 3_000_000
	move := func(login int, inner bool) {
		t.Helper()
		conn := client.MustOpen(t, login, inner)
		defer conn.Close()
		if err := conn.Download(size, 0); err != nil {
			t.Fatal(err)
		}
		if err := conn.Upload(context.Background(), size, 0); err != nil {
			t.Fatal(err)
		}
	}
	total := func(args ...string) vpn.Traffic {
		t.Helper()
		var h vpn.History
		i.JSON(&h, append([]string{"monitor", "traffic", "--since", "1h"}, args...)...)
		return h.Total
	}
	agrees := func(what string) {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error {
			for _, user := range []string{"u0", "u1"} {
				used, seen := i.User(user).Used, total("--user", user)
				if used.Down < size || used.Up < size || seen != used {
					return fmt.Errorf("%s: %s has used %+v, the history has %+v", what, user, used, seen)
				}
			}
			return nil
		})
	}
	move(0, false)
	move(1, true)
	agrees("while it runs")

	conn := client.MustOpen(t, 0, false)
	rig.Until(t, 5*time.Second, func() error {
		var live []vpn.Session
		i.JSON(&live, "monitor", "connections", "--user", "u0")
		for _, s := range live {
			if s.UserName == "u0" && s.Server == "main" && s.Protocol == "vless" && s.Source.Addr().IsValid() {
				return nil
			}
		}
		return fmt.Errorf("the connections are %+v", live)
	})
	i.Daemon().Kill()
	move(1, false)
	i.Serve()
	conn.Close()
	agrees("after a kill")
	var h vpn.History
	i.JSON(&h, "monitor", "traffic", "--since", "1h", "--by", "user")
	if got, want := h.Total, i.User("u0").Used.Add(i.User("u1").Used); got != want || len(h.Points) < 2 {
		t.Errorf("both together: %+v, want %+v", got, want)
	}
}
