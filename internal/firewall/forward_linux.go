package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// webPort stands for what clients want of the internet: a firewall that does
// not even let that through blocks them.
const webPort = 443

// ForwardBlocks returns what blocks packets that this host forwards from a
// device to its default route, or the answers to them. Addresses are those of
// the device: they tell which versions of IP its clients speak. Without the
// right to see the rules (CAP_NET_ADMIN) it returns nothing.
func (f *Firewall) ForwardBlocks(device string, addresses []netip.Prefix) []Block {
	var blocks []forwardBlock
	versions := 0
	f.look(func(rules *ruleset) {
		for _, p := range forwarded(device, addresses) {
			if p.state == stateNew {
				versions++
			}
			for _, found := range rules.drops(p) {
				blocks = add(blocks, found.forward(rules, device))
			}
		}
	})
	out := make([]Block, 0, len(blocks))
	for _, b := range blocks {
		if versions == 2 && len(b.over) == 1 {
			b.Over = b.over[0]
		}
		if b.By == byDocker {
			b.Why = whyDocker
			if !slices.Contains(b.over, "IPv6") {
				b.Why += whyDocker4
			}
		}
		out = append(out, b.Block)
	}
	return out
}

// forwarded returns, for each version of IP, the first packet of a connection
// that a client makes, and the answer to it.
func forwarded(device string, tunnel []netip.Prefix) []packet {
	links := addresses()
	var out []packet
	for _, v6 := range []bool{false, true} {
		has := slices.ContainsFunc(tunnel, func(a netip.Prefix) bool { return a.Addr().Is6() == v6 })
		outside := defaultLink(v6)
		if !has || outside == "" || outside == device {
			continue
		}
		there := packet{
			endpoint: endpoint{network: "tcp", port: webPort}, v6: v6, l4: unix.IPPROTO_TCP, sport: clientPort,
			flags: flagSYN, state: stateNew,
			link: device, index: indexOf(links, device), out: outside, outIndex: indexOf(links, outside),
		}
		back := there
		back.port, back.sport, back.flags, back.state = there.sport, there.port, flagSYN|flagACK, stateEstablished
		back.link, back.index, back.out, back.outIndex = there.out, there.outIndex, there.link, there.index
		there.headers()
		back.headers()
		out = append(out, there, back)
	}
	return out
}

// passes reports whether the packet comes by a hook.
func (p packet) passes(hook uint32) bool {
	switch hook {
	case unix.NF_INET_LOCAL_IN:
		return p.out == ""
	case unix.NF_INET_FORWARD:
		return p.out != ""
	}
	return true
}

const byDocker = "Docker"

// What makes Docker do so. Of IPv4 it drops what it does not know if it was
// itself that had to switch forwarding on. Of IPv6 there is no such advice: a
// host that forwards from the beginning gets no route from its router unless
// more is changed, and old engines drop all the same.
const (
	whyDocker  = "it forwards nothing but its own"
	whyDocker4 = ", unless net.ipv4.ip_forward=1 is set before it starts, as in /etc/sysctl.d"
)

type forwardBlock struct {
	Block
	over []string // the versions of IP
}

// add joins a block with those of the same firewall.
func add(blocks []forwardBlock, b forwardBlock) []forwardBlock {
	for i := range blocks {
		if o := &blocks[i]; o.By == b.By {
			for _, command := range b.Open {
				if !slices.Contains(o.Open, command) {
					o.Open = append(o.Open, command)
				}
			}
			if !slices.Contains(o.over, b.over[0]) {
				o.over = append(o.over, b.over[0])
			}
			return blocks
		}
	}
	return append(blocks, b)
}

// forward says who does not let the packet through, and what does.
func (f finding) forward(rules *ruleset, device string) forwardBlock {
	b := forwardBlock{Block: Block{Device: device}, over: []string{"IPv4"}}
	if f.packet.v6 {
		b.over = []string{"IPv6"}
	}
	switch table, family := f.base.table, familyName(f.base.family); {
	case table == "firewalld", f.entered("FORWARD_IN_ZONES"), f.entered("FORWARD_POLICIES"):
		b.By, b.Lasts, b.Why = "firewalld", true, "it forwards nothing from this device's zone"
		command := "firewall-cmd --zone=trusted --change-interface=" + device
		b.Open = []string{command, command + " --permanent"}
	case f.entered("ufw-user-forward"), f.entered("ufw6-user-forward"):
		b.By, b.Lasts, b.Why = "ufw", true, "it forwards nothing that no rule of its allows"
		b.Open = []string{"ufw route allow in on " + device}
		if strings.HasSuffix(f.in, "-user-forward") {
			b.Why = "a rule of its denies it"
			b.Open = []string{"ufw route prepend allow in on " + device}
		}
	case f.iptablesForward(rules, &b.Block, device):
	default:
		b.By = fmt.Sprintf("nftables, chain %s of table %s %s", f.base.name, family, table)
		where := fmt.Sprintf("%s %s %s", family, table, f.base.name)
		in, out, answers, ok := f.between(device)
		switch what := "iifname " + in; {
		case !ok:
			b.See = "nft list chain " + where
		case answers:
			if out != "" {
				what = "oifname " + out
			}
			b.Open = []string{"nft insert rule " + where + " " + what + " ct state established,related accept"}
		default:
			b.Open = []string{"nft insert rule " + where + " " + what + " accept"}
		}
	}
	return b
}

// between tells the packet by the link that it comes by, or the one that it
// leaves by, once that is known, and by whether it is an answer. It is false
// if the chain sees neither what it leaves by, nor that it is an answer.
func (f finding) between(device string) (in, out string, answers, ok bool) {
	switch {
	case f.packet.state == stateNew:
		return device, "", false, true
	case f.base.hook == unix.NF_INET_FORWARD:
		return "", device, true, true
	}
	return f.packet.link, "", true, !f.base.early()
}

func (f finding) iptablesForward(rules *ruleset, b *Block, device string) bool {
	table := f.base.table
	if f.base.family == unix.NFPROTO_INET || !slices.Contains(iptablesTables, table) || f.base.name != strings.ToUpper(f.base.name) {
		return false
	}
	program, ok := program(f.packet.v6, f.base.legacy)
	if !ok {
		return false
	}
	b.By = "iptables"
	if table != "filter" {
		b.By += ", table " + table
		program += " -t " + table
	}
	if f.policy && rules.beside(f.base, "DOCKER") != nil {
		b.By = byDocker // who else would leave it at a policy
	}
	chain := f.base.name
	if f.entered("DOCKER-USER") {
		chain = "DOCKER-USER" // which Docker leaves to people, and sees first; old ones not of IPv6
	}
	in, out, answers, ok := f.between(device)
	if !ok {
		b.See = program + " -S"
		return true
	}
	what := "-i " + in
	if out != "" {
		what = "-o " + out
	}
	if answers {
		what += " -m conntrack --ctstate ESTABLISHED,RELATED"
	}
	b.Open = []string{fmt.Sprintf("%s -I %s %s -j ACCEPT", program, chain, what)}
	return true
}

func familyName(family byte) string {
	return map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}[family]
}
