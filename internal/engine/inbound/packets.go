package inbound

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

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
