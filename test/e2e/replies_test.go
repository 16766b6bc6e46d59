//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// What a proxy answers says why it could not connect: each of SOCKS5's replies
// (RFC 1928, section 6), and HTTP's status for the same, by what causes it on a
// real network.
func TestProxiesSayWhyTheyCannotConnect(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("both", 1080, "--protocol", "mixed", "--deny-port", "25")
	i.Serve()
	link := i.CreateUser("alice")
	const (
		done, failure, refused, noNetwork, noHost, noPort, noAnswer = 0, 1, 2, 3, 4, 5, 6

		echo = rig.OutsideAddr + ":9000"
	)
	cases := []struct {
		what   string
		to     string // host:port
		server string // a route of the server's host
		far    string // what becomes of a packet outside, in the words of nft
		reply  int
		status string
	}{
		{what: "what is there", to: rig.OutsideAddr + ":443", reply: done, status: "200"},
		{what: "this machine", to: "127.0.0.1:80", reply: refused, status: "403"},
		{what: "a private network", to: rig.PrivateAddr + ":80", reply: refused, status: "403"},
		{what: "a port that is denied", to: rig.OutsideAddr + ":25", reply: refused, status: "403"},
		{what: "nobody listens", to: rig.OutsideAddr + ":1", reply: noPort, status: "502"},
		{what: "nobody listens, IPv6", to: "[" + rig.OutsideAddr6 + "]:1", reply: noPort, status: "502"},
		{what: "no such name", to: "name.invalid:80", reply: noHost, status: "502"},

		{what: "a route that says no", to: "198.51.100.1:80", server: "route add prohibit 198.51.100.1", reply: refused, status: "502"},
		{what: "no route", to: "198.51.100.2:80", server: "route add throw 198.51.100.2", reply: noNetwork, status: "502"},
		{what: "no route, IPv6", to: "[2001:db8:9::2]:80", server: "route add throw 2001:db8:9::2", reply: noNetwork, status: "502"},
		{what: "a route that leads nowhere", to: "198.51.100.3:80", server: "route add unreachable 198.51.100.3", reply: noHost, status: "502"},
		{what: "a router knows no network", to: "198.51.100.4:80", far: "reject with icmp type net-unreachable", reply: noNetwork, status: "502"},
		{what: "a router knows no host", to: "198.51.100.5:80", far: "reject with icmp type host-unreachable", reply: noHost, status: "502"},
		{what: "a router knows no host, IPv6", to: "[2001:db8:9::5]:80", far: "reject with icmpv6 type addr-unreachable", reply: noHost, status: "502"},
		{what: "a router forbids it, IPv6", to: "[2001:db8:9::6]:80", far: "reject with icmpv6 type admin-prohibited", reply: refused, status: "502"},
		{what: "a firewall says that nobody listens", to: "198.51.100.7:80", far: "reject with icmp type port-unreachable", reply: noPort, status: "502"},
		{what: "a firewall resets", to: "198.51.100.8:80", far: "reject with tcp reset", reply: noPort, status: "502"},
		{what: "nobody answers", to: "198.51.100.9:80", far: "drop", reply: noAnswer, status: "504"},
		// The kernel does not tell this from a host that is not reached.
		{what: "too many routers on the way", to: "198.51.100.10:80", server: "route add 198.51.100.10 via " + rig.OutsideAddr + " hoplimit 1", reply: noHost, status: "502"},
	}
	set := func(h *rig.Host, file, value string) {
		t.Helper()
		if err := h.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/"+file, []byte(value), 0) }); err != nil {
			t.Fatal(err)
		}
	}
	set(w.Server, "tcp_syn_retries", "1") // 3 s instead of two minutes
	set(w.Outside, "ip_forward", "1")
	w.Outside.IP(t, "route add 198.51.100.10 via "+serverOut) // it would go on from there
	w.Outside.Output(t, "nft", "add table inet far; add chain inet far in { type filter hook input priority 0; }")
	for _, c := range cases {
		if c.server != "" {
			w.Server.IP(t, c.server)
		}
		if c.far == "" {
			continue
		}
		host, _, err := net.SplitHostPort(c.to)
		if err != nil {
			t.Fatal(err)
		}
		family, add := "ip", "addr add "+host+" dev lo"
		if net.ParseIP(host).To4() == nil {
			family, add = "ip6", add+" nodad"
		}
		w.Outside.IP(t, add)
		w.Outside.Output(t, "nft", fmt.Sprintf("add rule inet far in %s daddr %s meta l4proto tcp %s", family, host, c.far))
	}
	at := net.JoinHostPort(link.Host, strconv.Itoa(link.Port))
	ask := func(what, to string, reply int, status string) {
		conn, err := rig.Through(within(t, 20*time.Second), w, link, to)
		if err == nil {
			conn.Close()
		}
		code, said := errors.AsType[rig.SOCKSError](err)
		if err != nil && !said || int(code) != reply {
			t.Errorf("%s: SOCKS5 replies %v, want code %d", what, err, reply)
		}
		got := curl(t, w, "--proxytunnel", "--globoff", "--max-time", "10", "--proxy", "http://"+at,
			"--proxy-user", link.User+":"+link.Password, "http://"+to+"/")
		if got.connect != status {
			t.Errorf("%s: HTTP's status is %q, want %s", what, got.connect, status)
		}
	}
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() { ask(c.what, c.to, c.reply, c.status) })
	}
	all.Wait()

	// The proxy's own trouble: it has one port to go out by, which is taken.
	set(w.Server, "ip_local_port_range", "40000\t40000")
	conn, err := rig.Through(within(t, 10*time.Second), w, link, echo)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask("no port to go out by", echo, failure, "502")
}
