package router_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/network/networktest"
	"vpn/internal/router"
	"vpn/internal/vpn"
)

// A net is a server's host and the internet around it, joined by one link,
// with a default route there: what does not arrive was refused.
type pair struct {
	server, outside *networktest.Host
	wire            int // sees every packet that arrives outside
}

const (
	serverV4, serverV6   = "203.0.113.1", "2001:db8::1"
	outsideV4, outsideV6 = "203.0.113.9", "2001:db8::9"
)

func newPair(t testing.TB) pair {
	t.Helper()
	p := pair{server: networktest.NewHost(t), outside: networktest.NewHost(t)}
	for _, h := range []*networktest.Host{p.server, p.outside} {
		h.Setting(t, "ipv6/conf/default/accept_dad", "0") // nobody has to wait for an address
	}
	p.server.Run(t, fmt.Sprintf(`link set lo up
link add wan0 address 02:00:00:00:00:01 type veth peer name up0 address 02:00:00:00:00:09 netns %s
addr add 203.0.113.1/24 dev wan0
addr add 2001:db8::1/64 dev wan0 nodad
link set wan0 up
neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev wan0
neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev wan0
route add default via 203.0.113.9
route add default via 2001:db8::9
`, p.outside.Path()), "ip", "-batch", "-")
	p.outside.Run(t, `link set lo up
addr add 203.0.113.9/24 dev up0
addr add 2001:db8::9/64 dev up0 nodad
link set up0 up
neigh add 203.0.113.1 lladdr 02:00:00:00:00:01 dev up0
neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev up0
`, "ip", "-batch", "-")
	p.server.Setting(t, "ipv4/ip_forward", "0")
	p.server.Setting(t, "ipv6/conf/all/forwarding", "0")
	var err error
	p.outside.Do(func() {
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
		p.wire, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p.wire) })
	return p
}

const store = "teststore"

// tunnel returns a tunnel whose subnets are numbered, and which collide with
// nothing else's.
func tunnel(number int) router.Tunnel {
	id := strings.Repeat("a", 9) + string(rune('a'+number)) + "bcdefg"
	return router.Tunnel{
		Store: store, Server: vpn.ServerID(id), MTU: 1420,
		Addresses: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.77.%d.1/24", number)),
			netip.MustParsePrefix(fmt.Sprintf("fd77:0:0:%d::1/64", number)),
		},
	}
}

// open makes the tunnel's device on the server's host.
func (p pair) open(t testing.TB, tun router.Tunnel) *os.File {
	t.Helper()
	var f *os.File
	var err error
	p.server.Do(func() { f, err = router.Open(tun.Server) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (p pair) apply(t testing.TB, tun router.Tunnel) []router.Change {
	t.Helper()
	var changes []router.Change
	var err error
	p.server.Do(func() { changes, err = router.Apply(tun) })
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// A datagram is what a client sends, and what arrives outside of it; what is
// read may be a segment of TCP as well.
type datagram struct {
	from, to netip.Addr
	port     uint16 // of its destination, by which it is told from others
}

// bytes returns the datagram as an IP packet.
func (d datagram) bytes() []byte {
	const payload = "hello"
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp[0:], 40000)
	binary.BigEndian.PutUint16(udp[2:], d.port)
	binary.BigEndian.PutUint16(udp[4:], 8+uint16(len(payload)))
	udp = append(udp, payload...)
	pseudo := append(d.from.AsSlice(), d.to.AsSlice()...)
	pseudo = append(pseudo, 0, unix.IPPROTO_UDP, 0, byte(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], checksum(append(pseudo, udp...)))
	if d.from.Is6() {
		head := make([]byte, 40)
		head[0] = 0x60
		binary.BigEndian.PutUint16(head[4:], uint16(len(udp)))
		head[6], head[7] = unix.IPPROTO_UDP, 64
		copy(head[8:], d.from.AsSlice())
		copy(head[24:], d.to.AsSlice())
		return append(head, udp...)
	}
	head := make([]byte, 20)
	head[0], head[8], head[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(udp)))
	copy(head[12:], d.from.AsSlice())
	copy(head[16:], d.to.AsSlice())
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	return append(head, udp...)
}

// checksum is the internet's, RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// virtio is the header in front of every packet of a device.
var virtio = make([]byte, 10)

// write sends a packet through the device.
func write(t testing.TB, device *os.File, packet []byte) {
	t.Helper()
	if _, err := device.Write(append(append([]byte{}, virtio...), packet...)); err != nil {
		t.Fatal(err)
	}
}

// received returns the datagrams that arrive outside, up to the one for the
// port last.
func (p pair) received(t testing.TB, last uint16) []datagram {
	t.Helper()
	var out []datagram
	b := make([]byte, 64<<10)
	tv := unix.NsecToTimeval((5 * time.Second).Nanoseconds())
	if err := unix.SetsockoptTimeval(p.wire, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	for {
		n, from, err := unix.Recvfrom(p.wire, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatalf("the last datagram does not arrive outside: %v; before it came %v", err, out)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		d, ok := parse(b[14:n]) // behind the Ethernet header
		if !ok {
			continue
		}
		out = append(out, d)
		if d.port == last {
			return out
		}
	}
}

func parse(b []byte) (d datagram, ok bool) {
	switch {
	case len(b) >= 28 && b[0]>>4 == 4 && (b[9] == unix.IPPROTO_UDP || b[9] == unix.IPPROTO_TCP):
		d.from, d.to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		b = b[20:]
	case len(b) >= 48 && b[0]>>4 == 6 && (b[6] == unix.IPPROTO_UDP || b[6] == unix.IPPROTO_TCP):
		d.from, d.to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40:]
	default:
		return d, false
	}
	d.port = binary.BigEndian.Uint16(b[2:])
	return d, true
}
