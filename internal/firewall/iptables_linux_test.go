package firewall_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"vpn/internal/firewall"
	"vpn/internal/network/networktest"
)

// What iptables calls matches and targets reaches the kernel as C structures,
// by nf_tables or, from its legacy backend, by itself.
func TestIptables(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) { testIptables(t, backend) })
	}
}

// needBackend is needProgram for one of iptables; newer kernels may come
// without the legacy one.
func needBackend(t testing.TB, backend string) {
	t.Helper()
	needProgram(t, "iptables-"+backend)
	out, err := networktest.NewHost(t).Try("", "iptables-"+backend, "-S")
	if err != nil && strings.Contains(out+err.Error(), "can't initialize iptables table") {
		t.Skipf("this kernel has no %s iptables: %s", backend, out)
	}
}

// called returns commands as somebody types them who has this backend beside
// the one of nf_tables.
func called(backend, commands string) string {
	if backend == "nft" {
		return commands
	}
	return strings.NewReplacer("iptables ", "iptables-legacy ", "ip6tables ", "ip6tables-legacy ").Replace(commands)
}

func testIptables(t *testing.T, backend string) {
	needBackend(t, backend)
	open := called(backend, "iptables -I INPUT -p tcp --dport 8443 -j ACCEPT && ip6tables -I INPUT -p tcp --dport 8443 -j ACCEPT")
	for name, c := range map[string]struct {
		rules string
		open  string
	}{
		"policy": {`:INPUT DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -s 127.0.0.1/32 -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 3/min -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443,8000:8442 -m comment --comment "web" -j ACCEPT
-A INPUT -m state --state NEW -p udp -j ACCEPT
`, open},
		"reject at the end": {`:INPUT ACCEPT
:services -
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m addrtype ! --dst-type LOCAL -j ACCEPT
-A INPUT -j services
-A INPUT -m limit --limit 3/min -j LOG --log-prefix "no "
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
-A services -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
-A services -p tcp -m tcp --dport 8443 ! --syn -j ACCEPT
`, open},
		"where from and to": {`:INPUT DROP
:to -
:far -
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -i wa+ -g to
-A INPUT -j ACCEPT
-A to ! -i wan0 -j ACCEPT
-A to -i lan0 -p tcp -j ACCEPT
-A to ! -p tcp -j ACCEPT
-A to -p tcp -j far
-A to -p tcp -m tcp --dport 22
-A far -p tcp -m tcp --dport 22 -j ACCEPT
-A far -p tcp -m tcp --dport 8443 -j RETURN
-A far -j ACCEPT
`, open},
		"multiport": {`:INPUT DROP
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,8440:8450 -m conntrack --ctstate NEW -j ACCEPT
`, ""},
		"port and state": {`:INPUT DROP
-A INPUT -m state --state ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 8443 --tcp-flags SYN,ACK SYN -m state --state NEW -m addrtype --dst-type LOCAL -j ACCEPT
`, ""},
		"who may": {`:INPUT DROP
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -m mark --mark 0 -j ACCEPT
`, ""},
		"to user space": {`:INPUT DROP
-A INPUT -p tcp -j NFQUEUE --queue-num 0 --queue-bypass
`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, f := newPair(t), &firewall.Firewall{}
			for _, program := range []string{"iptables-" + backend + "-restore", "ip6tables-" + backend + "-restore"} {
				rules := c.rules
				if strings.HasPrefix(program, "ip6") {
					rules = strings.ReplaceAll(rules, "127.0.0.1/32", "::1/128")
				}
				p.host.Run(t, "*filter\n"+rules+"COMMIT\n", program)
			}
			found := p.blocks(f, "tcp", "::")
			if c.open == "" {
				if len(found) != 0 {
					t.Errorf("false alarm: %v", found)
				}
				p.wantOpen(t, true)
				return
			}
			if len(found) != 1 || found[0].By != "iptables" || strings.Join(found[0].Open, " && ") != c.open {
				t.Fatalf("found %v, want: %s", found, c.open)
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

// A table other than filter is named.
func TestIptablesRaw(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		needBackend(t, backend)
		p, f := newPair(t), &firewall.Firewall{}
		// Connection tracking comes later.
		p.host.Run(t, "", "iptables-"+backend, "-t", "raw", "-A", "PREROUTING", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
		if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 0 || !p.reaches(hostV4, 5*time.Second) {
			t.Errorf("what is not known yet: %v", found)
		}
		p.host.Run(t, "", "iptables-"+backend, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "8000:9000", "-j", "DROP")
		found := p.blocks(f, "tcp", "0.0.0.0")
		open := called(backend, "iptables -t raw -I PREROUTING -p tcp --dport 8443 -j ACCEPT")
		if len(found) != 1 || found[0].Open[0] != open || found[0].By != "iptables, table raw" {
			t.Fatalf("found %v, want: %s", found, open)
		}
		if p.reaches(hostV4, 200*time.Millisecond) {
			t.Error("the kernel sees it otherwise")
		}
		p.host.Run(t, "", "sh", "-c", open)
		if !p.reaches(hostV4, 5*time.Second) {
			t.Error("the command does not open the port")
		}
	}
}

// Both backends have their say, whoever came first; looking makes no tables.
func TestIptablesTwice(t *testing.T) {
	needBackend(t, "legacy")
	p, f := newPair(t), &firewall.Firewall{}
	p.host.Run(t, "", "iptables-nft", "-P", "INPUT", "DROP")
	if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 1 {
		t.Errorf("found %v", found)
	}
	if tables := p.host.Run(t, "", "cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"); strings.TrimSpace(tables) != "" {
		t.Errorf("looking has made the tables %q", tables)
	}
	p.host.Run(t, "", "iptables-legacy", "-A", "INPUT", "-p", "tcp", "-j", "DROP")
	p.host.Run(t, "", "iptables-nft", "-P", "INPUT", "ACCEPT")
	found := p.blocks(f, "tcp", "0.0.0.0")
	if len(found) != 1 || !strings.HasPrefix(found[0].Open[0], "iptables-legacy ") {
		t.Errorf("found %v", found)
	}
	if p.reaches(hostV4, 200*time.Millisecond) {
		t.Error("the kernel sees it otherwise")
	}
	p.host.Run(t, "", "iptables-legacy", "-F", "INPUT") // of which no number tells
	if found := p.blocks(f, "tcp", "0.0.0.0"); len(found) != 0 {
		t.Errorf("false alarm: %v", found)
	}
}

// needProgram skips a test unless a program is installed; in CI it fails.
func needProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		networktest.NeedRoot(t)
		if _, err := exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Fatalf("%v\nhint: make deps", err)
		}
	}
}
