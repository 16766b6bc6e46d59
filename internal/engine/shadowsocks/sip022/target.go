package sip022

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// What RFC 1928 calls kinds of address by numbers.
const (
	kindIPv4 = 1
	kindName = 3
	kindIPv6 = 4

	maxAddrSize = 1 + 16 + 2 // of an address that is no name
)

// A target is where a client wants to.
type target struct {
	name string     // if it is one
	addr netip.Addr // else
	port uint16
}

// host returns the name, or the address as text.
func (t target) host() string {
	if t.name != "" {
		return t.name
	}
	return t.addr.String()
}

func (t target) String() string { return net.JoinHostPort(t.host(), strconv.Itoa(int(t.port))) }

// parseTarget takes an address of RFC 1928, section 5, from the beginning of
// b, and returns what is behind it.
func parseTarget(b []byte) (t target, rest []byte, ok bool) {
	if len(b) == 0 {
		return target{}, nil, false
	}
	kind, size := b[0], 0
	b = b[1:]
	switch kind {
	case kindIPv4:
		size = 4
	case kindIPv6:
		size = 16
	case kindName:
		if len(b) == 0 || b[0] == 0 {
			return target{}, nil, false
		}
		size = int(b[0])
		b = b[1:]
	default:
		return target{}, nil, false
	}
	if len(b) < size+2 {
		return target{}, nil, false
	}
	if kind == kindName {
		t.name = string(b[:size])
		if a, err := netip.ParseAddr(t.name); err == nil {
			t.name, t.addr = "", a // an address written as a name
		}
	} else {
		t.addr, _ = netip.AddrFromSlice(b[:size])
	}
	t.addr = t.addr.Unmap().WithZone("")
	t.port = binary.BigEndian.Uint16(b[size:])
	return t, b[size+2:], true
}

// appendAddr appends an address of RFC 1928, of maxAddrSize bytes at most.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	if addr := a.Addr().Unmap(); addr.Is4() {
		v4 := addr.As4()
		b = append(append(b, kindIPv4), v4[:]...)
	} else {
		v6 := addr.As16()
		b = append(append(b, kindIPv6), v6[:]...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}
