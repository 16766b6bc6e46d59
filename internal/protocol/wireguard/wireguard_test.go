package wireguard_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"vpn/internal/protocol"
	"vpn/internal/protocol/protocoltest"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// Keys that are nobody's.
const (
	public  = "Yp1guOzwnEeRg7b8/0BwopoG7lNXjdN9dJFeHPP+yzs="
	private = "aBq0mUk2YlLB6T6vUG7XZZ2pJzIhkYWnGf4dTCVQWUs="
	secret  = `{"private_key":"mKCzVBi7Zb0sVQyU4T8Yk8kQPqzUR1Oybq0uHqQyXl0=","preshared_key":"vJ0x2mPl6Yv6cZpQq0Qm3yqYk7mC2sQyq3m9m0b6yX8="}`
)

func sample(t *testing.T) protocoltest.Sample {
	t.Helper()
	s, err := wireguard.Protocol{}.Prepare(vpn.Server{
		Name: "main", Protocol: wireguard.Name, Port: 51820,
		Settings: json.RawMessage(`{"subnet":"10.7.0.0/16","subnet6":"fd12:3456:789a::/64"}`),
		Private:  vpn.NewSecret(`{"private_key":"` + private + `"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return protocoltest.Sample{Settings: `{"subnet":"10.7.0.0/16"}`, Server: s, Secret: vpn.NewSecret(secret)}
}

func TestProtocol(t *testing.T) { protocoltest.Run(t, wireguard.Protocol{}, sample(t)) }

func prepare(t *testing.T, settings string) (vpn.Server, error) {
	t.Helper()
	return wireguard.Protocol{}.Prepare(vpn.Server{Name: "main", Protocol: wireguard.Name, Settings: json.RawMessage(settings)})
}

func TestPrepareRefuses(t *testing.T) {
	for settings, hint := range map[string]string{
		`{}`:                        "--subnet 10.7.0.0/16",
		`{"subnet":"10.7.0.1/16"}`:  "without bits set behind the slash",
		`{"subnet":"10.7.0.0/30"}`:  "from /8 to /29",
		`{"subnet":"0.0.0.0/0"}`:    "from /8 to /29",
		`{"subnet":"fd00::/64"}`:    "write it like 10.7.0.0/16",
		`{"subnet":"127.0.0.0/16"}`: "write it like 10.7.0.0/16",
		`{"subnet":"10.7.0.0"}`:     "write it like 10.7.0.0/16",
		`{"subnet":"10.7.0.0/16","subnet6":"10.8.0.0/16"}`:         "fd12:3456:789a::/64",
		`{"subnet":"10.7.0.0/16","subnet6":"fd00::/120"}`:          "from /32 to /112",
		`{"subnet":"10.7.0.0/16","subnet6":"fe80::/64"}`:           "fd12:3456:789a::/64",
		`{"subnet":"10.7.0.0/16","subnet6":"::ffff:10.0.0.0/112"}`: "fd12:3456:789a::/64",
		`{"subnet":"10.7.0.0/16","mtu":"1279"}`:                    "leave it out for 1420",
		`{"subnet":"10.7.0.0/16","mtu":"9000"}`:                    "leave it out for 1420",
		`{"subnet":"10.7.0.0/16","mtu":"01420"}`:                   "leave it out for 1420",
		`{"subnet":"10.7.0.0/16","keepalive":"65536"}`:             "0 is none",
		`{"subnet":"10.7.0.0/16","keepalive":"-1"}`:                "0 is none",
		`{"subnet":"10.7.0.0/16","dns":["dns.example"]}`:           "write it like 1.1.1.1",
		`{"subnet":"10.7.0.0/16","dns":["::"]}`:                    "write it like 1.1.1.1",
		`{"subnet":"10.7.0.0/16","allowed_ips":["everything"]}`:    "write it like 0.0.0.0/0",
		`{"subnet":"10.7.0.0/16","carrier":"kernel"}`:              "auto, tun, userspace",
		`{"subnet":"10.7.0.0/16","public_key":5}`:                  "public_key is text",
	} {
		_, err := prepare(t, settings)
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != vpn.Invalid || !strings.Contains(e.Hint, hint) {
			t.Errorf("%s: %v, hint %q; want one with %q", settings, err, e.Hint, hint)
		}
	}
}

func TestPrepareBringsSettingsIntoOneForm(t *testing.T) {
	s, err := prepare(t, `{"subnet":"10.7.0.0/16","dns":["::ffff:1.1.1.1"],"allowed_ips":["192.0.2.7/24"]}`)
	if err != nil {
		t.Fatal(err)
	}
	set, err := wireguard.ParseSettings(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if set.DNS[0] != "1.1.1.1" || set.AllowedIPs[0] != "192.0.2.0/24" || set.MTU != "1420" || set.Keepalive != "25" || set.Carrier != "auto" {
		t.Errorf("prepared: %+v", set)
	}
	six := netip.MustParsePrefix(set.Subnet6)
	if six.Bits() != 64 || six.Addr().As16()[0] != 0xfd {
		t.Errorf("the IPv6 subnet is %s", six)
	}
	other, err := prepare(t, `{"subnet":"10.7.0.0/16"}`)
	if err != nil || strings.Contains(string(other.Settings), set.Subnet6) {
		t.Errorf("two servers have one IPv6 subnet: %s (%v)", other.Settings, err)
	}
}

func TestAddressesFollowFromSlots(t *testing.T) {
	n := wireguard.Network{Four: netip.MustParsePrefix("10.7.0.0/24"), Six: netip.MustParsePrefix("fd00::/64")}
	if four, six := n.Gateway(); four.String() != "10.7.0.1" || six.String() != "fd00::1" {
		t.Errorf("the server has %s and %s", four, six)
	}
	seen := map[netip.Addr]bool{}
	for slot := range n.Seats() {
		four, six, ok := n.Device(slot)
		if !ok || seen[four] || seen[six] || !n.Four.Contains(four) || !n.Six.Contains(six) {
			t.Fatalf("slot %d has %s and %s", slot, four, six)
		}
		seen[four], seen[six] = true, true
	}
	if four, _, _ := n.Device(n.Seats() - 1); four.String() != "10.7.0.254" {
		t.Errorf("the last device has %s", four)
	}
	if _, _, ok := n.Device(n.Seats()); ok {
		t.Error("there is a device more than addresses")
	}
	for subnet, want := range map[string]uint32{"10.7.0.0/29": 5, "10.7.0.0/16": 65533, "10.0.0.0/8": 1<<24 - 3} {
		n.Four = netip.MustParsePrefix(subnet)
		if got := n.Seats(); got != want {
			t.Errorf("%s has addresses for %d devices, want %d", subnet, got, want)
		}
	}
}

func TestFullServer(t *testing.T) {
	s, err := prepare(t, `{"subnet":"10.7.0.0/29"}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := protocol.Seat(wireguard.Protocol{}, s, 4); err != nil {
		t.Error(err)
	}
	if err := protocol.Seat(wireguard.Protocol{}, s, 5); vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), "5 devices") {
		t.Errorf("the sixth device: %v", err)
	}
	c := vpn.Credential{Slot: 5, Secret: vpn.NewSecret(secret)}
	if _, err := (wireguard.Protocol{}).Access(s, vpn.User{Name: "alice"}, c, "vpn.example.com"); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a file of the sixth device: %v", err)
	}
}

func TestKeys(t *testing.T) {
	k := wireguard.NewPrivateKey()
	if k[0]&7 != 0 || k[31]&0xc0 != 0x40 {
		t.Errorf("the private key is not clamped: %x", k)
	}
	// What wg pubkey of wireguard-tools says.
	var known wireguard.Key
	if err := known.UnmarshalText([]byte(private)); err != nil {
		t.Fatal(err)
	}
	if got := known.Public().String(); got != public {
		t.Errorf("the public key is %s, want %s", got, public)
	}
	for _, bad := range []string{"", "planted", private[1:], private + "AA", "!" + private[1:]} {
		err := known.UnmarshalText([]byte(bad))
		if vpn.KindOf(err) != vpn.Invalid || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "planted", `{}`, `{"private_key":"` + private + `"}`, `{"private_key":"planted","preshared_key":"planted"}`} {
		_, err := wireguard.ParseSecret(vpn.NewSecret(bad))
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Invalid || e.Hint == "" || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRevise(t *testing.T) {
	old := sample(t).Server
	for changes, want := range map[string]struct{ check, admits, drops bool }{
		`{"mtu":"1380"}`:           {false, true, true},
		`{"dns":["8.8.8.8"]}`:      {false, true, false},
		`{"subnet":"10.8.0.0/16"}`: {true, false, true},
		`{"subnet6":"fd01::/64"}`:  {true, false, true},
		`{"carrier":"userspace"}`:  {false, true, true},
		`{"allowed_ips":["::/0"]}`: {false, true, false},
		`{"keepalive":"0"}`:        {false, true, false},
		`{"subnet":"10.7.0.0/16"}`: {false, true, false},
	} {
		s, check, err := protocol.Revise(wireguard.Protocol{}, old, json.RawMessage(changes))
		if err != nil {
			t.Errorf("%s: %v", changes, err)
			continue
		}
		if s, err = (wireguard.Protocol{}).Prepare(s); err != nil {
			t.Errorf("%s: %v", changes, err)
			continue
		}
		if got := (wireguard.Protocol{}).Admits(s, old); check != want.check || got != want.admits {
			t.Errorf("%s: check %v, admits %v; want %+v", changes, check, got, want)
		}
		if got := protocol.Drops(wireguard.Protocol{}, s, old); got != want.drops {
			t.Errorf("%s: that connections end: %v", changes, got)
		}
	}
}

func TestTunnel(t *testing.T) {
	for carrier, want := range map[string]*vpn.Tunnel{
		wireguard.Userspace: nil,
		wireguard.Auto:      {},
		wireguard.TUN:       {Asked: true},
	} {
		s, err := prepare(t, `{"subnet":"10.7.0.0/16","subnet6":"fd12:3456:789a::/64","mtu":"1380","carrier":"`+carrier+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		if want != nil {
			want.MTU = 1380
			want.Addresses = []netip.Prefix{netip.MustParsePrefix("10.7.0.1/16"), netip.MustParsePrefix("fd12:3456:789a::1/64")}
		}
		got, err := wireguard.Protocol{}.Tunnel(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v), want %+v", carrier, got, err, want)
		}
	}
}
