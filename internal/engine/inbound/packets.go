package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"vpn/internal/vpn"
)

// A PacketGate is where datagrams come in: one socket, which may move, as the
// listener of a [Gate] may. Its methods must not be called concurrently.
type PacketGate struct {
	log   *slog.Logger
	serve func(*net.UDPConn)
	runs  sync.WaitGroup // one for each socket

	now, next packetPlace
}

type packetPlace struct {
	addr netip.Addr
	port uint16
	conn *net.UDPConn // nil: there is none
}

// NewPacketGate returns a gate that is closed. For each socket that it opens,
// serve runs in a goroutine; it has to return once the socket is closed.
func NewPacketGate(log *slog.Logger, serve func(*net.UDPConn)) *PacketGate {
	return &PacketGate{log: log, serve: serve}
}

// Open binds addr and port; datagrams queue there until Serve is called. All
// else is as [Gate.Open] has it.
func (g *PacketGate) Open(ctx context.Context, addr netip.Addr, port uint16) error {
	old := g.now
	if old.conn != nil && old.addr == addr && old.port == port {
		g.next = old
		return nil
	}
	conn, err := listenPackets(ctx, addr, port)
	if err != nil && old.conn != nil && old.port == port && vpn.KindOf(err) == vpn.Conflict {
		conn, err = g.instead(ctx, addr, port)
	}
	if err != nil {
		return err
	}
	g.next = packetPlace{addr, port, conn}
	return nil
}

// instead binds an address that contains the one in use, or is contained in
// it: then it is the gate's own socket that is in the way.
func (g *PacketGate) instead(ctx context.Context, addr netip.Addr, port uint16) (*net.UDPConn, error) {
	if err := g.now.conn.Close(); err != nil {
		return nil, fmt.Errorf("close the socket: %w", err)
	}
	conn, err := listenPackets(ctx, addr, port)
	if err == nil {
		g.now.conn = nil // Abandon would go back
		return conn, nil
	}
	restored, lost := listenPackets(ctx, g.now.addr, g.now.port)
	if lost != nil {
		g.now = packetPlace{}
		return nil, errors.Join(err, lost)
	}
	g.now.conn = restored
	g.run(restored)
	return nil, err
}

// Serve takes what comes to the place that was opened last, and leaves the one
// before.
func (g *PacketGate) Serve() {
	old := g.now
	g.now, g.next = g.next, packetPlace{}
	if g.now.conn == old.conn {
		return
	}
	if old.conn != nil {
		_ = old.conn.Close()
	}
	g.run(g.now.conn)
}

// Abandon undoes an Open that no Serve has followed, as far as Closed does not
// say that it could not be.
func (g *PacketGate) Abandon() {
	if g.next.conn != nil && g.next.conn != g.now.conn {
		_ = g.next.conn.Close()
	}
	g.next = packetPlace{}
	if g.now.conn != nil || g.now.port == 0 {
		return
	}
	conn, err := listenPackets(context.Background(), g.now.addr, g.now.port)
	if err != nil {
		g.now = packetPlace{}
		return
	}
	g.now.conn = conn
	g.run(conn)
}

// Closed reports whether nothing comes in.
func (g *PacketGate) Closed() bool { return g.now.conn == nil }

// Close stops listening, and waits until serve has returned. It can be opened
// again.
func (g *PacketGate) Close() {
	for _, p := range []packetPlace{g.now, g.next} {
		if p.conn != nil {
			_ = p.conn.Close()
		}
	}
	g.now, g.next = packetPlace{}, packetPlace{}
	g.runs.Wait()
}

func (g *PacketGate) run(c *net.UDPConn) { g.runs.Go(func() { g.serve(c) }) }

// packetBuffer is how much the kernel may keep of what comes for a moment in
// which nobody reads.
const packetBuffer = 1 << 20

func listenPackets(ctx context.Context, addr netip.Addr, port uint16) (*net.UDPConn, error) {
	network, host := "udp", addr.Unmap().String()
	switch {
	case !addr.IsValid(), addr == netip.IPv6Unspecified():
		host = "" // works on machines without IPv6 too
	case addr.Unmap().Is4():
		network = "udp4" // 0.0.0.0 would mean IPv6 too
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return nil, bindError("UDP port", err, addr, port)
	}
	udp := conn.(*net.UDPConn)
	_ = udp.SetReadBuffer(packetBuffer) // or as much as the kernel allows
	_ = udp.SetWriteBuffer(packetBuffer)
	return udp, nil
}
