package firewall_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/network/networktest"
)

const port = 8443

// A net is a host, whose firewall is tested, and a stranger.
type pair struct{ host, stranger *networktest.Host }

const (
	hostV4, hostV6 = "192.0.2.1", "2001:db8::1"
	hostLAN        = "10.7.0.1"
)

// newPair joins two hosts, which know each other's IPv6 neighbours by heart, so
// that rules need not let in what finds them. Something listens on the first one's port.
func newPair(t testing.TB) pair {
	t.Helper()
	p := pair{networktest.NewHost(t), networktest.NewHost(t)}
	p.host.Run(t, fmt.Sprintf(`link set lo up
link add wan0 address 02:00:00:00:00:01 type veth peer name up0 address 02:00:00:00:00:09 netns %[1]s
link add lan0 type veth peer name down0 netns %[1]s
addr add 192.0.2.1/24 dev wan0
addr add 2001:db8::1/64 dev wan0 nodad
addr add 10.7.0.1/24 dev lan0
link set wan0 up
link set lan0 up
neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev wan0
route add default via 192.0.2.9
route add default via 2001:db8::9
`, p.stranger.Path()), "ip", "-batch", "-")
	p.stranger.Run(t, `link set lo up
addr add 192.0.2.9/24 dev up0
addr add 2001:db8::9/64 dev up0 nodad
addr add 10.7.0.9/24 dev down0
link set up0 up
neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev up0
link set down0 up
`, "ip", "-batch", "-")
	p.host.Accept(t, port)
	return p
}

// reaches reports whether the stranger gets in at an address.
func (p pair) reaches(addr string, wait time.Duration) bool {
	return p.stranger.Reaches(addr, port, wait)
}

// withoutCapabilities runs f on the host as somebody who may nothing, on a
// thread that ends with it.
func (p pair) withoutCapabilities(t *testing.T, f func()) {
	t.Helper()
	ns, err := os.Open(p.host.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var none [2]unix.CapUserData
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// load gives rules to nft, which wants each brace to end its line.
func (p pair) load(t testing.TB, rules string) {
	t.Helper()
	p.host.Run(t, strings.ReplaceAll(rules, "} }", "}\n}"), "nft", "-f", "-")
}
