package firewall_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vpn/internal/firewall"
	"vpn/internal/network/networktest"
)

// device stands for that of a tunnel.
const device = "vpn-abcdefghij"

var tunnelAddresses = []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")}

// A path is a client behind a host's device, and a server on the internet.
type path struct {
	pair
	client *networktest.Host
}

func newPath(t testing.TB) path {
	t.Helper()
	p := path{newPair(t), networktest.NewHost(t)}
	p.host.Run(t, fmt.Sprintf(`link add %s address 02:00:00:00:00:03 type veth peer name tun0 address 02:00:00:00:00:04 netns %s
addr add 10.77.0.1/24 dev %[1]s
addr add fd77::1/64 dev %[1]s nodad
link set %[1]s up
neigh add fd77::2 lladdr 02:00:00:00:00:04 dev %[1]s
`, device, p.client.Path()), "ip", "-batch", "-")
	p.client.Run(t, `link set lo up
addr add 10.77.0.2/24 dev tun0
addr add fd77::2/64 dev tun0 nodad
link set tun0 up
neigh add fd77::1 lladdr 02:00:00:00:00:03 dev tun0
route add default via 10.77.0.1
route add default via fd77::1
`, "ip", "-batch", "-")
	p.stranger.Run(t, "route add 10.77.0.0/24 via 192.0.2.1\nroute add fd77::/64 via 2001:db8::1\n", "ip", "-batch", "-")
	p.host.Run(t, "", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
	p.stranger.Accept(t, 443)
	return p
}

// passes reports whether the client gets through to the internet at addr.
func (p path) passes(addr string, wait time.Duration) bool { return p.client.Reaches(addr, 443, wait) }

func (p path) wantThrough(t *testing.T, want bool) {
	t.Helper()
	wait := 5 * time.Second
	if !want {
		wait = 200 * time.Millisecond
	}
	for _, addr := range []string{"192.0.2.9", "2001:db8::9"} {
		if got := p.passes(addr, wait); got != want {
			t.Errorf("the client reaches %s: %v, want %v", addr, got, want)
		}
	}
}

func (p path) forwardBlocks() []firewall.Block {
	var out []firewall.Block
	p.host.Do(func() { out = new(firewall.Firewall).ForwardBlocks(device, tunnelAddresses) })
	return out
}

// What keeps a tunnel's clients from the internet is found, and the commands
// that are named let them through.
func TestForward(t *testing.T) {
	const nothing = ""
	docker := func(program string) string {
		return program + ` -w -N DOCKER && ` + program + ` -w -N DOCKER-USER && ` + program + ` -w -A DOCKER-USER -j RETURN && ` + program + ` -w -A FORWARD -j DOCKER-USER && ` +
			program + ` -w -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && ` + program + ` -w -P FORWARD DROP`
	}
	for name, c := range map[string]struct{ set, by, open string }{
		"none": {`true`, nothing, nothing},
		"docker": {
			docker("iptables-nft") + " && " + docker("ip6tables-nft"), "Docker",
			"iptables -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && iptables -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && " +
				"ip6tables -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && ip6tables -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		},
		"docker that has no chain for people of IPv6": {
			docker("iptables-nft") + " && ip6tables-nft -w -N DOCKER && ip6tables-nft -w -P FORWARD DROP", "Docker",
			"iptables -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && iptables -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && " +
				"ip6tables -I FORWARD -i vpn-abcdefghij -j ACCEPT && ip6tables -I FORWARD -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		},
		"docker, by legacy iptables": {
			docker("iptables-legacy") + " && " + docker("ip6tables-legacy"), "Docker",
			"iptables-legacy -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && iptables-legacy -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && " +
				"ip6tables-legacy -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && ip6tables-legacy -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		},
		"legacy iptables that lets it through": {
			`for i in iptables-legacy ip6tables-legacy; do $i -w -P FORWARD DROP && $i -w -A FORWARD -i vpn-+ -o wan0 -j ACCEPT && $i -w -A FORWARD ! -i vpn-+ -m conntrack --ctstate ESTABLISHED -j ACCEPT; done`, nothing, nothing,
		},
		"people, beside docker": {
			docker("iptables-nft") + " && iptables-nft -w -P FORWARD ACCEPT && iptables-nft -w -A FORWARD -j DROP && ip6tables-nft -w -P FORWARD DROP", "iptables",
			"iptables -I DOCKER-USER -i vpn-abcdefghij -j ACCEPT && iptables -I DOCKER-USER -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && " +
				"ip6tables -I FORWARD -i vpn-abcdefghij -j ACCEPT && ip6tables -I FORWARD -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		},
		"iptables that lets answers through": {
			`for i in iptables-nft ip6tables-nft; do $i -w -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && $i -w -A FORWARD -p tcp --dport 22 -j ACCEPT && $i -w -A FORWARD -j REJECT; done`, "iptables",
			"iptables -I FORWARD -i vpn-abcdefghij -j ACCEPT && ip6tables -I FORWARD -i vpn-abcdefghij -j ACCEPT",
		},
		"nft": {
			`nft 'table inet filter { chain forward { type filter hook forward priority 0; policy drop; iifname "lan0" accept; ct state established oifname "lan0" accept; }; }'`,
			"nftables, chain forward of table inet filter",
			"nft insert rule inet filter forward iifname vpn-abcdefghij accept && nft insert rule inet filter forward oifname vpn-abcdefghij ct state established,related accept",
		},
		"nft, before routing": {
			`nft 'table inet f { chain pre { type filter hook prerouting priority 0; policy drop; iifname "lan0" accept; }; }'`,
			"nftables, chain pre of table inet f",
			"nft insert rule inet f pre iifname vpn-abcdefghij accept && nft insert rule inet f pre iifname wan0 ct state established,related accept",
		},
		"iptables, another table": {
			`iptables-nft -w -t mangle -P FORWARD DROP && ip6tables-nft -w -t mangle -P FORWARD DROP`, "iptables, table mangle",
			"iptables -t mangle -I FORWARD -i vpn-abcdefghij -j ACCEPT && iptables -t mangle -I FORWARD -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && " +
				"ip6tables -t mangle -I FORWARD -i vpn-abcdefghij -j ACCEPT && ip6tables -t mangle -I FORWARD -o vpn-abcdefghij -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		},
		"nft that only takes care of the host": {
			`nft 'table inet filter { chain input { type filter hook input priority 0; policy drop; }; chain forward { type filter hook forward priority 0; policy drop; oifname "wan*" accept; ct state established accept; }; }'`, nothing, nothing,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.set, "iptables-legacy") {
				needBackend(t, "legacy")
			}
			p := newPath(t)
			p.host.Run(t, "", "sh", "-c", c.set)
			found := p.forwardBlocks()
			if c.open == nothing {
				if len(found) != 0 {
					t.Errorf("false alarm: %v", found)
				}
				if !strings.Contains(c.set, "input") {
					p.wantThrough(t, true)
				}
				return
			}
			if len(found) != 1 || found[0].By != c.by || strings.Join(found[0].Open, " && ") != c.open {
				t.Fatalf("found %v, want by %s: %s", found, c.by, c.open)
			}
			if text := found[0].String(); !strings.HasSuffix(text, ": "+c.open) || !strings.Contains(text, device) {
				t.Errorf("a person reads %q", text)
			}
			p.wantThrough(t, false)
			p.host.Run(t, "", "sh", "-c", c.open)
			if found := p.forwardBlocks(); len(found) != 0 {
				t.Errorf("it is open, and this is said: %v", found)
			}
			p.wantThrough(t, true)
		})
	}
}

// Before connection tracking nobody can tell answers from the rest, so what
// lets them in is up to a person.
func TestForwardBeforeTracking(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ set, open, see string }{
		"iptables":        {"iptables-nft -t raw -P PREROUTING DROP", "iptables -t raw -I PREROUTING -i " + device + " -j ACCEPT", "iptables -t raw -S"},
		"legacy iptables": {"iptables-legacy -t raw -P PREROUTING DROP", "iptables-legacy -t raw -I PREROUTING -i " + device + " -j ACCEPT", "iptables-legacy -t raw -S"},
		"nft": {
			"nft 'table inet f { chain c { type filter hook prerouting priority raw; policy drop; meta nfproto ipv6 accept; }; }'",
			"nft insert rule inet f c iifname " + device + " accept", "nft list chain inet f c",
		},
	} {
		if strings.Contains(c.set, "iptables-legacy") {
			needBackend(t, "legacy")
		}
		p := newPath(t)
		p.host.Run(t, "", "sh", "-c", c.set)
		if found := p.forwardBlocks(); len(found) != 1 || strings.Join(found[0].Open, " && ") != c.open || found[0].Over != "IPv4" {
			t.Errorf("%s: found %v, want: %s", name, found, c.open)
		}
		p.host.Run(t, "", "sh", "-c", c.open)
		if found := p.forwardBlocks(); len(found) != 1 || !strings.HasSuffix(found[0].String(), "; see its rules: "+c.see) {
			t.Errorf("%s: found %v, want: %s", name, found, c.see)
		}
		p.host.Run(t, "", "sh", "-c", strings.NewReplacer(" -i "+device, " -i wan0", "iifname "+device, "iifname wan0").Replace(c.open))
		if found := p.forwardBlocks(); len(found) != 0 {
			t.Errorf("%s: false alarm: %v", name, found)
		}
		if !p.passes("192.0.2.9", 5*time.Second) {
			t.Errorf("%s: the kernel sees it otherwise", name)
		}
	}
}

// A firewall of one version of IP says which, and a tunnel without the other
// is not told about it.
func TestForwardOverOneVersion(t *testing.T) {
	p := newPath(t)
	p.host.Run(t, "", "nft", `table ip6 f { chain c { type filter hook forward priority 0; policy drop; }; }`)
	found := p.forwardBlocks()
	if len(found) != 1 || found[0].Over != "IPv6" {
		t.Errorf("found %v", found)
	}
	p.host.Do(func() { found = new(firewall.Firewall).ForwardBlocks(device, tunnelAddresses[:1]) })
	if len(found) != 0 {
		t.Errorf("a tunnel without IPv6: false alarm: %v", found)
	}
}

// ufw lets nothing through that it was not told about, and a rule of somebody's
// has the first word.
func TestForwardByUFW(t *testing.T) {
	needProgram(t, "ufw")
	for name, c := range map[string]struct{ set, open string }{
		"by default": {`true`, "ufw route allow in on " + device},
		"by a rule":  {`ufw route deny from any to any`, "ufw route prepend allow in on " + device},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newPath(t), t.TempDir()
			if out, err := exec.Command("cp", "-a", "/etc/ufw/.", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			ufw := func(command string) {
				t.Helper()
				p.host.Run(t, "", "unshare", "-m", "sh", "-c", "mount --bind "+dir+" /etc/ufw && "+command)
			}
			ufw("ufw --force enable && " + c.set)
			found := p.forwardBlocks()
			if len(found) != 1 || found[0].By != "ufw" || strings.Join(found[0].Open, " && ") != c.open || !found[0].Lasts {
				t.Fatalf("found %v, want: %s", found, c.open)
			}
			p.wantThrough(t, false)
			ufw(c.open)
			if found := p.forwardBlocks(); len(found) != 0 {
				t.Errorf("it is open, and this is said: %v", found)
			}
			p.wantThrough(t, true)
		})
	}
}
