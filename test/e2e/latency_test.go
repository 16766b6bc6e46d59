//go:build linux && e2e

package e2e

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A user who was created a moment ago can connect, while others are
// connected: 200 ms for the command and the first session together, and the
// first attempt succeeds.
func TestANewUserConnectsAtOnce(t *testing.T) {
	const tries, budget = 7, 200 * time.Millisecond
	i, logins := install(t, others)
	load := i.World.Xray(t, logins...).Load(t, 0, others)
	var took []time.Duration
	for k := range tries {
		start := time.Now()
		var c vpn.UserChange
		i.JSON(&c, "users", "create", "new"+strconv.Itoa(k))
		created := time.Since(start)
		if !c.Synced {
			t.Error("the answer says that no worker follows yet")
		}
		// The client program's own start is not the product's.
		client := i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, c.Access[0].Link)})
		took = append(took, created+open(t, client, 0))
		client.Kill()
	}
	slices.Sort(took)
	t.Logf("users create and the first session: %v", took)
	if median := took[tries/2]; median > budget && !rig.Slow() {
		t.Errorf("median %v, the budget is %v", median, budget)
	}
	load.Stop(t)
}

// open returns how long a login takes to connect and exchange a few bytes, at
// the first attempt.
func open(t *testing.T, c opener, login int) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	start := time.Now()
	conn, err := c.Open(ctx, login, false)
	if err != nil {
		t.Fatalf("the first attempt: %v", err)
	}
	conn.Close()
	return time.Since(start)
}

// Reality looks at its target before it can imitate it, and a bare server lets
// the first client wait for five seconds meanwhile. Ours does not: not after
// the first start, not after a worker's crash, not without a check beforehand.
func TestTheFirstSessionDoesNotWait(t *testing.T) {
	for name, flags := range map[string][]string{"checked": nil, "unchecked": {"--no-check"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := rig.NewWorld(t).Instance(t)
			i.CreateServer("main", port, flags...)
			link := i.CreateUser("alice")
			client := i.World.Xray(t, rig.Login{Link: link})
			i.Serve()
			if took := open(t, client, 0); took > time.Second {
				t.Errorf("the first session takes %v", took)
			}
			i.Must("server", "restart", "main", "--yes")
			if took := open(t, client, 0); took > time.Second {
				t.Errorf("after a restart it takes %v", took)
			}
		})
	}
}
