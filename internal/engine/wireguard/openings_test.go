package wireguard

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"vpn/internal/engine/meter"
)

// Of a device's connections those are asked about that have opened and not
// ended, and as often as it takes.
func TestOpenings(t *testing.T) {
	four, six := netip.MustParseAddr("10.7.0.2"), netip.MustParseAddr("fd00::2")
	far := netip.MustParseAddrPort("203.0.113.9:443")
	at := func(port uint16) connection { return connection{port, far} }
	opened := segment{flags: header.TCPFlagSyn | header.TCPFlagAck, seq: 1000, ack: 2000}
	ends := segment{flags: header.TCPFlagFin | header.TCPFlagAck}
	asked := func(t *testing.T, o *openings, want ...uint16) (again bool) {
		t.Helper()
		packets, again := o.questions(four, six)
		got := map[uint16]bool{}
		for _, b := range packets {
			h, ok := parsePacket(b[headroom:])
			s, tcp := parseSegment(h, b[headroom:])
			if !ok || !tcp || s.flags != header.TCPFlagAck || s.seq != 1000 || s.ack != 2000 || s.length != 1 {
				t.Fatalf("%+v is asked", s)
			}
			got[s.dst.Port()] = true
		}
		for _, p := range want {
			if !got[p] {
				t.Errorf("%d is not asked about", p)
			}
		}
		if len(got) != len(want) {
			t.Errorf("asked about %v, want %v", got, want)
		}
		return again
	}

	t.Run("until it knows", func(t *testing.T) {
		var o openings
		o.note(at(1), opened, meter.Down)
		o.note(at(2), opened, meter.Down)
		o.note(at(3), opened, meter.Up) // somebody else's answer
		if !o.cut() {
			t.Fatal("nobody asks")
		}
		asked(t, &o, 1, 2)
		o.heard(at(1))
		asked(t, &o, 2)
		o.note(at(2), segment{flags: header.TCPFlagSyn}, meter.Up) // another one
		if asked(t, &o) {
			t.Error("goes on to ask about nothing")
		}
		if o.cut() {
			t.Error("nothing is asked about")
		}
	})
	t.Run("so often", func(t *testing.T) {
		var o openings
		o.note(at(1), opened, meter.Down)
		o.cut()
		n := 1
		for asked(t, &o, 1) {
			n++
		}
		if n != asks {
			t.Errorf("asked %d times", n)
		}
		asked(t, &openings{})
	})
	t.Run("cut again meanwhile", func(t *testing.T) {
		var o openings
		o.note(at(1), opened, meter.Down)
		o.cut()
		asked(t, &o, 1)
		o.note(at(2), opened, meter.Down)
		if o.cut() {
			t.Error("two ask")
		}
		asked(t, &o, 1, 2)
	})
	t.Run("not of what has ended", func(t *testing.T) {
		var o openings
		for port := range uint16(4) {
			o.note(at(port), opened, meter.Down)
		}
		o.note(at(1), ends, meter.Up)
		o.note(at(1), ends, meter.Down)
		o.note(at(2), ends, meter.Up) // its other half lives
		o.note(at(3), segment{flags: header.TCPFlagRst}, meter.Down)
		o.cut()
		asked(t, &o, 0, 2)
	})
	t.Run("of so many", func(t *testing.T) {
		var o openings
		for port := range uint16(2 * maxOpen) {
			o.note(at(port), opened, meter.Down)
		}
		o.cut()
		if packets, _ := o.questions(four, six); len(packets) != maxOpen {
			t.Errorf("asked about %d", len(packets))
		}
	})
	t.Run("by IPv6", func(t *testing.T) {
		var o openings
		c := connection{5, netip.MustParseAddrPort("[2001:db8::9]:443")}
		o.note(c, opened, meter.Down)
		o.cut()
		packets, _ := o.questions(four, six)
		b := packets[0][headroom:]
		h, _ := parsePacket(b)
		if s, ok := parseSegment(h, b); !ok || s.src != c.far || s.dst != netip.AddrPortFrom(six, 5) {
			t.Errorf("%+v is asked", s)
		}
	})
}

// What may open or end a connection is looked at, and nothing else.
func TestNotable(t *testing.T) {
	near, far := netip.MustParseAddrPort("10.7.0.2:1"), netip.MustParseAddrPort("203.0.113.9:443")
	for flags, want := range map[header.TCPFlags]bool{
		header.TCPFlagSyn: true, header.TCPFlagSyn | header.TCPFlagAck: true, header.TCPFlagFin | header.TCPFlagAck: true,
		header.TCPFlagRst: true, header.TCPFlagAck: false, header.TCPFlagAck | header.TCPFlagPsh: false,
	} {
		b := bare(near, far, header.TCPFields{Flags: flags}, 0)[headroom:]
		h, _ := parsePacket(b)
		if h.notable(b) != want {
			t.Errorf("flags %v: %v", flags, !want)
		}
		if h.notable(b[:len(b)-8]) {
			t.Error("half a segment is notable")
		}
	}
}
