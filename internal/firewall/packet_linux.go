package firewall

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A packet is the first one of a connection from another host, or one that
// this host forwards, as far as it is known: a bit counts if it is set in
// known.
type packet struct {
	endpoint
	v6                 bool
	l4                 byte // the IP protocol's number
	link               string
	index              uint32 // of the link; 0 if it is not known
	sport              uint16
	flags              byte   // of TCP
	state              uint32 // what connection tracking says
	out                string // the link to leave by; empty: it is for this host
	outIndex           uint32
	network, transport partial
}

// partial are bytes of which some bits are known.
type partial struct{ value, known []byte }

func unknown(n int) partial { return partial{make([]byte, n), make([]byte, n)} }

func certain(b ...byte) partial {
	p := unknown(len(b))
	p.set(0, b...)
	return p
}

func (p partial) set(at int, b ...byte) {
	copy(p.value[at:], b)
	for i := range b {
		p.known[at+i] = 0xff
	}
}

// clientPort stands for that of any ordinary client.
const clientPort = 50_000

// Flags of a TCP segment.
const (
	flagSYN = 0x02
	flagACK = 0x10
)

func indexOf(links []link, name string) uint32 {
	for _, l := range links {
		if l.name == name {
			return l.index
		}
	}
	return 0
}

// packets returns what strangers send to e, one for each IP version in which
// they can reach this host.
func packets(e endpoint) []packet {
	links := addresses()
	var out []packet
	for _, v6 := range []bool{false, true} {
		switch {
		case e.listen.Is4() && v6, e.listen.Is6() && !e.listen.IsUnspecified() && !v6:
			continue
		}
		p := packet{endpoint: e, v6: v6, l4: unix.IPPROTO_TCP, sport: clientPort, flags: flagSYN, state: stateNew}
		if e.network == "udp" {
			p.l4 = unix.IPPROTO_UDP
		}
		reached := false
		for _, l := range links {
			for _, a := range l.addrs {
				if a.Is4() == v6 || v6 && a.IsLinkLocalUnicast() {
					continue
				}
				reached = true
				if a == e.listen {
					p.link = l.name
				}
			}
		}
		if !reached {
			continue
		}
		if p.link == "" {
			p.link = defaultLink(v6)
		}
		p.index = indexOf(links, p.link)
		p.headers()
		out = append(out, p)
	}
	return out
}

func (p *packet) headers() {
	port := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.sport), p.port)
	if p.l4 == unix.IPPROTO_UDP {
		p.transport = unknown(8)
	} else {
		p.transport = unknown(20)
		p.transport.set(13, p.flags)
	}
	p.transport.set(0, port...)
	if p.v6 {
		p.network = unknown(40)
		p.network.set(6, p.l4)
	} else {
		p.network = unknown(20)
		p.network.set(0, 0x45)
		p.network.set(9, p.l4)
		p.network.known[6], p.network.known[7] = 0xbf, 0xff // no fragment; it may forbid to make some
	}
	if p.listen.IsValid() && !p.listen.IsUnspecified() {
		at := 16
		if p.v6 {
			at = 24
		}
		p.network.set(at, p.listen.AsSlice()...)
	}
}

// source returns where the source address lies in the network header.
func (p *packet) source() (at, size int) {
	if p.v6 {
		return 8, 16
	}
	return 12, 4
}

func (p *packet) family() byte {
	if p.v6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

type link struct {
	name  string
	index uint32
	addrs []netip.Addr
}

// addresses returns the links that lead to other hosts.
func addresses() []link {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []link
	for _, i := range ifs {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		l := link{name: i.Name, index: uint32(i.Index)} //nolint:gosec // the kernel's are positive
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(n.IP); ok {
					l.addrs = append(l.addrs, ip.Unmap())
				}
			}
		}
		out = append(out, l)
	}
	return out
}

// defaultLink returns the link to the rest of the world, if there is one.
func defaultLink(v6 bool) string {
	const (
		v4Fields = 8  // Iface Destination Gateway Flags RefCnt Use Metric Mask …
		v6Fields = 10 // destination, its length, source, its length, gateway, metric, uses, uses, flags, name
	)
	name, zero, zeros, flags, want := "route", 1, 7, 3, v4Fields
	if v6 {
		name, zero, zeros, flags, want = "ipv6_route", 0, 1, 8, v6Fields
	}
	text, err := os.ReadFile("/proc/thread-self/net/" + name)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < want || strings.Trim(f[zero]+f[zeros], "0") != "" {
			continue
		}
		link := f[0]
		if v6 {
			link = f[9]
		}
		if n := hexNumber(f[flags]); link != "lo" && n&unix.RTF_UP != 0 && n&unix.RTF_REJECT == 0 {
			return link // the kernel lists the best one first
		}
	}
	return ""
}

func hexNumber(s string) (n uint64) {
	for _, c := range s {
		n = n<<4 | uint64(strings.IndexRune("0123456789abcdef", c|0x20)&15) //nolint:gosec // 0 to 15
	}
	return n
}
