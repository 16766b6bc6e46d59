package egress

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// spellings are ways to say where nobody may go. A C library would take each
// of the names for one, too.
var spellings = []string{
	// this host
	"127.0.0.1", "127.1.2.3", "127.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::1", "[::1]", "[::]",
	"0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::1%lo", "::0.0.0.1", "0::0",
	"::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:127.0.0.1", "[::ffff:127.0.0.1]", "::FFFF:127.0.0.1",
	"::ffff:0.0.0.0", "::ffff:127.0.0.1%lo", "::127.0.0.1", "::7f00:1", "::ffff:0:127.0.0.1",
	// private
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.17.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
	"::ffff:10.0.0.1", "::ffff:c0a8:1", "fc00::1", "fd00::1", "fdff:ffff::", "fec0::1", "feff::1",
	// link-local and metadata
	"169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "fe80::1", "fe80::1%eth0", "febf::1",
	"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16",
	// shared, special, multicast, broadcast
	"100.64.0.1", "100.127.255.255", "198.18.0.1", "198.19.255.255", "192.0.0.1", "192.88.99.1",
	"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1", "ff01::1%eth0",
	// IPv4 inside IPv6
	"64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::0.0.0.0", "64:ff9b::100.64.0.1",
	"64:ff9b:1::1", "64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff::203.0.113.1", "2002:7f00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:cb00:7101::1",
	"2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1",
	"100::1", "5f00::1", "4000::1", "1::1", "::5efe:127.0.0.1",
	// what only C libraries take for an address
	"127.1", "127.0.1", "0", "1", "2130706433", "0x7f.1", "0x7f000001", "0X7F000001", "0x7f.0x0.0x0.0x1", "017700000001", "0177.0.0.1", "0177.1",
	"127.0.0.01", "127.0.0.1.", "00000127.0.0.1", "127.0.0.0x1", "0x", "a9fe.43518", "10.1", "192.168.257", "3232235521", "256.256.256.256",
	// names
	"localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "a.localhost", "ip6-localhost", "metadata.google.internal",
	"127.0.0.1.nip.io", "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "host.docker.internal", "e3b0c442",
	// nonsense
	"", "[", "]", "[]", "[::1", "::1]", "[[::1]]", "[localhost]", "[127.0.0.1]", "127.0.0.1:80", "[::1]:80", "127.0.0.1%lo", "127.0.0.1%25lo",
	" 127.0.0.1", "127.0.0.1 ", "127.0.0.1\x00", "127.0.0.1/8", "http://127.0.0.1/", "\\\\127.0.0.1", "user@127.0.0.1", "::ffff:127.1", strings.Repeat("a.", 200),
}

// everyNameIsLoopback is a resolver that is lied to, or is a C library.
func everyNameIsLoopback(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"),
		netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fe80::1%eth0"),
	}, nil
}

func TestNoSpellingSlipsThrough(t *testing.T) {
	g := New(nil)
	g.lookup = everyNameIsLoopback
	for _, host := range spellings {
		if addrs, err := g.Resolve(t.Context(), host); len(addrs) != 0 || vpn.KindOf(err) != vpn.Denied {
			t.Errorf("Resolve(%q) = %v, %v", host, addrs, err)
		}
		if a, err := netip.ParseAddr(host); err == nil && g.Permits(a) {
			t.Errorf("Permits(%q)", host)
		}
	}
	if len(spellings) < 60 {
		t.Errorf("only %d spellings", len(spellings))
	}
}

func TestTheInternetIsPermitted(t *testing.T) {
	g := New(nil)
	for _, host := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
		"192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"203.0.113.1", "198.51.100.1", "192.0.2.1", "::ffff:203.0.113.1", "64:ff9b::203.0.113.1", "64:ff9b::8.8.8.8",
		"2001:db8::1", "2001:db8:ffff:ffff::", "2001:200::", "2003::1", "2606:4700:4700::1111", "2a00:1450::1", "3fff:ffff::", "[2001:db8::1]",
	} {
		if addrs, err := g.Resolve(t.Context(), host); len(addrs) != 1 || err != nil {
			t.Errorf("Resolve(%q) = %v, %v", host, addrs, err)
		}
	}
	if g.Permits(netip.Addr{}) {
		t.Error("no address is permitted")
	}
}

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestDestination(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.1": "203.0.113.1", "::ffff:203.0.113.1": "203.0.113.1", "64:ff9b::203.0.113.1": "203.0.113.1", "64:ff9b::cb00:7101%eth0": "203.0.113.1",
		"2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1", "64:ff9b:1::203.0.113.1": "64:ff9b:1::cb00:7101",
	} {
		if got := Destination(netip.MustParseAddr(a)); got != netip.MustParseAddr(want) {
			t.Errorf("Destination(%s) = %s", a, got)
		}
	}
}

func TestAllowWins(t *testing.T) {
	g := New(prefixes("10.1.0.0/16", "::ffff:10.2.0.0/112", "fd00:1::/32", "127.0.0.1/32", "fe80::/10", "192.168.5.77/24"))
	g.SetHost([]netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("203.0.113.5")})
	for host, want := range map[string]bool{
		"10.1.0.1": true, "10.1.255.255": true, "10.0.255.255": false, "::ffff:10.1.0.1": true, "64:ff9b::10.1.0.1": true, "64:ff9b::10.3.0.1": false,
		"10.2.3.4": true, "10.3.0.0": false, "fd00:1::1": true, "fd00:2::1": false, "127.0.0.1": true, "127.0.0.2": false, "fe80::1%eth0": true,
		"192.168.5.1": true, "192.168.6.1": false, "203.0.113.5": false,
	} {
		if got := g.Permits(netip.MustParseAddr(host)); got != want {
			t.Errorf("Permits(%s) = %v", host, got)
		}
	}
	g.SetAllow([]netip.Prefix{{}})
	if g.Permits(netip.MustParseAddr("10.1.0.1")) || !g.Permits(netip.MustParseAddr("8.8.8.8")) {
		t.Error("SetAllow did not replace the prefixes")
	}
}

func TestHostIsRefused(t *testing.T) {
	g := New(nil)
	g.SetHost([]netip.Addr{netip.MustParseAddr("::ffff:203.0.113.5"), netip.MustParseAddr("2001:db8::5%eth0")})
	for host, want := range map[string]bool{
		"203.0.113.5": false, "::ffff:203.0.113.5": false, "64:ff9b::203.0.113.5": false, "2001:db8::5": false, "2001:db8::5%eth1": false,
		"203.0.113.6": true, "2001:db8::6": true,
	} {
		if got := g.Permits(netip.MustParseAddr(host)); got != want {
			t.Errorf("Permits(%s) = %v", host, got)
		}
	}
	g.SetHost(nil)
	if !g.Permits(netip.MustParseAddr("203.0.113.5")) {
		t.Error("SetHost did not replace the addresses")
	}
	own, err := HostAddrs()
	if err != nil || len(own) == 0 {
		t.Errorf("HostAddrs() = %v, %v", own, err)
	}
}

// forbidden is the standard library's opinion, for comparison.
func forbidden(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsPrivate() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsInterfaceLocalMulticast()
}

func FuzzPermits(f *testing.F) {
	for _, s := range spellings {
		if a, err := netip.ParseAddr(s); err == nil {
			b := a.As16()
			f.Add(b[:])
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) != 16 {
			return
		}
		g := New(nil)
		a := netip.AddrFrom16([16]byte(raw))
		if g.Permits(a) && forbidden(a.Unmap()) {
			t.Errorf("%s is permitted", a)
		}
		if g.Permits(a) != g.Permits(a.WithZone("eth0")) {
			t.Errorf("a zone makes a difference to %s", a)
		}
		v4 := netip.AddrFrom4([4]byte(raw[12:]))
		ok := g.Permits(v4)
		if ok && forbidden(v4) {
			t.Errorf("%s is permitted", v4)
		}
		for form, e := range embeddings([4]byte(raw[12:]), raw[:8]) {
			if got := g.Permits(e); got != (ok && (form == "mapped" || form == "NAT64")) {
				t.Errorf("%s in %s, as %s: permitted is %v", v4, form, e, got)
			}
		}
	})
}

// embeddings returns every known way to put an IPv4 address into one of IPv6.
func embeddings(v4 [4]byte, filler []byte) map[string]netip.Addr {
	at := func(i int, start ...byte) netip.Addr {
		var b [16]byte
		copy(b[:], start)
		copy(b[i:], v4[:])
		return netip.AddrFrom16(b)
	}
	teredo := [16]byte{0x20, 0x01, 0, 0, filler[0], filler[1], filler[2], filler[3], filler[4], filler[5], filler[6], filler[7]}
	for i, x := range v4 {
		teredo[12+i] = ^x
	}
	sixToFour := at(2, 0x20, 0x02).As16()
	copy(sixToFour[6:], filler)
	return map[string]netip.Addr{
		"mapped":       at(12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff),
		"compatible":   at(12),
		"translated":   at(12, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0),
		"NAT64":        at(12, 0, 0x64, 0xff, 0x9b),
		"local NAT64":  at(12, 0, 0x64, 0xff, 0x9b, 0, 1, filler[0], filler[1]),
		"6to4":         netip.AddrFrom16(sixToFour),
		"Teredo":       netip.AddrFrom16(teredo),
		"Teredo relay": at(4, 0x20, 0x01),
	}
}

func BenchmarkPermits(b *testing.B) {
	g := New(prefixes("10.1.0.0/16", "fd00:1::/32"))
	own, err := HostAddrs()
	if err != nil {
		b.Fatal(err)
	}
	g.SetHost(own)
	for _, s := range []string{"8.8.8.8", "127.0.0.1", "2606:4700:4700::1111", "64:ff9b::8.8.8.8"} {
		a := netip.MustParseAddr(s)
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Permits(a)
			}
		})
	}
}
