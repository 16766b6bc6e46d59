package network_test

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/internal/network"
)

// Whatever of this machine has addresses is found: by the interface, by the
// route, whichever table that is in.
func TestUses(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs root")
		}
		t.Skip("this test needs root")
	}
	var uses []network.Use
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and its network, end with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			cmd := exec.Command("ip", "-batch", "-")
			cmd.Stdin = strings.NewReader(`link set lo up
link add lan0 type veth peer name far0
link set lan0 up
link set far0 up
addr add 10.7.3.9/24 dev lan0
addr add fd12:3456:789a:1::9/64 dev lan0 nodad
route add 10.30.0.0/16 via 10.7.3.1
route add 10.31.0.0/16 via 10.7.3.1 table 51820
route add blackhole 10.32.0.0/16
route add fd99::/48 via fd12:3456:789a:1::1 table 77
route add default via 10.7.3.1
route add default via fd12:3456:789a:1::1
`)
			var out []byte
			if out, err = cmd.CombinedOutput(); err != nil {
				t.Errorf("%s", out)
			} else {
				uses, err = network.Uses()
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, u := range uses {
		got[u.Prefix.String()] = u.By
	}
	want := map[string]string{
		"10.7.3.0/24": "interface lan0", "fd12:3456:789a:1::/64": "interface lan0",
		"10.30.0.0/16": "a route by lan0", "10.31.0.0/16": "a route by lan0", "10.32.0.0/16": "a route",
		"fd99::/48": "a route by lan0",
	}
	for prefix, by := range want {
		if got[prefix] != by {
			t.Errorf("%s is used by %q, want %q", prefix, got[prefix], by)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %v", got)
	}
	if err := network.Taken(netip.MustParsePrefix("10.31.7.0/24"), uses); err == nil || !strings.Contains(err.Error(), "a route by lan0") {
		t.Errorf("a subnet inside a route of another table: %v", err)
	}
}
