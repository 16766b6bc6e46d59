package network_test

import (
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/network"
	"vpn/internal/vpn"
)

func TestTaken(t *testing.T) {
	uses := []network.Use{
		{Prefix: netip.MustParsePrefix("10.7.0.0/16"), By: "interface eth1"},
		{Prefix: netip.MustParsePrefix("10.200.3.128/25"), By: "server wg"},
		{Prefix: netip.MustParsePrefix("fd12:3456:789a::/48"), By: "a route by tun0"},
	}
	for subnet, by := range map[string]string{
		"10.7.3.0/24":           "interface eth1", // inside
		"10.0.0.0/8":            "interface eth1", // around
		"10.7.255.255/32":       "interface eth1",
		"10.200.3.0/24":         "server wg",
		"10.200.3.0/25":         "", // beside
		"10.8.0.0/16":           "",
		"fd12:3456:789a:1::/64": "a route by tun0",
		"fd12:3456:789b::/64":   "",
		"192.168.0.0/16":        "",
	} {
		err := network.Taken(netip.MustParsePrefix(subnet), uses)
		switch {
		case by == "" && err != nil:
			t.Errorf("%s: %v", subnet, err)
		case by != "" && (vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), subnet+" is taken by "+by)):
			t.Errorf("%s gives %v, want: taken by %s", subnet, err, by)
		}
	}
}

func TestPickSubnet4(t *testing.T) {
	ten := netip.MustParsePrefix("10.0.0.0/8")
	seen := map[netip.Prefix]bool{}
	for range 100 {
		p, err := network.PickSubnet4(nil)
		if err != nil || p.Bits() != 24 || p != p.Masked() || !ten.Contains(p.Addr()) {
			t.Fatalf("picked %s, %v", p, err)
		}
		seen[p] = true
	}
	if len(seen) < 50 {
		t.Errorf("of 100 subnets only %d are different", len(seen))
	}
	// All but one of the very crowded end is taken: it is found all the same.
	var uses []network.Use
	for bits := 9; bits <= 24; bits++ { // 10.0.0.0/24 is what these leave
		other := netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), bits).Addr().As4()
		other[(bits-1)/8] |= 0x80 >> ((bits - 1) % 8)
		uses = append(uses, network.Use{Prefix: netip.PrefixFrom(netip.AddrFrom4(other), bits), By: "somebody"})
	}
	if p, err := network.PickSubnet4(uses); err != nil || p.String() != "10.0.0.0/24" {
		t.Errorf("of one free subnet it picks %s, %v", p, err)
	}
	uses = append(uses, network.Use{Prefix: ten, By: "a route by eth0"})
	if p, err := network.PickSubnet4(uses); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("of none it picks %s, %v", p, err)
	}
}

func TestPickSubnet6(t *testing.T) {
	ula := netip.MustParsePrefix("fd00::/8")
	seen := map[netip.Prefix]bool{}
	for range 100 {
		p := network.PickSubnet6(nil)
		if p.Bits() != 64 || p != p.Masked() || !ula.Contains(p.Addr()) {
			t.Fatalf("picked %s", p)
		}
		seen[p] = true
	}
	if len(seen) != 100 {
		t.Errorf("of 100 subnets only %d are different", len(seen))
	}
	if p := network.PickSubnet6([]network.Use{{Prefix: netip.MustParsePrefix("fd00::/9")}}); netip.MustParsePrefix("fd00::/9").Overlaps(p) {
		t.Errorf("picked %s, which is taken", p)
	}
}

func TestPrivate(t *testing.T) {
	for subnet, want := range map[string]bool{
		"10.7.0.0/16": true, "172.31.0.0/24": true, "192.168.4.0/24": true, "100.64.0.0/10": true, "fd12::/64": true,
		"8.8.8.0/24": false, "172.32.0.0/24": false, "172.0.0.0/8": false, "2001:db8::/64": false,
	} {
		if got := network.Private(netip.MustParsePrefix(subnet)); got != want {
			t.Errorf("%s is private: %v", subnet, got)
		}
	}
}
