//go:build linux && e2e

package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// canaryPort is where somebody listens who must never hear from a user.
const canaryPort = "7777"

// forbidden are destinations that no user may reach, in many spellings.
func forbidden() []string {
	return []string{
		"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "localhost",
		rig.PrivateAddr, "::ffff:" + rig.PrivateAddr, "169.254.169.254", "fd00::7",
		"loopback.example.test", "private.example.test", // names that lead there
		"100.64.0.1", "192.168.1.1", "172.16.0.1", "198.18.0.1", "fe80::1", "224.0.0.1", "255.255.255.255",
		"64:ff9b::7f00:1", "64:ff9b::a09:909", "2002:7f00:1::", "2130706433", "0x7f.1",
		rig.ServerAddr, rig.ServerAddr6, serverOut, serverOut6, // the server's own, which are public
		"172.17.0.2", "192.0.0.192", "fec0::7", "fd00:ec2::254", "64:ff9b:1::a09:909", "2001:0:a09:909::1", "2002:a09:909::1",
		// What only C libraries take for addresses.
		"127.1", "0177.0.0.1", "017700000001", "0x7f000001", "0x7f.0x0.0x0.0x1", "127.0.0.01", "127.0.0.1.", "10.9.2313", "168364297", "0xa9fea9fe",
		"LOCALHOST", "localhost.", "a.localhost",
	}
}

// namesOfAddresses are names that lead to the addresses among them: 7f000001.hex.test
// to 127.0.0.1.
func namesOfAddresses(hosts []string) (names []string) {
	for _, host := range hosts {
		if a, err := netip.ParseAddr(host); err == nil {
			names = append(names, hex.EncodeToString(a.AsSlice())+".hex.test")
		}
	}
	return names
}

// reboundName leads to where users may go, and to the canary, by turns.
const reboundName = "rebound.test"

// tricks answers as somebody's own name servers do who wants to get in.
func tricks() func(name string, six bool) []netip.Addr {
	var asked atomic.Int64
	return func(name string, six bool) []netip.Addr {
		if digits, ok := strings.CutSuffix(name, ".hex.test"); ok {
			b, _ := hex.DecodeString(digits)
			a, _ := netip.AddrFromSlice(b)
			return []netip.Addr{a}
		}
		switch {
		case name != reboundName || six:
			return nil
		case asked.Add(1)%2 == 1:
			return []netip.Addr{netip.MustParseAddr(rig.OutsideAddr)}
		}
		return []netip.Addr{netip.MustParseAddr(rig.PrivateAddr)}
	}
}

// sitEverywhere lets the canary sit where the forbidden places are, as far as
// the server would find them there.
func (c *canary) sitEverywhere(t *testing.T, w *rig.World) {
	t.Helper()
	c.sit(t, w.Server, "") // all of its own addresses
	for _, host := range []string{rig.PrivateAddr, "169.254.169.254", "fd00::7"} {
		c.sit(t, w.Outside, host)
	}
	for _, host := range []string{
		"100.64.0.1", "192.168.1.1", "172.17.0.2", "198.18.0.1", "192.0.0.192", "fec0::7", "fd00:ec2::254",
		"64:ff9b::a09:909", "64:ff9b:1::a09:909", "2001:0:a09:909::1", "2002:a09:909::1",
	} {
		command := "addr add " + host + " dev lo"
		if strings.Contains(host, ":") {
			command += " nodad"
		}
		w.Outside.IP(t, command)
		c.sit(t, w.Outside, host)
	}
}

// A canary counts who reaches it, over TCP and UDP.
type canary struct{ touched atomic.Int64 }

func (c *canary) sit(t *testing.T, h *rig.Host, host string) {
	t.Helper()
	l := h.Listen(t, net.JoinHostPort(host, canaryPort))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.touched.Add(1)
			_, _ = conn.Write([]byte("secret"))
			conn.Close()
		}
	}()
	p := h.ListenPacket(t, net.JoinHostPort(host, canaryPort))
	go func() {
		for b := make([]byte, 100); ; c.touched.Add(1) {
			if _, _, err := p.ReadFrom(b); err != nil {
				return
			}
		}
	}()
}

func TestForbiddenDestinationsAreRefusedAtOnce(t *testing.T) {
	for name, w := range heard() {
		if w.protocol == "wireguard" {
			continue // a device asks for no names, and sends whole packets: TestTunnel
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testForbidden(t, w)
		})
	}
}

func testForbidden(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 1)
	client := w.start(i.World, t, logins...)
	client.MustOpen(t, 0, false)
	var c canary
	c.sitEverywhere(t, i.World)
	rig.Names(t, i.World, tricks())
	hosts := append(forbidden(), namesOfAddresses(forbidden())...)
	for _, host := range hosts {
		took, got := ask(t, client, net.JoinHostPort(host, canaryPort))
		if got != "" {
			t.Errorf("%s says %q", host, got)
		}
		if took > 500*time.Millisecond && !rig.Slow() {
			t.Errorf("%s: refused after %v", host, took)
		}
	}
	// Whoever looks a name up twice dials what he has not judged.
	for range 6 {
		ask(t, client, net.JoinHostPort(reboundName, canaryPort))
	}

	for _, order := range []string{"allowed first", "forbidden first"} {
		if w.streams {
			break
		}
		t.Run("datagrams, "+order, func(t *testing.T) {
			u, err := client.UDP(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			allowed := func() {
				if err := u.Exchange(rig.UDPAddr().String(), []byte("hello"), 5*time.Second); err != nil {
					t.Errorf("what is allowed: %v", err)
				}
			}
			if order == "allowed first" {
				allowed()
			}
			for _, host := range append(hosts, reboundName, reboundName, reboundName, reboundName) {
				if err := u.Send(net.JoinHostPort(host, canaryPort), []byte("hello")); err != nil {
					t.Fatal(err)
				}
			}
			allowed() // a browser's call sends to private addresses too, by the same socket
		})
	}
	pause(t.Context(), 300*time.Millisecond)
	if n := c.touched.Load(); n > 0 {
		t.Errorf("forbidden places were reached %d times", n)
	}
}

// ask connects to addr as a user, sends a line and returns what comes back
// before the end, and when the end came.
func ask(t *testing.T, c *rig.Client, addr string) (time.Duration, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	conn, err := c.Dial(ctx, 0, addr)
	if err != nil {
		return time.Since(start), ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte("hello\n"))
	b := make([]byte, 100)
	n, _ := conn.Read(b)
	return time.Since(start), string(b[:n])
}

// What the operator allows is allowed, and nothing beside it.
func TestAllowOpensOneNetwork(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("main", port, "--allow", rig.PrivateAddr+"/32")
	i.Serve()
	client := w.Xray(t, i.CreateUsers("u", 1)...)
	var c canary
	c.sit(t, w.Outside, rig.PrivateAddr)
	c.sit(t, w.Outside, "169.254.169.254")
	if _, got := ask(t, client, net.JoinHostPort(rig.PrivateAddr, canaryPort)); got != "secret" {
		t.Errorf("an allowed network says %q", got)
	}
	if _, got := ask(t, client, net.JoinHostPort("169.254.169.254", canaryPort)); got != "" {
		t.Errorf("another network says %q", got)
	}
	u, err := client.UDP(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	before := c.touched.Load()
	rig.Until(t, 5*time.Second, func() error {
		if err := u.Send(net.JoinHostPort(rig.PrivateAddr, canaryPort), []byte("hello")); err != nil {
			return err
		}
		if c.touched.Load() == before {
			return fmt.Errorf("no datagram reaches an allowed network")
		}
		return nil
	})
}
