package vless_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	protocol "vpn/internal/protocol/vless"
)

// A muxConn speaks the protocol by which clients put several flows on one
// connection. Real clients do this for datagrams.
type muxConn struct{ net.Conn }

// dialMux makes such a connection: to xray that is a destination of its own.
func dialMux(t *testing.T, p *clientProcess, w way) muxConn {
	return muxConn{dial(t, p, w, "tcp", "v1.mux.cool:1")}
}

const (
	muxNew  = 1
	muxKeep = 2
	muxEnd  = 3
	muxTCP  = 1
	muxUDP  = 2
)

// send sends data on flow id. A global id lets the flow go on by another
// connection when this one ends.
func (c muxConn) send(t *testing.T, status byte, id uint16, network byte, to netip.AddrPort, global, data string) {
	t.Helper()
	meta := binary.BigEndian.AppendUint16(nil, id)
	meta = append(meta, status, 1, network)
	meta = binary.BigEndian.AppendUint16(meta, to.Port())
	meta = append(meta, 1) // IPv4
	meta = append(meta, to.Addr().AsSlice()...)
	meta = append(meta, global...)
	frame := binary.BigEndian.AppendUint16(nil, uint16(len(meta)))
	frame = append(frame, meta...)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(data)))
	if _, err := c.Write(append(frame, data...)); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next frame: data, or none at the end of a flow.
func (c muxConn) receive() (id uint16, data string, err error) {
	meta, err := c.chunk()
	if err != nil {
		return 0, "", err
	}
	id = binary.BigEndian.Uint16([]byte(meta))
	if meta[2] == muxEnd {
		return id, "", nil
	}
	data, err = c.chunk()
	return id, data, err
}

func (c muxConn) chunk() (string, error) {
	var n [2]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(c, b)
	return string(b), err
}

func (c muxConn) expect(t *testing.T, id uint16, data string) {
	t.Helper()
	gotID, got, err := c.receive()
	if err != nil || gotID != id || got != data {
		t.Fatalf("flow %d: %q, %v; want flow %d: %q", gotID, got, err, id, data)
	}
}

func TestFlowsOfOneConnection(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, from := listenEcho(t, "udp")
	to := netip.MustParseAddrPort(addr)
	forbidden := netip.MustParseAddrPort("169.254.169.254:80")

	c := dialMux(t, client, r.way())
	c.send(t, muxNew, 1, muxUDP, to, "", "one")
	c.expect(t, 1, "one")
	c.send(t, muxNew, 2, muxUDP, to, "", "two")
	c.expect(t, 2, "two")
	if n := r.meter.Conns(); n != 2 {
		t.Errorf("%d flows", n)
	}
	// A browser's call tries private addresses first, and goes on.
	c.send(t, muxNew, 3, muxUDP, forbidden, "", "no")
	c.send(t, muxKeep, 3, muxUDP, to, "", "allowed")
	c.expect(t, 3, "allowed")
	c.send(t, muxEnd, 3, muxUDP, to, "", "")
	c.expect(t, 3, "")
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 2 }) {
		t.Errorf("%d flows", r.meter.Conns())
	}
	c.send(t, muxKeep, 1, muxUDP, forbidden, "", "no")
	c.send(t, muxKeep, 1, muxUDP, to, "", "after what was dropped")
	c.expect(t, 1, "after what was dropped")

	t.Run("one too many", func(t *testing.T) {
		r.spec.Grants[0].Connections = 2
		r.apply(t)
		c.send(t, muxNew, 4, muxUDP, to, "", "no")
		c.expect(t, 4, "")
		c.send(t, muxKeep, 2, muxUDP, to, "", "still there")
		c.expect(t, 2, "still there")
	})
	t.Run("end", func(t *testing.T) {
		c.send(t, muxEnd, 2, muxUDP, to, "", "")
		if !enginetest.Eventually(func() bool { return r.meter.Conns() == 1 }) {
			t.Errorf("%d flows", r.meter.Conns())
		}
	})
	t.Run("removed user", func(t *testing.T) {
		idle := dialMux(t, client, r.way())
		idle.send(t, muxNew, 1, muxUDP, to, "", "x")
		idle.expect(t, 1, "x")
		idle.send(t, muxEnd, 1, muxUDP, to, "", "")
		if !enginetest.Eventually(func() bool { return r.meter.Conns() == 1 }) {
			t.Errorf("%d flows", r.meter.Conns())
		}
		r.spec.Grants = nil
		r.apply(t)
		for _, c := range []muxConn{c, idle} {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			for {
				if _, _, err := c.receive(); err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("connection still open")
					}
					break
				}
			}
		}
	})
	if n := len(from()); n != 6 {
		t.Errorf("the destination got %d datagrams", n)
	}
}

// Answers to different flows must not get into each other.
func TestFlowsOfOneConnectionAtOnce(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, _ := listenEcho(t, "udp")
	to := netip.MustParseAddrPort(addr)
	c := dialMux(t, client, r.way())
	const flows, datagrams = 8, 100
	word := func(id uint16) string { return strings.Repeat(fmt.Sprint(id), 1000) }
	for id := range uint16(flows) {
		c.send(t, muxNew, id, muxUDP, to, "", word(id))
	}
	for range flows * datagrams {
		id, data, err := c.receive()
		if err != nil || id >= flows || data != word(id) {
			t.Fatalf("flow %d: %d bytes, %v", id, len(data), err)
		}
		c.send(t, muxKeep, id, muxUDP, to, "", word(id))
	}
}

func TestNoStreamsOnSharedConnections(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, from := listenEcho(t, "tcp")
	c := dialMux(t, client, r.way())
	c.send(t, muxNew, 1, muxTCP, netip.MustParseAddrPort(addr), "", "x")
	if _, data, err := c.receive(); err == nil {
		t.Errorf("got %q: a stream in a stream shows from outside", data)
	}
	if len(from()) > 0 {
		t.Error("the destination was reached")
	}
}

// A phone changes networks, and its calls go on.
func TestFlowMovesToAnotherConnection(t *testing.T) {
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, from := listenEcho(t, "udp")
	to := netip.MustParseAddrPort(addr)
	const global = "8 bytes."
	var last muxConn
	for i := range 6 {
		last = dialMux(t, client, r.way())
		last.resume(t, to, global, fmt.Sprint("word ", i))
		if i%2 == 0 {
			_ = last.Close()
		} else {
			last.send(t, muxEnd, 1, muxUDP, to, "", "")
		}
	}
	last = dialMux(t, client, r.way())
	last.resume(t, to, global, "the last")
	ports := from()
	for _, p := range ports {
		if p != ports[0] {
			t.Fatalf("the destination sees ports %v", ports)
		}
	}
	if n := r.meter.Conns(); n != 1 {
		t.Errorf("%d flows", n)
	}
	r.spec.Grants[0].Blocked = true
	r.apply(t)
	last.send(t, muxKeep, 1, muxUDP, to, "", "no")
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) || len(from()) != len(ports) {
		t.Error("the flow of a blocked user goes on")
	}
	r.spec.Grants[0].Blocked = false
	r.apply(t)
	dialMux(t, client, r.way()).resume(t, to, global, "again")
}

// resume goes on with a flow on c, as flow 1. xray may still hand an answer to
// the connection that the flow was on before: datagrams may be lost.
func (c muxConn) resume(t *testing.T, to netip.AddrPort, global, word string) {
	t.Helper()
	c.send(t, muxNew, 1, muxUDP, to, global, word)
	for range 10 {
		_ = c.SetReadDeadline(time.Now().Add(patience / 20))
		if id, got, err := c.receive(); err == nil && id == 1 && got == word {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			return
		}
		c.send(t, muxKeep, 1, muxUDP, to, "", word)
	}
	t.Fatalf("%q: no answer", word)
}

// Some clients carry the datagrams to one destination on a connection of
// their own, without an address in front of each.
func TestDatagramsWithoutAddresses(t *testing.T) {
	t.Setenv("XRAY_CONE_DISABLED", "true")
	client := startClient(t)
	r := start(t, newServer(t, protocol.SelfTarget))
	addr, from := listenEcho(t, "udp")
	w := r.way()
	w.Flow = ""
	conn := dial(t, client, w, "udp", addr)
	for _, n := range []int{1, 1000, 8000} {
		if _, err := conn.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Read(make([]byte, 64<<10)); err != nil || got != n {
			t.Fatalf("%d of %d bytes: %v", got, n, err)
		}
	}
	s := r.meter.Sessions()
	if len(s) != 1 || s[0].Up != 9001 || s[0].Down != 9001 {
		t.Fatalf("sessions: %+v", s)
	}
	// Only the destination may answer.
	stranger, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", from()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close() }()
	_, _ = io.WriteString(stranger, "from a stranger")
	if _, err := io.WriteString(conn, "asked"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "asked" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	refused := dial(t, client, w, "udp", "169.254.169.254:53")
	_, _ = refused.Write([]byte("x"))
	_ = refused.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := refused.Read(make([]byte, 10)); err == nil {
		t.Error("answered from a forbidden destination")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("still open though the destination is forbidden")
	}
}
