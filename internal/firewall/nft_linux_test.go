package firewall_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpn/internal/firewall"
)

// blocks asks on the host.
func (p pair) blocks(f *firewall.Firewall, network, listen string) []firewall.Block {
	var out []firewall.Block
	p.host.Do(func() { out = f.Blocks(network, netip.MustParseAddr(listen), port) })
	return out
}

// rules of people. Where open is set, the port is blocked, and that is the
// command that has to open it.
var rules = []struct{ name, open, text string }{
	{"none", "", ``},
	{"policy drop", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain input { type filter hook input priority 0; policy drop;
	iif lo accept
	ct state established,related accept
	ct state invalid drop
	ip saddr 127.0.0.0/8 accept
	ip6 saddr ::1 accept
	ip protocol icmp accept
	meta l4proto ipv6-icmp accept
	tcp dport 22 ct state new limit rate 10/minute accept
	udp dport { 53, 67 } accept
	iifname "lan0" accept
	fib daddr type broadcast drop
} }`},
	{"reject", "nft insert rule inet my-wall in tcp dport 8443 accept", `
table inet my-wall { chain in { type filter hook input priority 10; policy accept;
	tcp dport { 22, 80, 443 } accept
	ct state vmap { established : accept, related : accept, invalid : drop }
	counter log prefix "no " reject with tcp reset
} }`},
	{"accepted by one, dropped by the next", "nft insert rule inet second input tcp dport 8443 accept", `
table inet first { chain input { type filter hook input priority -5; tcp dport 8443 accept; } }
table inet second { chain input { type filter hook input priority 5; policy drop; } }`},
	{"open in a set", "", `
table inet filter { set ports { type inet_service; flags interval; elements = { 80, 443, 8400-8500 } }
	chain input { type filter hook input priority 0; policy drop; ct state established accept; meta l4proto { icmp, ipv6-icmp } accept; tcp dport @ports accept; } }`},
	{"not in the set", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { set ports { type inet_service; flags interval; elements = { 80, 443, 8000-8442, 8444-9000 } }
	chain input { type filter hook input priority 0; policy drop; tcp dport @ports accept; } }`},
	{"jumps", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter {
	chain web { tcp dport 443 accept; return; }
	chain tcp_in { jump web; tcp dport 22 accept; }
	chain no { drop; }
	chain input { type filter hook input priority 0; policy accept; ct state established accept; meta l4proto vmap { tcp : jump tcp_in, udp : accept, icmp: accept, ipv6-icmp : accept }; goto no; } }`},
	{"jump to open", "", `
table inet filter {
	chain web { tcp dport vmap { 443 : accept, 8443 : accept } ; }
	chain input { type filter hook input priority 0; policy drop; ct state established accept; meta l4proto { icmp, ipv6-icmp } accept; jump web; } }`},
	{"goto does not come back", "", `
table inet filter { chain web { tcp dport 443 accept; }
	chain input { type filter hook input priority 0; policy accept; tcp dport 8443 goto web; tcp dport 8443 drop; } }`},
	{"but goes back to where its chain was called", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain web { tcp dport 443 accept; }
	chain every { tcp dport 8443 goto web; accept; }
	chain input { type filter hook input priority 0; policy accept; tcp dport 8443 jump every; tcp dport 8443 drop; } }`},
	{"return is no end", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain web { tcp dport 8443 return; accept; }
	chain input { type filter hook input priority 0; policy accept; meta l4proto { icmp, ipv6-icmp } accept; jump web; tcp dport 8443 drop; } }`},
	{"other ports", "", `
table inet filter { chain input { type filter hook input priority 0; tcp dport 8444-9000 drop; tcp dport != 1-9999 drop; udp dport 8443 drop; tcp sport 1-1023 drop; } }`},
	{"range", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain input { type filter hook input priority 0; tcp dport >= 1024 drop; } }`},
	{"flags and marks", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain input { type filter hook input priority 0; tcp flags syn / fin,syn,rst,ack tcp dport 8443 counter drop; } }`},
	{"before the hook", "nft insert rule inet raw pre tcp dport 8443 accept", `
table inet raw { chain pre { type filter hook prerouting priority raw; policy accept; fib daddr type local tcp dport 8443 drop; } }`},
	{"asleep", "", `
table inet filter { flags dormant; chain input { type filter hook input priority 0; policy drop; } }`},
	{"on other links", "", `
table inet filter { chain input { type filter hook input priority 0; iifname "lan0" drop; iifname "docker*" drop; oifname "wan0" drop; } }`},
	{"on the link to the world", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { chain input { type filter hook input priority 0; iifname "wan*" tcp dport 8443 drop; } }`},
	{"not a chain for input", "", `
table inet filter { chain forward { type filter hook forward priority 0; policy drop; }
	chain input { drop; } }`},
	{"a counter with a name", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { counter c { packets 0 bytes 0; }
	chain input { type filter hook input priority 0; policy drop; tcp dport 22 counter name c accept; } }`},
	{"addresses and ports", "nft insert rule inet filter input tcp dport 8443 accept", `
table inet filter { set s { type ipv4_addr . inet_service; elements = { 192.0.2.9 . 22, 192.0.2.8 . 8444 } }
	chain input { type filter hook input priority 0; policy drop; ip saddr . tcp dport @s accept; } }`},
}

func TestRulesOfPeople(t *testing.T) {
	for _, c := range rules {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, f := newPair(t), &firewall.Firewall{}
			p.load(t, c.text)
			found := p.blocks(f, "tcp", "::")
			if c.open == "" {
				if len(found) != 0 {
					t.Fatalf("false alarm: %v", found)
				}
				p.wantOpen(t, true)
				return
			}
			if len(found) != 1 || strings.Join(found[0].Open, " && ") != c.open || found[0].Over != "" {
				t.Fatalf("found %v, want: %s", found, c.open)
			}
			if text := found[0].String(); !strings.HasSuffix(text, ": "+c.open) || !strings.Contains(text, "tcp port 8443") {
				t.Errorf("a person reads %q", text)
			}
			p.wantOpen(t, false)
			p.host.Run(t, "", "sh", "-c", c.open)
			if found := p.blocks(f, "tcp", "::"); len(found) != 0 {
				t.Errorf("it is open, and this is said: %v", found)
			}
			p.wantOpen(t, true)
		})
	}
}

func (p pair) wantOpen(t *testing.T, want bool) {
	t.Helper()
	wait := 5 * time.Second
	if !want {
		wait = 200 * time.Millisecond
	}
	for _, addr := range []string{hostV4, hostV6} {
		if got := p.reaches(addr, wait); got != want {
			t.Errorf("over %s the port is open: %v, want %v", addr, got, want)
		}
	}
}

// What depends on who connects, or is not understood, is no alarm.
func TestSilenceWhereItIsNotCertain(t *testing.T) {
	p, f := newPair(t), &firewall.Firewall{}
	for _, rule := range []string{
		"ip saddr 192.0.2.0/24 tcp dport 8443 accept",
		"ip saddr { 192.0.2.1, 192.0.2.9 } accept",
		"ip saddr != 192.0.2.1 accept",
		"ip saddr & 255.255.255.0 == 192.0.2.0 accept",
		"ip saddr vmap { 192.0.2.9 : accept }",
		"ip saddr . tcp dport { 192.0.2.9 . 8443 } accept",
		"ip saddr . tcp dport { 192.0.2.0/24 . 8000-9000 } accept",
		"ip daddr 192.0.2.1 accept",
		"meta mark 0 accept",
		"tcp dport 8443 limit rate 100/second accept",
		"tcp option maxseg size 1-65535 accept",
		"ip ttl 64 accept",
		"numgen inc mod 3 < 2 accept",
		"ct count 5 accept",
		"ether type ip accept",
	} {
		p.load(t, `flush ruleset; table ip filter { chain input { type filter hook input priority 0; policy drop; `+rule+`; } }`)
		if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 0 {
			t.Errorf("%s: false alarm: %v", rule, found)
		}
	}
	// The other way round they could let the packet pass.
	for _, rule := range []string{"ip saddr 192.0.2.9 drop", "meta mark 7 drop", "limit rate over 1/second drop", "ct count over 100 drop"} {
		p.load(t, `flush ruleset; table ip filter { chain input { type filter hook input priority 0; `+rule+`; } }`)
		if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 0 {
			t.Errorf("%s: false alarm: %v", rule, found)
		}
	}
	// A translator sends it elsewhere.
	p.load(t, `flush ruleset; table ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 8443 redirect to :22; } }
		table ip filter { chain input { type filter hook input priority 0; tcp dport 8443 drop; } }`)
	if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 0 {
		t.Errorf("a redirection: false alarm: %v", found)
	}
}

func TestOneVersionOfIP(t *testing.T) {
	for family, over := range map[string]string{"ip": "IPv4", "ip6": "IPv6"} {
		p, f := newPair(t), &firewall.Firewall{}
		p.load(t, `table `+family+` t { chain c { type filter hook input priority 0; tcp dport 8443 reject; } }`)
		for listen, other := range map[string]string{"::": "", "0.0.0.0": "IPv6", hostV4: "IPv6", hostV6: "IPv4", "127.0.0.1": over, "::1": over} {
			found := p.blocks(f, "tcp", listen)
			if blocked := other != over; blocked != (len(found) == 1) {
				t.Errorf("%s: listening on %s: %v", family, listen, found)
			}
			if listen == "::" && (len(found) != 1 || found[0].Over != over || !strings.Contains(found[0].String(), over)) {
				t.Errorf("%s: it is not said that this is about %s: %v", family, over, found)
			}
		}
		if p.reaches(hostV4, 5*time.Second) != (family == "ip6") || p.reaches(hostV6, 5*time.Second) != (family == "ip") {
			t.Errorf("%s: the kernel sees it otherwise", family)
		}
	}
}

// A server that listens on the inside is asked for there.
func TestTheLinkOfTheAddress(t *testing.T) {
	p, f := newPair(t), &firewall.Firewall{}
	p.load(t, `table inet f { chain c { type filter hook input priority 0; policy drop; ct state established accept; iifname lan0 accept; } }`)
	if found := p.blocks(f, "tcp", hostLAN); len(found) != 0 {
		t.Errorf("false alarm: %v", found)
	}
	if !p.reaches(hostLAN, 5*time.Second) {
		t.Error("the kernel sees it otherwise")
	}
	if found := p.blocks(f, "tcp", hostV4); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

func TestDatagrams(t *testing.T) {
	p, f := newPair(t), &firewall.Firewall{}
	p.load(t, `table inet f { chain c { type filter hook input priority 0; policy drop; tcp dport 8443 accept; udp dport 53 accept; } }`)
	found := p.blocks(f, "udp", "::")
	if len(found) != 1 || found[0].Open[0] != "nft insert rule inet f c udp dport 8443 accept" {
		t.Fatalf("found %v", found)
	}
	p.host.Run(t, "", "sh", "-c", found[0].Open[0])
	if found := p.blocks(f, "udp", "::"); len(found) != 0 {
		t.Errorf("it is open, and this is said: %v", found)
	}
}

// Whoever may not see the rules says nothing about them.
func TestWithoutPermission(t *testing.T) {
	p := newPair(t)
	p.load(t, `table inet f { chain c { type filter hook input priority 0; policy drop; } }`)
	p.withoutCapabilities(t, func() {
		if found := new(firewall.Firewall).Blocks("tcp", netip.IPv6Unspecified(), port); len(found) != 0 {
			t.Errorf("found %v", found)
		}
	})
}

// Among many rules the one that counts is found, and found again.
func TestManyRules(t *testing.T) {
	p, f := newPair(t), &firewall.Firewall{}
	p.load(t, manyRules(300, 5_000))
	for range 3 {
		if found := p.blocks(f, "tcp", "::"); len(found) != 1 {
			t.Errorf("found %v", found)
		}
	}
}

// manyRules block our port after so many rules about other things, and a list
// of so many addresses.
func manyRules(rules, addresses int) string {
	var b strings.Builder
	b.WriteString("table inet f { set bad { type ipv4_addr; elements = { ")
	for i := range addresses {
		fmt.Fprintf(&b, "198.%d.%d.%d, ", 18+i/62_500, i/250%250, i%250)
	}
	b.WriteString("} }\nchain c { type filter hook input priority 0; policy drop; ip saddr @bad drop\n")
	for i := range rules {
		fmt.Fprintf(&b, "ip saddr 203.0.113.%d tcp dport %d accept\n", i%250, 10_000+i)
	}
	b.WriteString("} }")
	return b.String()
}

// BenchmarkBlocks is what a status costs for each server, once the rules have
// been read, and when they have changed.
func BenchmarkBlocks(b *testing.B) {
	p := newPair(b)
	p.load(b, manyRules(2_000, 50_000))
	known := &firewall.Firewall{}
	for name, f := range map[string]func() *firewall.Firewall{
		"known":   func() *firewall.Firewall { return known },
		"changed": func() *firewall.Firewall { return &firewall.Firewall{} },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.blocks(f(), "tcp", "::")
			}
		})
	}
}
