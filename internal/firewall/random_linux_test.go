package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vpn/internal/firewall"
)

// conditions that are decided for everybody, and those that are not.
var (
	conditions = []string{
		"", "tcp dport 8443", "tcp dport != 8443", "tcp dport 8000-8500", "tcp dport != 8000-8500", "tcp dport { 22, 8443 }",
		"tcp dport { 22, 80-90, 8444-9000 }", "tcp dport != { 22, 8443 }", "tcp dport @some", "tcp dport != @some", "tcp dport @gaps",
		"tcp dport < 8443", "tcp dport <= 8443", "tcp dport > 8443", "tcp dport & 1 == 1", "th dport 8443", "@th,16,16 8443",
		"ct state new", "ct state established,related", "ct state { new, invalid }", "ct state != new", "ct status dnat", "ct direction original",
		"iifname wan0", "iifname != wan0", "iifname \"w*\"", "iifname { lan0, lo }", "iif lo", "iif wan0", "oifname wan0",
		"meta l4proto udp", "meta l4proto { tcp, udp }", "ip protocol tcp", "meta nfproto ipv6", "meta nfproto ipv4", "ip6 nexthdr tcp",
		"tcp flags syn", "tcp flags & (syn | ack) == syn", "tcp flags ack", "tcp flags ! ack", "fib daddr type local", "fib daddr type multicast",
		"meta pkttype host", "meta pkttype broadcast", "ip daddr 192.0.2.1", "ip daddr != 192.0.2.1", "ip daddr 192.0.2.0/24", "ip daddr . tcp dport { 192.0.2.1 . 8443 }",
		"ip frag-off & 0x1fff == 0", "ip version 4", "ip saddr 127.0.0.0/8", "counter", "udp dport 8443", "icmp type echo-request",
	}
	doubtful = []string{"ip saddr 192.0.2.9", "ip saddr != 192.0.2.9", "meta mark 0", "ip ttl 64", "tcp option mss exists", "limit rate 1000/second", "ip saddr . tcp dport { 192.0.2.9 . 8443, 192.0.2.9 . 22 }"}
)

// Rules that nobody would write: what is said has to be what the kernel does
// about a connection's first packet; the others pass. Where everything is certain, it says the one or the other; with doubtful
// conditions it may be silent, but never wrong.
func TestRandomRules(t *testing.T) {
	wantKernel(t, uint64(time.Now().UnixNano()), 150, randomRules, "nft", "-f", "-") //nolint:gosec // any will do
}

// The same by iptables, whose rules are structures of C.
func TestRandomIptables(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			needBackend(t, backend)
			wantKernel(t, 1, 100, randomIptables, "iptables-"+backend+"-restore")
		})
	}
}

// wantKernel compares so many random sets of rules, which a program loads.
func wantKernel(t *testing.T, seed uint64, rounds int, random func(r *rand.Rand, sure bool) string, program string, args ...string) {
	t.Helper()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	p, f := newPair(t), &firewall.Firewall{}
	blocked, silent, refused := 0, 0, 0
	for n := 0; n < rounds; {
		if refused > 5*rounds {
			t.Fatalf("%s takes next to none of these rules", program)
		}
		sure := r.IntN(3) > 0
		rules := random(r, sure)
		if _, err := p.host.Try(rules, program, args...); err != nil { // tcp and udp at once, and the like
			refused++
			continue
		}
		n++
		found := p.blocks(f, "tcp", hostV4)
		reached := p.reaches(hostV4, 5*time.Second) // a reset comes at once
		if len(found) > 0 {
			blocked++
		}
		if len(found) > 0 && reached {
			t.Fatalf("false alarm: %v\n%s", found, rules)
		}
		if len(found) == 0 && !reached {
			if sure {
				t.Fatalf("a block is not found:\n%s", rules)
			}
			silent++
		}
	}
	t.Logf("%d of %d blocked, and %d more that nobody can be sure of", blocked, rounds, silent)
	if blocked < rounds/20 || blocked > rounds*9/10 {
		t.Errorf("these rules are too simple: %d of %d blocked", blocked, rounds)
	}
}

func randomRules(r *rand.Rand, sure bool) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	b.WriteString("flush ruleset\ntable inet t {\nset some { type inet_service; elements = { 22, 443, 8443 }\n}\n")
	b.WriteString("set gaps { type inet_service; flags interval; elements = { 1-8442, 8444-65535 }\n}\n")
	b.WriteString("chain no { meta l4proto tcp reject with tcp reset\n}\n")
	const chains = 4
	for n := chains - 1; n >= 0; n-- { // those that are jumped to come first
		fmt.Fprintf(&b, "chain c%d {\n", n)
		if n == 0 {
			fmt.Fprintf(&b, "type filter hook %s priority %d; policy accept;\nct state established accept\n", pick("input", "input", "prerouting"), r.IntN(20)-10)
		}
		for range 1 + r.IntN(5) {
			for range r.IntN(3) {
				if c := pick(conditions...); sure || r.IntN(3) > 0 {
					b.WriteString(c + " ")
				} else {
					b.WriteString(pick(doubtful...) + " ")
				}
			}
			verdicts := []string{"accept", "drop", "return", "continue", "log"}
			if n+1 < chains {
				to := fmt.Sprintf("c%d", n+1+r.IntN(chains-n-1))
				verdicts = append(verdicts, "jump "+to, "jump "+to, "goto "+to, "tcp dport vmap { 8443 : jump "+to+", 22 : drop }",
					"ct state vmap { new : goto "+to+", established : accept }", "tcp dport vmap { 1-8000 : drop, 8001-9000 : "+pick("return", "accept", "drop", "continue")+" }")
			}
			b.WriteString(strings.ReplaceAll(pick(verdicts...), "drop", "meta l4proto tcp reject with tcp reset") + "\n")
		}
		b.WriteString("}\n")
	}
	return strings.ReplaceAll(b.String()+"}\n", ": meta l4proto tcp reject with tcp reset", ": goto no")
}

// What iptables asks, of the protocol and of the rest.
var (
	protocols = []string{
		"", "-p tcp", "! -p tcp", "-p udp", "-p icmp", "-p tcp -m tcp --dport 8443", "-p tcp -m tcp ! --dport 8443", "-p tcp -m tcp --dport 8000:9000",
		"-p tcp -m tcp ! --dport 8000:9000", "-p tcp -m tcp --sport 1024:65535", "-p tcp -m tcp --sport 1:1000", "-p tcp -m tcp --syn", "-p tcp -m tcp ! --syn",
		"-p tcp -m tcp --tcp-flags SYN,ACK SYN", "-p tcp -m tcp --tcp-flags ACK ACK", "-p tcp -m multiport --dports 22,8000:9000", "-p tcp -m multiport ! --dports 22,8443",
		"-p tcp -m multiport --sports 22,80", "-p udp -m udp --dport 8443",
	}
	matches = []string{
		"", "-i wan0", "! -i wan0", "-i wa+", "! -i wa+", "-i lan0", "-i +", "-d 192.0.2.1", "! -d 192.0.2.1", "-d 192.0.2.0/24", "! -d 192.0.0.0/16", "-d 10.0.0.0/8",
		"-s 127.0.0.0/8", "! -s 127.0.0.1", "-f", "! -f", "-m conntrack --ctstate NEW", "-m conntrack ! --ctstate NEW", "-m conntrack --ctstate RELATED,INVALID",
		"-m state --state NEW", "-m state --state ESTABLISHED", "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m pkttype --pkt-type unicast",
		"-m pkttype --pkt-type broadcast", "-m comment --comment x",
	}
	doubts = []string{"-s 192.0.2.9", "! -s 192.0.2.9", "-s 192.0.2.0/24", "-m mark --mark 0", "-m ttl --ttl-eq 64", "-m limit --limit 1000/s", "-m conntrack --ctorigsrc 192.0.2.9"}
)

func randomIptables(r *rand.Rand, sure bool) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	const chains = 4
	b.WriteString("*filter\n:INPUT ACCEPT\n:no -\n:c1 -\n:c2 -\n:c3 -\n-A no -p tcp -j REJECT --reject-with tcp-reset\n")
	b.WriteString("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n")
	for n := range chains {
		name := "INPUT"
		if n > 0 {
			name = fmt.Sprintf("c%d", n)
		}
		for range 1 + r.IntN(5) {
			b.WriteString("-A " + name + " " + pick(protocols...))
			for range r.IntN(3) {
				if c := pick(matches...); sure || r.IntN(3) > 0 {
					b.WriteString(" " + c)
				} else {
					b.WriteString(" " + pick(doubts...))
				}
			}
			targets := []string{"-j ACCEPT", "-j no", "-g no", "-j RETURN", ""}
			if n+1 < chains {
				to := fmt.Sprintf("c%d", n+1+r.IntN(chains-n-1))
				targets = append(targets, "-j "+to, "-j "+to, "-g "+to)
			}
			b.WriteString(" " + pick(targets...) + "\n")
		}
	}
	return b.String() + "COMMIT\n"
}
