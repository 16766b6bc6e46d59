package wireguard

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"vpn/internal/engine/meter"
)

// A segment is what is read off the front of a packet of TCP.
type segment struct {
	src, dst netip.AddrPort
	flags    header.TCPFlags
	seq, ack uint32
	length   uint32 // of sequence numbers
}

// parseSegment reads the front of a packet of TCP, which has been read as h.
func parseSegment(h packet, b []byte) (segment, bool) {
	if !h.tcp || h.later || len(b) < h.head+header.TCPMinimumSize {
		return segment{}, false
	}
	t := header.TCP(b[h.head:])
	if int(t.DataOffset()) < header.TCPMinimumSize || int(t.DataOffset()) > len(t) {
		return segment{}, false
	}
	s := segment{
		src: netip.AddrPortFrom(h.src, t.SourcePort()), dst: netip.AddrPortFrom(h.dst, t.DestinationPort()),
		flags: t.Flags(), seq: t.SequenceNumber(), ack: t.AckNumber(),
		length: uint32(len(t.Payload())), //nolint:gosec // of a packet
	}
	for _, f := range []header.TCPFlags{header.TCPFlagSyn, header.TCPFlagFin} {
		if s.flags.Contains(f) {
			s.length++
		}
	}
	return s, true
}

// begins reports whether s asks for a new connection.
func (s segment) begins() bool {
	return s.flags&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagRst) == header.TCPFlagSyn
}

// connection returns that of s, which goes to a device or comes from one.
func (s segment) connection(d meter.Direction) connection {
	if d == meter.Down {
		return connection{s.dst.Port(), s.src}
	}
	return connection{s.src.Port(), s.dst}
}

// back makes the packet that tells the sender of s that the connection is
// over, in the name of the other end: RFC 9293, section 3.10.7.1. It is behind
// headroom, and so is that of onward.
func (s segment) back() []byte {
	if s.flags.Contains(header.TCPFlagAck) {
		return reset(s.dst, s.src, header.TCPFields{SeqNum: s.ack, Flags: header.TCPFlagRst})
	}
	return reset(s.dst, s.src, header.TCPFields{AckNum: s.seq + s.length, Flags: header.TCPFlagRst | header.TCPFlagAck})
}

// onward makes the packet that tells the receiver of s the same, in the place
// of s.
func (s segment) onward() []byte {
	return reset(s.src, s.dst, header.TCPFields{SeqNum: s.seq, AckNum: s.ack, Flags: header.TCPFlagRst | s.flags&header.TCPFlagAck})
}

func reset(from, to netip.AddrPort, f header.TCPFields) []byte { return bare(from, to, f, 0) }

// bare makes a segment without options, with so many bytes of nothing in it.
func bare(from, to netip.AddrPort, f header.TCPFields, payload int) []byte {
	src, dst := tcpip.AddrFromSlice(from.Addr().AsSlice()), tcpip.AddrFromSlice(to.Addr().AsSlice())
	head := headerSize6
	if to.Addr().Is4() {
		head = headerSize4
	}
	length := header.TCPMinimumSize + payload
	b := make([]byte, headroom+head+length)
	p := b[headroom:]
	if to.Addr().Is4() {
		header.IPv4(p).Encode(&header.IPv4Fields{
			TotalLength: uint16(len(p)), TTL: 64, Protocol: protocolTCP, SrcAddr: src, DstAddr: dst, //nolint:gosec // 41
		})
		header.IPv4(p).SetChecksum(^header.IPv4(p).CalculateChecksum())
	} else {
		header.IPv6(p).Encode(&header.IPv6Fields{
			PayloadLength: uint16(length), TransportProtocol: protocolTCP, HopLimit: 64, SrcAddr: src, DstAddr: dst, //nolint:gosec // 21
		})
	}
	f.SrcPort, f.DstPort, f.DataOffset = from.Port(), to.Port(), header.TCPMinimumSize
	t := header.TCP(p[head:])
	t.Encode(&f)
	t.SetChecksum(^checksum.Checksum(t, header.PseudoHeaderChecksum(protocolTCP, src, dst, uint16(length)))) //nolint:gosec // 21
	return b
}
