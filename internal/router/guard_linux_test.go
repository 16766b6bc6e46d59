package router_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/engine/egress"
	"vpn/internal/router"
)

// lastPort is that of the datagram after which nothing is waited for.
const lastPort = 9

// arrive sends a datagram to each of addrs and returns those that arrive
// outside.
func (p pair) arrive(t *testing.T, device *os.File, tun router.Tunnel, addrs []netip.Addr) map[netip.Addr]bool {
	t.Helper()
	out := map[netip.Addr]bool{}
	for chunk := range slices.Chunk(addrs, 50) {
		for _, a := range chunk {
			write(t, device, datagram{client(tun, a.Is6(), 1), a, 2000}.bytes())
		}
		write(t, device, datagram{client(tun, false, 1), netip.MustParseAddr(outsideV4), lastPort}.bytes())
		for _, d := range p.received(t, lastPort) {
			out[d.to] = true
		}
	}
	return out
}

// spellings are places that nobody may reach, in every way to write them.
var spellings = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.9.9.9", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
	"127.0.0.1", "127.8.8.8", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.17.0.2", "172.31.255.255",
	"192.0.0.192", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255",
	"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", serverV4,
	"::", "::1", "::127.0.0.1", "::10.0.0.1", "::ffff:127.0.0.1", "::ffff:10.9.9.9", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:10.0.0.1",
	"64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::192.168.1.1", "64:ff9b::100.64.0.1", "64:ff9b::0.0.0.0",
	"64:ff9b::" + serverV4, "64:ff9b:1::10.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b::1:0:0",
	"2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "2002:808:808::1",
	"2001::1", "2001:0:808:808::1", "2001:2::1", "2001:10::1", "2001:20::1",
	"100::1", "fc00::1", "fd00::7", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff02::1", "ff05::2",
	"4000::1", "8000::1", "1fff::1", serverV6,
}

// The kernel's rules and the guard of the other protocols are of one mind, for
// every spelling, around the ends of every range, and at random.
func TestRulesAgreeWithTheGuard(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	tun.Allow = []netip.Prefix{
		netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("10.9.9.0/24"), netip.MustParsePrefix("fd12::/48"),
		netip.MustParsePrefix("::ffff:192.168.7.0/120"),
	}
	device := p.open(t, tun)
	p.apply(t, tun)
	guard := egress.New(tun.Allow)
	var own []netip.Addr
	p.server.Do(func() { own, _ = egress.HostAddrs() })
	if len(own) < 6 {
		t.Fatalf("the host has the addresses %v", own)
	}
	guard.SetHost(own)
	var addrs []netip.Addr
	for _, s := range spellings {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	ranges := egress.Table()
	for _, r := range slices.Concat(ranges.Forbidden4, ranges.Global6, ranges.Forbidden6, ranges.NAT64, tun.Allow) {
		if r.Addr().Is4In6() {
			r = netip.PrefixFrom(r.Addr().Unmap(), r.Bits()-96)
		}
		first, last := r.Addr(), lastOf(r)
		for _, a := range []netip.Addr{first.Prev(), first, first.Next(), last.Prev(), last, last.Next()} {
			if a.IsValid() {
				addrs = append(addrs, a)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		var b [16]byte
		binary.NativeEndian.PutUint64(b[:], random.Uint64())
		binary.NativeEndian.PutUint64(b[8:], random.Uint64())
		v4 := netip.AddrFrom4([4]byte(b[:4]))
		embedded := netip.MustParseAddr("64:ff9b::").As16()
		copy(embedded[12:], b[:4])
		b[0] = 0x20 | b[0]&0x1f // else nearly none is out there
		addrs = append(addrs, v4, netip.AddrFrom16(embedded), netip.AddrFrom16(b))
	}
	got := p.arrive(t, device, tun, addrs)
	arrived := 0
	for _, a := range addrs {
		if got[a] {
			arrived++
		}
		// Nothing on the wire is IPv4-mapped: the guard takes it for a spelling
		// of an IPv4 address, the kernel for an address that is nobody's.
		want := guard.Permits(a) && !a.Is4In6()
		if a.IsMulticast() || a.IsLoopback() {
			want = false // the guard of sockets sees it as well, and no router forwards it
		}
		if got[a] != want {
			t.Errorf("%s arrives outside: %v, want %v", a, got[a], want)
		}
	}
	if arrived < 1000 {
		t.Errorf("of %d datagrams only %d arrived", len(addrs), arrived)
	}
	for _, s := range spellings {
		a := netip.MustParseAddr(s)
		if got[a] && !contains(tun.Allow, a) && !contains(tun.Allow, last4(a)) {
			t.Errorf("%s was reached", s)
		}
	}
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

func last4(a netip.Addr) netip.Addr {
	b := a.AsSlice()
	return netip.AddrFrom4([4]byte(b[len(b)-4:]))
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// What is allowed is let through, and no longer is when that is withdrawn:
// from what is under way, too.
func TestAllowOpensAndCloses(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	inside := []netip.Addr{netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("fd12::9")}
	all := append(inside, netip.MustParseAddr("10.8.0.1"), netip.MustParseAddr("fd13::1"))
	for _, allow := range [][]netip.Prefix{nil, {netip.MustParsePrefix("10.9.9.9/32"), netip.MustParsePrefix("fd12::/64")}, nil} {
		tun.Allow = allow
		p.apply(t, tun)
		got := p.arrive(t, device, tun, all)
		for _, a := range all {
			if want := contains(allow, a); got[a] != want {
				t.Errorf("with %v allowed, %s is reached: %v", allow, a, got[a])
			}
		}
	}
}

// The host's own services are for nobody behind the device, at none of its
// addresses; a ping of the tunnel's is answered.
func TestTheHostItselfIsClosed(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.server.Run(t, "addr add 198.51.100.7/32 dev lo\naddr add 127.5.5.5/8 dev lo\n", "ip", "-batch", "-")
	device := p.open(t, tun)
	p.apply(t, tun)
	var service net.PacketConn
	var err error
	p.server.Do(func() { service, err = net.ListenPacket("udp", "[::]:53") })
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	own := []string{serverV4, serverV6, "198.51.100.7", tun.Addresses[0].Addr().String(), tun.Addresses[1].Addr().String(), "127.0.0.1", "255.255.255.255", "ff02::1"}
	for _, a := range own {
		to := netip.MustParseAddr(a)
		write(t, device, datagram{client(tun, to.Is6(), 1), to, 53}.bytes())
	}
	tun.Allow = []netip.Prefix{netip.MustParsePrefix(serverV4 + "/32")}
	p.apply(t, tun)
	write(t, device, datagram{client(tun, false, 7), netip.MustParseAddr(serverV4), 53}.bytes())
	// What arrives first is what was allowed afterwards: nothing came before.
	_ = service.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, from, err := service.ReadFrom(make([]byte, 100))
	if err != nil || netip.MustParseAddrPort(from.String()).Addr().Unmap() != client(tun, false, 7) {
		t.Errorf("first comes a datagram from %v, %v", from, err)
	}
	for _, a := range tun.Addresses {
		write(t, device, ping(client(tun, a.Addr().Is6(), 1), a.Addr()))
		if !p.answered(t, device, a.Addr()) {
			t.Errorf("a ping of %s is not answered", a.Addr())
		}
	}
}

// ping is an echo request.
func ping(from, to netip.Addr) []byte {
	kind, protocol := byte(8), byte(unix.IPPROTO_ICMP)
	if to.Is6() {
		kind, protocol = 128, unix.IPPROTO_ICMPV6
	}
	icmp := []byte{kind, 0, 0, 0, 0, 7, 0, 1}
	var pseudo []byte
	if to.Is6() {
		pseudo = append(append(from.AsSlice(), to.AsSlice()...), 0, 0, 0, byte(len(icmp)), 0, 0, 0, protocol)
	}
	binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
	p := datagram{from, to, 1}.bytes() // for its header
	head := p[:len(p)-8-len("hello")]
	if to.Is6() {
		binary.BigEndian.PutUint16(head[4:], uint16(len(icmp)))
		head[6] = protocol
	} else {
		binary.BigEndian.PutUint16(head[2:], uint16(20+len(icmp)))
		head[9], head[10], head[11] = protocol, 0, 0
		binary.BigEndian.PutUint16(head[10:], checksum(head))
	}
	return append(slices.Clone(head), icmp...)
}

// answered reports whether an echo reply from addr comes through the device.
func (p pair) answered(t *testing.T, device *os.File, addr netip.Addr) bool {
	t.Helper()
	reply := byte(0)
	if addr.Is6() {
		reply = 129
	}
	found := false
	p.read(t, device, func(b []byte) bool {
		v6 := b[0]>>4 == 6
		if v6 == addr.Is6() && (v6 && b[6] == unix.IPPROTO_ICMPV6 && b[40] == reply || !v6 && b[9] == unix.IPPROTO_ICMP && b[20] == reply) {
			found = true
		}
		return !found
	})
	return found
}

// read gives what comes through the device to each, as long as that wants
// more, for some seconds.
func (p pair) read(t *testing.T, device *os.File, each func(packet []byte) bool) {
	t.Helper()
	b := make([]byte, 64<<10)
	_ = device.SetReadDeadline(time.Now().Add(2 * time.Second))
	for {
		n, err := device.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !each(b[len(virtio):n]) {
			return
		}
	}
}

// Clients are hidden from each other unless they are meant to meet.
func TestClientsAndEachOther(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	tun.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")} // means networks elsewhere
	device := p.open(t, tun)
	for _, between := range []bool{false, true} {
		tun.Between = between
		p.apply(t, tun)
		for _, v6 := range []bool{false, true} {
			d := datagram{client(tun, v6, 1), client(tun, v6, 2), 4000}
			write(t, device, d.bytes())
			// The host sends something after it, which always arrives.
			last := client(tun, v6, 9)
			p.server.Do(func() {
				c, err := net.Dial("udp", net.JoinHostPort(last.String(), strconv.Itoa(lastPort)))
				if err == nil {
					_, err = c.Write([]byte("end"))
					c.Close()
				}
				if err != nil {
					t.Error(err)
				}
			})
			met, ended := false, false
			p.read(t, device, func(b []byte) bool {
				got, ok := parse(b)
				met = met || ok && got == d
				ended = ended || ok && got.to == last
				return !ended
			})
			if !ended {
				t.Error("what the host sends to a client does not arrive")
			}
			if met != between {
				t.Errorf("IPv6 %v, with Between %v they meet: %v", v6, between, met)
			}
		}
	}
}

// Nobody outside begins anything with a client, whatever routes he has; what
// answers a client arrives.
func TestOnlyAnswersComeIn(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	p.apply(t, tun)
	for i, to := range []string{outsideV4, outsideV6} {
		v6 := i == 1
		outside, server := netip.MustParseAddr(to), netip.MustParseAddr([]string{serverV4, serverV6}[i])
		from := client(tun, v6, 1)
		send := func(from netip.Addr, fromPort uint16, to netip.Addr, toPort uint16) {
			t.Helper()
			var err error
			p.outside.Do(func() {
				var c *net.UDPConn
				if c, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, fromPort)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, toPort))); err == nil {
					_, err = c.Write([]byte("x"))
					c.Close()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		p.outside.Run(t, "", "ip", "route", "replace", tun.Addresses[i].Masked().String(), "via", server.String())
		send(outside, 5000, from, 6000) // nobody asked for it
		d := datagram{from, outside, 5001}
		write(t, device, d.bytes())
		if got := p.received(t, d.port); got[len(got)-1].from != server {
			t.Fatalf("arrived %v", got)
		}
		send(outside, 5001, server, 40000) // the answer
		var got []datagram
		p.read(t, device, func(b []byte) bool {
			d, ok := parse(b)
			if ok {
				got = append(got, d)
			}
			return !ok || d.port != 40000
		})
		if !slices.Equal(got, []datagram{{outside, from, 40000}}) {
			t.Errorf("a client gets %v, want the answer alone", got)
		}
	}
}

// Only clients' own addresses count as a source.
func TestForeignSourcesAreDropped(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	p.apply(t, tun)
	for _, from := range []string{"10.78.0.2", serverV4, "8.8.8.8", "127.0.0.1", "fd78::2", serverV6, "2001:db8:5::1", "fe80::5"} {
		a := netip.MustParseAddr(from)
		to := netip.MustParseAddr(outsideV4)
		if a.Is6() {
			to = netip.MustParseAddr(outsideV6)
		}
		write(t, device, datagram{a, to, 3000}.bytes())
	}
	last := datagram{client(tun, false, 1), netip.MustParseAddr(outsideV4), lastPort}
	write(t, device, last.bytes())
	if got := p.received(t, lastPort); len(got) != 1 {
		t.Errorf("outside arrives %v", got)
	}
}

// What connection tracking does not know would go out under a client's own
// address.
func TestNothingGoesOutUntranslated(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	p.apply(t, tun)
	for i, to := range []string{outsideV4, outsideV6} {
		const rst = 0x04
		s := segment(client(tun, i == 1, 1), netip.MustParseAddr(to), rst, 1000)
		write(t, device, s)
	}
	write(t, device, datagram{client(tun, false, 1), netip.MustParseAddr(outsideV4), lastPort}.bytes())
	if got := p.received(t, lastPort); len(got) != 1 {
		t.Errorf("outside arrives %v", got)
	}
}

// A connection begins with segments that fit through the device.
func TestMSSIsClamped(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	tun.MTU = 1280
	device := p.open(t, tun)
	p.apply(t, tun)
	p.outside.Run(t, "", "ip", "link", "set", "up0", "mtu", "9000")
	p.server.Run(t, "", "ip", "link", "set", "wan0", "mtu", "9000")
	var l net.Listener
	var err error
	p.outside.Do(func() { l, err = net.Listen("tcp", "[::]:443") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, to := range []string{outsideV4, outsideV6} {
		v6 := i == 1
		want := tun.MTU - 40
		if v6 {
			want -= 20
		}
		write(t, device, segment(client(tun, v6, 1), netip.MustParseAddr(to), 0x02, 8960))
		// The answer of the host outside, which could take 9000 bytes, comes
		// with what fits through the device.
		got := 0
		p.read(t, device, func(b []byte) bool {
			head := 20
			if b[0]>>4 == 6 {
				head = 40
			}
			if (b[0]>>4 == 6) != v6 || len(b) < head+24 || b[head+13] != 0x12 {
				return true
			}
			got = mss(b[head:])
			return false
		})
		if got != want {
			t.Errorf("IPv6 %v: an answer offers segments of %d bytes, want %d", v6, got, want)
		}
	}
}

// mss returns what a segment offers.
func mss(segment []byte) int {
	for o := segment[20 : int(segment[12]>>4)*4]; len(o) >= 4; {
		switch o[0] {
		case 1:
			o = o[1:]
			continue
		case 2:
			return int(binary.BigEndian.Uint16(o[2:]))
		}
		o = o[o[1]:]
	}
	return 0
}

// segment is one of TCP, to port 443, that offers segments of a size.
func segment(from, to netip.Addr, flags byte, size uint16) []byte {
	tcp := make([]byte, 24)
	binary.BigEndian.PutUint16(tcp[0:], 41000)
	binary.BigEndian.PutUint16(tcp[2:], 443)
	tcp[12], tcp[13] = 6<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	tcp[20], tcp[21] = 2, 4
	binary.BigEndian.PutUint16(tcp[22:], size)
	pseudo := append(from.AsSlice(), to.AsSlice()...)
	pseudo = append(pseudo, 0, unix.IPPROTO_TCP, 0, byte(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	p := datagram{from, to, 1}.bytes()
	head := slices.Clone(p[:len(p)-8-len("hello")])
	if to.Is6() {
		binary.BigEndian.PutUint16(head[4:], uint16(len(tcp)))
		head[6] = unix.IPPROTO_TCP
	} else {
		binary.BigEndian.PutUint16(head[2:], uint16(20+len(tcp)))
		head[9], head[10], head[11] = unix.IPPROTO_TCP, 0, 0
		binary.BigEndian.PutUint16(head[10:], checksum(head))
	}
	return append(head, tcp...)
}
