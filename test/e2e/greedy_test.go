//go:build linux && e2e

package e2e

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/test/e2e/rig"
)

// A user without any limit who opens all that there is leaves something for
// others, on a machine that has few descriptors to give.
func TestOneUserDoesNotTakeAll(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port, "--protocol", "socks5")
	i.Serve()
	greedy, other := i.CreateUser("greedy"), i.CreateUser("other")
	const files = 464 // 100 connections, and what the worker needs
	limit := unix.Rlimit{Cur: files, Max: files}
	if err := unix.Prlimit(i.Daemon().PID(), unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	i.Must("server", "restart", "main", "--yes") // what is started now has it too
	open := func(l rig.Link) (net.Conn, error) {
		conn, err := rig.Through(within(t, 10*time.Second), i.World, l, net.JoinHostPort(rig.OutsideAddr, "9000"))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return conn, err
	}
	var refused error
	taken := 0
	for ; taken < files && refused == nil; taken++ {
		_, refused = open(greedy)
	}
	if !errors.Is(refused, rig.SOCKSError(2)) || taken < 40 || taken > 60 {
		t.Errorf("of 100 connections one user has %d, and then %v", taken, refused)
	}
	for n := range 10 {
		if _, err := open(other); err != nil {
			t.Fatalf("connection %d of another: %v", n, err)
		}
	}
	if n := i.User("greedy").Online; n != taken-1 {
		t.Errorf("%d connections of %d are left", n, taken-1)
	}
}
