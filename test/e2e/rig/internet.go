//go:build linux

package rig

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// Names that the resolver outside knows.
const (
	OutsideName = "outside.example.test"
	PrivateName = "inside.example.test" // leads to PrivateAddr, as in rebinding
)

// Resolver answers questions about names outside, over UDP, at both of the
// outside's addresses, until the test ends.
func (w *World) Resolver(t testing.TB) {
	t.Helper()
	names := map[string][]netip.Addr{
		OutsideName: {netip.MustParseAddr(OutsideAddr), netip.MustParseAddr(OutsideAddr6)},
		PrivateName: {netip.MustParseAddr(PrivateAddr), netip.MustParseAddr("fd00::7")},
	}
	for _, host := range []string{OutsideAddr, OutsideAddr6} {
		go answer(w.Outside.ListenPacket(t, net.JoinHostPort(host, "53")), func(name string, _ bool) []netip.Addr { return names[name] })
	}
}

// Names answers the questions of a world's server host about names. addrs says where
// a name leads, if anywhere; six says whether an IPv6 address is asked for, and
// what is no such one is left out. It may be called by several goroutines.
func Names(t testing.TB, w *World, addrs func(name string, six bool) []netip.Addr) {
	t.Helper()
	go answer(w.Server.ListenPacket(t, "127.0.0.1:53"), addrs)
}

// answer answers questions until the socket is closed.
func answer(c net.PacketConn, addrs func(name string, six bool) []netip.Addr) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		if reply := resolve(addrs, b[:n]); reply != nil {
			_, _ = c.WriteTo(reply, from)
		}
	}
}

// resolve answers a question about an address, RFC 1035.
func resolve(addrs func(name string, six bool) []netip.Addr, question []byte) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	if len(question) < header {
		return nil
	}
	var labels []string
	at := header
	for at < len(question) && question[at] != 0 {
		end := at + 1 + int(question[at])
		if end > len(question) {
			return nil
		}
		labels = append(labels, string(question[at+1:end]))
		at = end
	}
	if at+5 > len(question) {
		return nil
	}
	kind := binary.BigEndian.Uint16(question[at+1:])
	known := addrs(strings.ToLower(strings.Join(labels, ".")), kind == typeAAAA)
	reply := append([]byte{}, question[:at+5]...)
	flags := uint16(0x8180) // an answer, and recursion
	if len(known) == 0 {
		flags |= 3 // there is no such name
	}
	binary.BigEndian.PutUint16(reply[2:], flags)
	var answers uint16
	for _, a := range known {
		if want := map[uint16]bool{typeA: a.Is4(), typeAAAA: a.Is6()}; !want[kind] {
			continue
		}
		reply = append(reply, 0xc0, header) // the name in the question
		reply = binary.BigEndian.AppendUint16(reply, kind)
		reply = append(reply, 0, 1, 0, 0, 0, 60) // class IN, for a minute
		reply = binary.BigEndian.AppendUint16(reply, uint16(a.BitLen()/8))
		reply = append(reply, a.AsSlice()...)
		answers++
	}
	binary.BigEndian.PutUint16(reply[4:], 1)
	binary.BigEndian.PutUint16(reply[6:], answers)
	binary.BigEndian.PutUint32(reply[8:], 0)
	return reply
}
