package firewall

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// advise says who keeps strangers out, and how to let them in: one block for
// each firewall, whether it is found over IPv4, over IPv6 or both.
func advise(e endpoint, found []finding) []Block {
	var out []Block
	over := map[string][]string{}
	for _, f := range found {
		b := f.block(e)
		version := "IPv4"
		if f.packet.v6 {
			version = "IPv6"
		}
		over[b.By] = append(over[b.By], version)
		at := slices.IndexFunc(out, func(o Block) bool { return o.By == b.By })
		if at < 0 {
			out = append(out, b)
			continue
		}
		for _, command := range b.Open {
			if !slices.Contains(out[at].Open, command) {
				out[at].Open = append(out[at].Open, command)
			}
		}
	}
	both := len(packets(e)) == 2
	for i := range out {
		vs := over[out[i].By]
		slices.Sort(vs)
		if vs = slices.Compact(vs); both && len(vs) == 1 {
			out[i].Over = vs[0]
		}
	}
	return out
}

func (f finding) block(e endpoint) Block {
	b := Block{Network: e.network, Port: e.port}
	port := fmt.Sprintf("%d/%s", e.port, e.network)
	switch {
	case f.base.table == "firewalld", f.entered("INPUT_ZONES"):
		f.firewalld(&b, port)
	case f.entered("ufw-user-input"), f.entered("ufw6-user-input"):
		b.By, b.Lasts = "ufw", true
		b.Open = []string{"ufw allow " + port}
		if strings.HasSuffix(f.in, "-user-input") {
			// A rule of a person's denies it. This one has to come before; if
			// they are of the same port, ufw puts it in the other's place, but
			// not by the first of these commands.
			b.Open = append([]string{"ufw prepend allow " + port}, b.Open...)
		}
	case f.iptables(&b, e):
	default:
		family := familyName(f.base.family)
		b.By = fmt.Sprintf("nftables, chain %s of table %s %s", f.base.name, family, f.base.table)
		b.Open = []string{fmt.Sprintf("nft insert rule %s %s %s %s dport %d accept", family, f.base.table, f.base.name, e.network, e.port)}
	}
	return b
}

// firewalld opens the port at once and for good. A reload would do as well,
// but forgets what was set up at run time, such as other interfaces' zones.
func (f finding) firewalld(b *Block, port string) {
	b.By, b.Lasts = "firewalld", true
	option, zone := "", f.zone()
	if zone != "" {
		b.By += ", zone " + zone
		option = " --zone=" + zone
	}
	for _, own := range []string{"_pre", "_deny", "_log"} {
		if strings.HasSuffix(f.in, own) { // before the rules that open ports
			b.See = "firewall-cmd" + option + " --list-all"
			return
		}
	}
	command := "firewall-cmd" + option + " --add-port=" + port
	b.Open = []string{command, command + " --permanent"}
}

// zone returns the zone that the packet belongs to, if there is no doubt.
func (f finding) zone() string {
	var zones []string
	for _, name := range f.passed {
		zone, ok := strings.CutPrefix(strings.TrimPrefix(name, "filter_"), "IN_")
		if !ok || strings.HasPrefix(zone, "policy_") {
			continue
		}
		for _, part := range []string{"_pre", "_log", "_deny", "_allow", "_post"} {
			zone = strings.TrimSuffix(zone, part)
		}
		if !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	if len(zones) == 1 {
		return zones[0]
	}
	return ""
}

// iptables answers if the chain is one that iptables makes, and is at hand to
// change.
func (f finding) iptables(b *Block, e endpoint) bool {
	table := f.base.table
	if f.base.family == unix.NFPROTO_INET || !slices.Contains(iptablesTables, table) {
		return false
	}
	program, ok := program(f.packet.v6, f.base.legacy)
	if !ok || f.base.name != strings.ToUpper(f.base.name) {
		return false
	}
	b.By = "iptables"
	option := ""
	if table != "filter" {
		b.By += ", table " + table
		option = " -t " + table
	}
	b.Open = []string{fmt.Sprintf("%s%s -I %s -p %s --dport %d -j ACCEPT", program, option, f.base.name, e.network, e.port)}
	return true
}

// program returns the name under which a backend of iptables is found. Before
// there were two of them, it was the legacy one.
func program(v6, legacy bool) (string, bool) {
	name, backend := "iptables", "nft"
	if v6 {
		name = "ip6tables"
	}
	if legacy {
		backend = "legacy"
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin"} {
		target, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil && strings.Contains(filepath.Base(target), "nft") != legacy {
			return name, true
		}
		if _, err := os.Stat(filepath.Join(dir, name+"-"+backend)); err == nil {
			return name + "-" + backend, true
		}
	}
	return name + "-legacy", legacy // nothing else can change its rules
}
