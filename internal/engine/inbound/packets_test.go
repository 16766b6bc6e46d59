package inbound

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// echo answers each datagram until its socket is closed.
func echo(c *net.UDPConn) {
	b := make([]byte, 100)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(b[:n], from)
	}
}

// answers reports whether a datagram to a port comes back.
func answers(t *testing.T, host string, port uint16) bool {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 5 { // one that nobody takes may end the next read with an error
		_, _ = conn.Write([]byte("x"))
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 10)); n == 1 && err == nil {
			return true
		}
	}
	return false
}

func freePackets(t *testing.T) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func TestPacketGate(t *testing.T) {
	g := NewPacketGate(echo)
	defer g.Close()
	every, one := netip.IPv6Unspecified(), netip.MustParseAddr("127.0.0.1")
	first, second := freePackets(t), freePackets(t)
	open := func(addr netip.Addr, port uint16) {
		t.Helper()
		if err := g.Open(t.Context(), addr, port); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, open, shut uint16) {
		t.Helper()
		if !answers(t, "127.0.0.1", open) {
			t.Errorf("%s: port %d does not answer", what, open)
		}
		if shut != 0 && answers(t, "127.0.0.1", shut) {
			t.Errorf("%s: port %d answers", what, shut)
		}
	}
	if !g.Closed() {
		t.Error("open before it was opened")
	}
	open(every, first)
	g.Serve()
	check("at first", first, second)
	open(every, second)
	g.Abandon()
	check("after another port was given up", first, second)
	open(one, first)
	g.Abandon()
	check("after another address was given up", first, second)
	if !answers(t, "::1", first) {
		t.Error("after another address was given up: IPv6 does not answer")
	}
	open(one, first)
	g.Serve()
	check("at another address", first, 0)
	open(one, second)
	g.Serve()
	check("at another port", second, first)

	holder, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: int(second)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }()
	if err := g.Open(t.Context(), every, second); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("an address that somebody else has a part of: %v", err)
	}
	check("after that", second, first)
	g.Close()
	if !g.Closed() {
		t.Error("open after it was closed")
	}
}

func TestGateThatIsAbandoned(t *testing.T) {
	g := NewGate(slog.New(slog.DiscardHandler), func(c *net.TCPConn) { _ = c.Close() })
	defer g.Close()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
	_ = ln.Close()
	for _, step := range []struct {
		addr  string
		serve bool
	}{{"::", true}, {"127.0.0.1", false}, {"::", false}, {"127.0.0.1", true}, {"::", false}} {
		if err := g.Open(t.Context(), netip.MustParseAddr(step.addr), port); err != nil {
			t.Fatal(err)
		}
		if step.serve {
			g.Serve()
		} else {
			g.Abandon()
		}
		conn, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
		if err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
		_ = conn.Close()
	}
}
