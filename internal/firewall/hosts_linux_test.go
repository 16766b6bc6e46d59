package firewall_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A host is a network namespace with a thread in it. It ends with the test.
type host struct {
	jobs chan func()
	path string
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		h.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		if err == nil {
			for f := range h.jobs {
				f()
			}
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.jobs) })
	return h
}

// do runs f on the host's thread.
func (h *host) do(f func()) {
	done := make(chan bool)
	h.jobs <- func() { f(); done <- true }
	<-done
}

// run feeds a program on the host.
func (h *host) run(input, program string, args ...string) error {
	var out []byte
	var err error
	h.do(func() {
		cmd := exec.Command(program, args...)
		cmd.Stdin = strings.NewReader(input)
		out, err = cmd.CombinedOutput()
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, input, out)
	}
	return nil
}

func (h *host) must(t testing.TB, input, program string, args ...string) {
	t.Helper()
	if err := h.run(input, program, args...); err != nil {
		t.Fatal(err)
	}
}

const port = 8443

// A net is a host, whose firewall is tested, and a stranger.
type pair struct{ host, stranger *host }

const (
	hostV4, hostV6 = "192.0.2.1", "2001:db8::1"
	hostLAN        = "10.7.0.1"
)

// newPair joins two hosts, which know each other's IPv6 neighbours by heart, so
// that rules need not let in what finds them. Something listens on the first one's port.
func newPair(t testing.TB) pair {
	t.Helper()
	needRoot(t)
	p := pair{newHost(t), newHost(t)}
	p.host.must(t, fmt.Sprintf(`link set lo up
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
`, p.stranger.path), "ip", "-batch", "-")
	p.stranger.must(t, `link set lo up
addr add 192.0.2.9/24 dev up0
addr add 2001:db8::9/64 dev up0 nodad
addr add 10.7.0.9/24 dev down0
link set up0 up
neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev up0
link set down0 up
`, "ip", "-batch", "-")
	p.host.do(func() {
		l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	})
	return p
}

// reaches reports whether the stranger gets in at an address.
func (p pair) reaches(addr string, wait time.Duration) bool {
	var err error
	p.stranger.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		var c net.Conn
		if c, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(addr, fmt.Sprint(port))); err == nil {
			c.Close()
		}
	})
	return err == nil
}

// needRoot skips a test unless it runs as root; in CI it fails instead.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

// withoutCapabilities runs f on the host as somebody who may nothing, on a
// thread that ends with it.
func (p pair) withoutCapabilities(t *testing.T, f func()) {
	t.Helper()
	ns, err := os.Open(p.host.path)
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
	p.host.must(t, strings.ReplaceAll(rules, "} }", "}\n}"), "nft", "-f", "-")
}
