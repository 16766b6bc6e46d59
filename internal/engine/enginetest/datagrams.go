package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// exchange sends a datagram of n bytes and waits for its echo.
func exchange(conn net.Conn, n int, within time.Duration) error {
	data := newBlock()[:n]
	if _, err := conn.Write(data); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	buf := make([]byte, 64*kib)
	got, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !bytes.Equal(buf[:got], data) {
		return errors.New("another datagram came back")
	}
	return nil
}

func datagrams(t *testing.T, h Harness) {
	names := []string{h.host4(), h.host6()}
	if !h.Tunnel { // in which a client looks names up by itself
		names = append(names, "localhost")
	}
	for _, host := range names {
		t.Run(host, func(t *testing.T) {
			b := newBench(t, h, 1)
			at := host
			if host == "localhost" {
				at = "" // it may be either
			}
			e := listenUDP(t, at)
			conn := b.dial(0, "udp", e.at(host))
			for _, n := range []int{1, 100, 1200, 7000} {
				if err := exchange(conn, n, patience); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			got := b.used(0)
			// The destination counts what it has sent a moment after it was received.
			if !eventually(promptly, func() bool { return e.down.Load() == got.Down || h.Packets }) || e.up.Load() != 8301 ||
				got.Up != e.up.Load() && !(h.Packets && around(got, vpn.Traffic{Up: e.up.Load(), Down: e.down.Load()})) {
				t.Errorf("counted %+v; the destination got %d and sent %d", got, e.up.Load(), e.down.Load())
			}
			if s := b.meter.Sessions(); len(s) != 1 || s[0].Network != h.network("udp") {
				t.Errorf("sessions: %+v", s)
			}
			b.spec.Grants[0].Blocked = true
			b.apply()
			if err := exchange(conn, 1, 300*time.Millisecond); err == nil {
				t.Error("a datagram of a blocked user was answered")
			}
			b.severed()
		})
	}
}

func ceilingOfDatagrams(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	e := listenUDP(t, h.host4())
	conn := b.dial(0, "udp", e.at(h.host4()))
	if err := exchange(conn, 1000, patience); err != nil {
		t.Fatal(err)
	}
	const most = 20_500
	before := b.used(0).Total()
	b.limit(0, most)
	for range 100 {
		if exchange(conn, 1000, 300*time.Millisecond) != nil {
			break
		}
	}
	// A datagram passes as a whole or not at all.
	if got := b.used(0).Total() - before; got > most || got < most-1100 {
		t.Errorf("%d bytes passed, the ceiling was %d", got, most)
	}
	b.severed()
}

func limitedDatagrams(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	const speed = 256 * kib
	b.spec.Grants[0].RateUp, b.spec.Grants[0].RateDown = speed, speed
	b.apply()
	e := listenUDP(t, h.host4())
	limited, free := b.dial(0, "udp", e.at(h.host4())), b.dial(1, "udp", e.at(h.host4()))
	if err := exchange(limited, 1000, patience); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(stopped)
		data := newBlock()[:1000]
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				_, _ = limited.Write(data)
			}
		}
	}()
	go func() {
		buf := make([]byte, 64*kib)
		for {
			if _, err := limited.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
	}()
	for i := range 100 {
		if err := exchange(free, 500, promptly); err != nil {
			t.Errorf("the unlimited user's datagram %d was lost: %v", i, err)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	<-stopped
	most := speed*time.Since(start).Seconds()*1.1 + 2*64*kib
	if got := float64(b.used(0).Up); got > most || got < most/3 {
		t.Errorf("%.0f bytes of the limited user passed, at most %.0f should", got, most)
	}
}

// limitsOfBoth checks that a user's limits hold over streams and datagrams
// together.
func limitsOfBoth(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d, e := listenTCP(t, h.host4()), listenUDP(t, h.host4())
	stream, packets := b.dial(0, "tcp", d.addr), b.dial(0, "udp", e.at(h.host4()))
	live := func() {
		t.Helper()
		if err := ping(stream); err != nil {
			t.Fatal(err)
		}
		if err := exchange(packets, 1000, patience); err != nil {
			t.Fatal(err)
		}
	}
	again := func() {
		t.Helper()
		b.idle()
		_, _ = stream.Close(), packets.Close()
		stream, packets = b.dial(0, "tcp", d.addr), b.dial(0, "udp", e.at(h.host4()))
	}
	live()
	flows := 2
	if h.Tunnel {
		flows = 1
	}
	if n := b.meter.Kick(b.spec.Grants[0].User); n != flows {
		t.Errorf("%d flows kicked", n)
	}
	again()
	b.spec.Grants[0].Connections = 1
	b.apply()
	if err := ping(stream); err != nil {
		t.Fatal(err)
	}
	if err := exchange(packets, 1000, 300*time.Millisecond); (err == nil) != h.Tunnel {
		t.Errorf("datagrams beside a stream, where one flow is allowed: %v", err)
	}
	b.spec.Grants[0].Connections = 0
	b.apply()
	b.meter.Kick(b.spec.Grants[0].User)
	again()
	live()
	before := b.used(0).Total()
	b.limit(0, 10_000)
	if err := download(stream, 8000); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if exchange(packets, 1000, 300*time.Millisecond) != nil {
			break
		}
	}
	if got := b.used(0).Total() - before; got > 10_000 || got < 8000 {
		t.Errorf("%d bytes passed, the ceiling was 10000", got)
	}
	if !b.ends(stream, promptly) {
		t.Error("the stream outlives the ceiling that datagrams have reached")
	}
	b.severed()
}

// datagramsAtAnotherPort checks that datagrams pass after the server has moved.
func datagramsAtAnotherPort(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	e := listenUDP(t, h.host4())
	exchange := func(conn net.Conn, n int, within time.Duration) error {
		err := exchange(conn, n, within/3)
		for range 2 {
			if err == nil || !h.Tunnel {
				break
			}
			err = exchange(conn, n, within/3) // what was on its way to the old port is lost
		}
		return err
	}
	for range 3 {
		conn := b.dial(0, "udp", e.at(h.host4()))
		if err := exchange(conn, 100, patience); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		b.spec.Server.Port = FreePort(t, 1)
		b.apply()
	}
	b.spec.Server.Listen = netip.MustParseAddr("127.0.0.1")
	b.apply()
	if err := exchange(b.dial(0, "udp", e.at(h.host4())), 100, patience); err != nil {
		t.Error(err)
	}
}

// takenPacketPort checks what a UDP port that somebody else has does to a
// server that needs it.
func takenPacketPort(t *testing.T, h Harness) {
	if !h.PacketPort {
		return
	}
	b := newBench(t, h, 1)
	d, e := listenTCP(t, h.host4()), listenUDP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	old := b.spec.Server.Port
	b.spec.Server.Port = FreePort(t, 1) // of which no connection of another test takes the TCP half
	holder, err := net.ListenPacket("udp", fmt.Sprintf(":%d", b.spec.Server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }()
	if err := b.push(); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("error %v, of kind %v", err, vpn.KindOf(err))
	}
	if ln, err := net.Listen("tcp", fmt.Sprintf(":%d", b.spec.Server.Port)); err != nil {
		t.Errorf("half of the port is held: %v", err)
	} else {
		_ = ln.Close()
	}
	b.spec.Server.Port = old
	if err := ping(conn); err != nil {
		t.Errorf("a live connection broke: %v", err)
	}
	for range 2 {
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Errorf("new connections fail: %v", err)
		}
		if err := exchange(b.dial(0, "udp", e.at(h.host4())), 100, patience); err != nil {
			t.Errorf("datagrams fail: %v", err)
		}
		b.apply()
	}
}
