package sip022

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

func TestTarget(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:80":         "192.0.2.1:80",
		"[2001:db8::1]:443":    "[2001:db8::1]:443",
		"example.test:65535":   "example.test:65535",
		"[::ffff:192.0.2.1]:1": "192.0.2.1:1",
		"192.0.2.1%eth0:1":     "192.0.2.1%eth0:1", // no address, and no name for the guard
	} {
		got, rest, ok := parseTarget(append(socksAddr(text), "rest"...))
		if !ok || got.String() != want || string(rest) != "rest" {
			t.Errorf("%s: %v, %q, %v", text, got, rest, ok)
		}
	}
	// An address is one also where a name should stand.
	name := append([]byte{kindName, 9}, "127.0.0.1\x00\x50"...)
	if got, _, ok := parseTarget(name); !ok || got.addr != netip.MustParseAddr("127.0.0.1") || got.name != "" {
		t.Errorf("an address as a name: %+v", got)
	}
	for _, bad := range [][]byte{nil, {kindIPv4}, {0, 1, 2, 3, 4, 0, 80}, {2, 1, 2, 3, 4, 0, 80}, {kindName, 0, 0, 80}, {kindName, 5, 'a', 0, 80}, {kindName}, {kindIPv6, 1, 2, 3, 4, 0, 80}} {
		if got, _, ok := parseTarget(bad); ok {
			t.Errorf("% x is taken for %v", bad, got)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"192.0.2.1:80", "[2001:db8::1]:443", "example.test:1"} {
		f.Add(socksAddr(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, rest, ok := parseTarget(b)
		if !ok {
			return
		}
		if !bytes.HasSuffix(b, rest) || got.name == "" && !got.addr.IsValid() || got.addr.Is4In6() {
			t.Errorf("% x: %+v, % x", b, got, rest)
		}
		if got.name == "" {
			again, rest, ok := parseTarget(appendAddr(nil, netip.AddrPortFrom(got.addr, got.port)))
			if !ok || len(rest) > 0 || again != got {
				t.Errorf("% x: %+v is read as %+v", b, got, again)
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	g := greeting{login: login{make([]byte, 32), make([]byte, 32)}, sent: now, to: socksAddr("example.test:1"), padding: 3, payload: []byte("x")}
	g.bytes()
	f.Add(append([]byte{0, 0, 0, 0, 0, 0x65, 0x53, 0xf1, 0, 0, 20}, g.to...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < fixedSize {
			return
		}
		if n, err := parseFixed(b[:fixedSize], now); err == nil && (n < 0 || n > maxChunkSize) {
			t.Errorf("length %d", n)
		}
		if to, first, err := parseVariable(b[fixedSize:]); err == nil && (!bytes.HasSuffix(b, first) || to == (target{})) {
			t.Errorf("% x: %v, % x", b, to, first)
		}
	})
}

func FuzzPacket(f *testing.F) {
	u := login{make([]byte, 32), bytes.Repeat([]byte{1}, 32)}
	now := time.Unix(1_700_000_000, 0)
	k := &keys{block: newBlock(u.server), byIdentity: map[identity]*user{identityOf(u.user): {key: u.user}}}
	for _, d := range []datagram{
		{login: u, sent: now, to: socksAddr("192.0.2.1:80"), payload: []byte("x")},
		{login: u, sent: now, to: socksAddr("example.test:80"), padding: 900},
	} {
		f.Add(d.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := k.parsePacket(b)
		if err == nil && (p.user == nil || len(p.sealed) < packetHead+tagSize) {
			t.Errorf("% x: %+v", b, p)
		}
		// What is in it is fuzzed as if it had been opened.
		if to, payload, err := parseBody(b, now); err == nil && (!bytes.HasSuffix(b, payload) || to == (target{})) {
			t.Errorf("% x: %v, % x", b, to, payload)
		}
	})
}
