package wireguard

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Whoever gets a reset believes it: it has the number that is due, and its
// checksums are right.
func TestResets(t *testing.T) {
	for _, c := range []struct{ near, far string }{{"10.7.0.2:5000", "203.0.113.7:443"}, {"[fd00::2]:5000", "[2001:db8::7]:443"}} {
		near, far := netip.MustParseAddrPort(c.near), netip.MustParseAddrPort(c.far)
		read := func(b []byte) segment {
			t.Helper()
			b = b[headroom:]
			h, ok := parsePacket(b)
			if !ok {
				t.Fatalf("%x is no packet", b)
			}
			s, ok := parseSegment(h, b)
			if !ok {
				t.Fatalf("%x is no segment", b)
			}
			if h.dst.Is4() && !header.IPv4(b).IsChecksumValid() {
				t.Error("the header's checksum is wrong")
			}
			src, dst := tcpip.AddrFromSlice(h.src.AsSlice()), tcpip.AddrFromSlice(h.dst.AsSlice())
			if sum := checksum.Checksum(b[h.head:], header.PseudoHeaderChecksum(protocolTCP, src, dst, uint16(len(b)-h.head))); sum != 0xffff {
				t.Errorf("the checksum comes to %x", sum)
			}
			return s
		}
		data := segment{src: near, dst: far, flags: header.TCPFlagAck | header.TCPFlagPsh, seq: 1000, ack: 7000, length: 100}
		if s := read(data.back()); s.src != far || s.dst != near || s.seq != 7000 || s.flags != header.TCPFlagRst {
			t.Errorf("back goes %+v", s)
		}
		if s := read(data.onward()); s.src != near || s.dst != far || s.seq != 1000 || s.ack != 7000 || s.flags != header.TCPFlagRst|header.TCPFlagAck {
			t.Errorf("onward goes %+v", s)
		}
		first := segment{src: near, dst: far, flags: header.TCPFlagSyn, seq: 1000, length: 1}
		if s := read(first.back()); s.ack != 1001 || s.flags != header.TCPFlagRst|header.TCPFlagAck || !first.begins() || s.begins() || data.begins() {
			t.Errorf("a beginning is answered by %+v", s)
		}
		// What is not whole is no segment.
		b := data.back()[headroom:]
		h, _ := parsePacket(b)
		for n := range b {
			if _, ok := parseSegment(h, b[:n]); ok {
				t.Errorf("%d bytes of it are a segment", n)
			}
		}
		b = bytes.Clone(b)
		b[h.head+12] = 0xf0 // a header that is longer than the packet
		if _, ok := parseSegment(h, b); ok {
			t.Error("a header without an end is a segment")
		}
	}
}

// Of a device's past is what it had when it was cut, and has not begun since.
func TestPast(t *testing.T) {
	var p past
	at := func(n int) connection {
		return connection{uint16(n), netip.MustParseAddrPort("203.0.113.7:443")}
	}
	if p.has(at(1), false) {
		t.Error("who was never cut has a past")
	}
	p.cut()
	if !p.has(at(1), false) || p.has(at(2), true) || p.has(at(2), false) || !p.has(at(1), false) {
		t.Error("the old goes on, or the new does not")
	}
	p.cut()
	if !p.has(at(2), false) {
		t.Error("a second cut does not cut what began after the first")
	}
	for n := range maxBegun {
		p.has(at(n), true)
	}
	if p.over.Load() || p.begun != nil || p.has(at(maxBegun+1), false) {
		t.Error("the past has no end")
	}
}

// Packets are alike only if they are read alike.
func TestAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := map[bool]int{}
	for range 200_000 {
		a := make([]byte, 40+r.IntN(40))
		a[0], a[9], a[6] = 0x45, []byte{protocolTCP, protocolICMP, 17}[r.IntN(3)], []byte{protocolTCP, protocolICMPv6, 0x40}[r.IntN(3)]
		if r.IntN(2) == 0 {
			a[0] = 0x60
		}
		b := bytes.Clone(a[:40+r.IntN(len(a)-39)])
		for range r.IntN(3) {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		b = b[:len(b)-r.IntN(2)]
		h, ok := parsePacket(a)
		is := ok && h.alike(a, b)
		found[is]++
		if other, _ := parsePacket(b); is && other != h {
			t.Fatalf("%x and %x are alike, and read %+v and %+v", a, b, h, other)
		}
	}
	if found[true] < 1000 || found[false] < 1000 {
		t.Errorf("%v", found)
	}
}
