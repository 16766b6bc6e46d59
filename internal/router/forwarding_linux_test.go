package router_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/router"
)

// advertise sends what a router of a provider does: a prefix to take an
// address from, and that it is the way to everywhere. RFC 4861, section 4.2.
func (p pair) advertise(t *testing.T, prefix string) {
	t.Helper()
	a := netip.MustParseAddr(prefix).As16()
	message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} // half an hour
	message = append(message, 3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	message = append(message, a[:]...)
	send := func() (err error) {
		var link *net.Interface
		if link, err = net.InterfaceByName("up0"); err != nil {
			return err
		}
		var fd int
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return err
		}
		defer unix.Close(fd)
		to := unix.SockaddrInet6{Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(link.Index)}
		return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255), unix.Sendto(fd, message, 0, &to))
	}
	var err error
	for range 200 { // the link has no address of its own before the kernel has seen that it is up
		if p.outside.Do(func() { err = send() }); !errors.Is(err, unix.ENETUNREACH) {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until the server's host has what a command shows.
func (p pair) await(t *testing.T, what string, args ...string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var out string
	for range 300 {
		if out = p.server.Run(t, "", "ip", args...); strings.Contains(out, what) {
			return
		}
		<-tick.C
	}
	t.Fatalf("ip %s shows no %s:\n%s", strings.Join(args, " "), what, out)
}

// A machine that has its IPv6 by router advertisements keeps it, and goes on
// listening. Links that did not listen do not begin to.
func TestRouterAdvertisementsStillCount(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.server.Run(t, "link add lan0 type veth peer name lan1\nroute del default via 2001:db8::9\n", "ip", "-batch", "-")
	p.server.Setting(t, "ipv6/conf/lan0/accept_ra", "0")
	p.server.Setting(t, "ipv6/conf/lan1/accept_ra", "2")
	p.advertise(t, "2001:db8:77::")
	p.await(t, "2001:db8:77:", "-6", "address")
	p.await(t, "default via fe80::", "-6", "route")
	p.open(t, tun)
	changes := p.apply(t, tun)
	if !slices.Contains(changes, router.Change{Name: "net.ipv6.conf.wan0.accept_ra", Was: "1", Is: "2"}) {
		t.Errorf("it is not said that accept_ra was changed: %v", changes)
	}
	if out := p.server.Run(t, "", "ip", "-6", "route"); !strings.Contains(out, "default via fe80::") {
		t.Errorf("the default route is gone:\n%s", out)
	}
	p.advertise(t, "2001:db8:78::")
	p.await(t, "2001:db8:78:", "-6", "address")
	for link, want := range map[string]string{"lan0": "0", "lan1": "2"} {
		if got := p.server.Setting(t, "ipv6/conf/"+link+"/accept_ra"); got != want {
			t.Errorf("accept_ra of %s is %s, want %s", link, got, want)
		}
	}
	// A link that comes later listens as it would have.
	p.server.Run(t, "", "ip", "link", "add", "later0", "type", "veth", "peer", "name", "later1")
	if got := p.server.Setting(t, "ipv6/conf/later0/accept_ra"); got != "2" {
		t.Errorf("accept_ra of a link that comes later is %s", got)
	}
}

// Without that, forwarding takes the default route away: the test above tests
// something.
func TestForwardingAloneEndsAdvertisements(t *testing.T) {
	p := newPair(t)
	p.server.Run(t, "", "ip", "route", "del", "default", "via", "2001:db8::9")
	p.advertise(t, "2001:db8:77::")
	p.await(t, "default via fe80::", "-6", "route")
	p.server.Setting(t, "ipv6/conf/all/forwarding", "1")
	if out := p.server.Run(t, "", "ip", "-6", "route"); strings.Contains(out, "default via fe80::") {
		t.Errorf("the default route stays:\n%s", out)
	}
}

// A host that forwards already is left as it is, and nothing is said.
func TestHostThatForwardsAlready(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.server.Setting(t, "ipv4/ip_forward", "1")
	p.server.Setting(t, "ipv6/conf/all/forwarding", "1")
	p.open(t, tun)
	if changes := p.apply(t, tun); len(changes) != 0 {
		t.Errorf("changed were %v", changes)
	}
	if got := p.server.Setting(t, "ipv6/conf/wan0/accept_ra"); got != "1" {
		t.Errorf("accept_ra is %s", got)
	}
}

// A host without IPv6 has tunnels without it.
func TestHostWithoutIPv6(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.server.Setting(t, "ipv6/conf/all/disable_ipv6", "1")
	p.server.Setting(t, "ipv6/conf/default/disable_ipv6", "1")
	device := p.open(t, tun)
	if changes := p.apply(t, tun); fmt.Sprint(changes) != "[net.ipv4.ip_forward=1 (was 0)]" {
		t.Errorf("changed were %v", changes)
	}
	d := datagram{client(tun, false, 1), netip.MustParseAddr(outsideV4), lastPort}
	write(t, device, d.bytes())
	p.received(t, lastPort)
}
