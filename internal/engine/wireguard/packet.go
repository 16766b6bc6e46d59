package wireguard

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A packet is what is read off the front of an IP packet.
type packet struct {
	src, dst netip.Addr
	head     int // bytes of the IP header
	tcp      bool
	icmp     bool
	ping     bool // an echo request
	later    bool // not the first fragment
}

const (
	headerSize4, headerSize6 = 20, 40

	protocolICMP, protocolTCP, protocolICMPv6 = 1, 6, 58
	echoRequest, echoRequestV6                = 8, 128

	// headroom is in front of a packet on its way to a TUN device: a virtio
	// header, and what wireguard-go leaves there.
	headroom = 16
)

// parsePacket reads the front of an IP packet.
func parsePacket(b []byte) (p packet, ok bool) {
	switch {
	case len(b) >= headerSize4 && b[0]>>4 == 4:
		p.src, p.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		p.head = int(b[0]&15) * 4
		p.later = b[6]&0x1f != 0 || b[7] != 0
		p.icmp, p.tcp = b[9] == protocolICMP, b[9] == protocolTCP
		p.ping = p.icmp && !p.later && len(b) > p.head && b[p.head] == echoRequest
		return p, p.head >= headerSize4
	case len(b) >= headerSize6 && b[0]>>4 == 6:
		p.src, p.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		p.head = headerSize6
		p.icmp, p.tcp = b[6] == protocolICMPv6, b[6] == protocolTCP
		p.ping = p.icmp && len(b) > headerSize6 && b[headerSize6] == echoRequestV6
		return p, true
	}
	return packet{}, false
}

// alike reports whether a packet, the front of which is read as h, has the same
// front as b: it does not when it may not.
func (h packet) alike(a, b []byte) bool {
	switch {
	case h.icmp || len(a) < headerSize6 || len(b) < headerSize6 || a[0] != b[0]:
		return false
	case a[0]>>4 == 4: // the same protocol, and no fragments
		return a[9] == b[9] && (a[6]|b[6])&0x3f == 0 && a[7]|b[7] == 0 && [8]byte(a[12:]) == [8]byte(b[12:])
	}
	return a[6] == b[6] && [32]byte(a[8:]) == [32]byte(b[8:])
}

// unreachable makes the message that tells the sender of a packet that an
// administrator forbids it: RFC 792 with RFC 1812, section 5.2.7.1, and RFC
// 4443, section 3.1.
func unreachable(from, to netip.Addr, cause []byte) []byte {
	src, dst := tcpip.AddrFromSlice(from.AsSlice()), tcpip.AddrFromSlice(to.AsSlice())
	if to.Is4() {
		const quoted = 28 // bytes: the header and the ports
		cause = cause[:min(len(cause), quoted)]
		b := make([]byte, headerSize4+header.ICMPv4MinimumSize+len(cause))
		header.IPv4(b).Encode(&header.IPv4Fields{
			TotalLength: uint16(len(b)), TTL: 64, Protocol: protocolICMP, SrcAddr: src, DstAddr: dst,
		})
		header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
		m := header.ICMPv4(b[headerSize4:])
		m.SetType(header.ICMPv4DstUnreachable)
		m.SetCode(header.ICMPv4AdminProhibited)
		copy(m.Payload(), cause)
		m.SetChecksum(^checksum.Checksum(m, 0))
		return b
	}
	const most = 1232 // what is left of IPv6's least MTU
	cause = cause[:min(len(cause), most)]
	b := make([]byte, headerSize6+header.ICMPv6MinimumSize+len(cause))
	header.IPv6(b).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(b) - headerSize6), TransportProtocol: protocolICMPv6, HopLimit: 64, SrcAddr: src, DstAddr: dst,
	})
	m := header.ICMPv6(b[headerSize6:])
	m.SetType(header.ICMPv6DstUnreachable)
	m.SetCode(header.ICMPv6Prohibited)
	copy(m.Payload(), cause)
	m.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: m, Src: src, Dst: dst}))
	return b
}
