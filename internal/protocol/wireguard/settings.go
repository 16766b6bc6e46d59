package wireguard

import (
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// What carries packets between the tunnel and the internet.
const (
	Auto      = "auto"      // a TUN device where this process may have one
	TUN       = "tun"       // the same, and a warning where it may not
	Userspace = "userspace" // a network stack inside the worker, which takes no privilege
)

// What is set unless somebody sets it.
const (
	defaultMTU       = 1420 // what fits into 1500 bytes over IPv6
	defaultKeepalive = 25   // seconds: less than any translator's patience
)

// The bounds of the MTU: what IPv6 takes at least (RFC 8200), and what jumbo
// frames leave.
const (
	minMTU = 1280
	maxMTU = 8920
)

// maxKeepalive is WireGuard's own bound, in seconds.
const maxKeepalive = 1<<16 - 1

// Settings are a server's settings ([vpn.Server.Settings] as JSON).
type Settings struct {
	Subnet     string   `json:"subnet" help:"IPv4 subnet of the devices, such as 10.7.0.0/16 (default: one that is free here)"`
	Subnet6    string   `json:"subnet6" help:"IPv6 subnet of the devices (default: a random private /64)"`
	DNS        []string `json:"dns" help:"resolver that devices are told to ask (default: 1.1.1.1, 9.9.9.9)"`
	AllowedIPs []string `json:"allowed_ips" help:"network that devices send through the tunnel (default: everything)"`
	MTU        string   `json:"mtu" help:"bytes of the largest packet in the tunnel (default: 1420)"`
	Keepalive  string   `json:"keepalive" help:"seconds between signs of life of a silent device; 0 for none (default: 25)"`
	Carrier    string   `json:"carrier" help:"what carries packets: tun (a device), userspace (takes no privilege), auto (default: tun if it can be had)" choices:"auto,tun,userspace"`

	// PublicKey follows from the private one.
	PublicKey string `json:"public_key,omitempty"`
}

// ParseSettings reads settings strictly, and checks what there is. Errors are
// of kind [vpn.Invalid].
func ParseSettings(raw json.RawMessage) (Settings, error) {
	var s Settings
	if err := protocol.DecodeSettings(raw, &s); err != nil {
		return Settings{}, err
	}
	if err := s.check(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

func (s Settings) check() error {
	if _, err := s.Network(); err != nil {
		return err
	}
	for _, d := range s.DNS {
		if a, err := netip.ParseAddr(d); err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return vpn.Errorf(vpn.Invalid, "the resolver %s is no address", strconv.Quote(d)).WithHint("write it like 1.1.1.1 or 2606:4700:4700::1111")
		}
	}
	for _, a := range s.AllowedIPs {
		if p, err := netip.ParsePrefix(a); err != nil || p.Addr().Is4In6() {
			return vpn.Errorf(vpn.Invalid, "%s is no network that devices can send through the tunnel", strconv.Quote(a)).
				WithHint("write it like 0.0.0.0/0, ::/0 or 192.0.2.0/24")
		}
	}
	if n, ok := number(s.MTU, minMTU, maxMTU); s.MTU != "" && !ok {
		return vpn.Errorf(vpn.Invalid, "the MTU %s is not from %d to %d bytes", strconv.Quote(s.MTU), minMTU, maxMTU).
			WithHint("leave it out for %d; lower it only where packets get lost on the way, as behind PPPoE", max(n, defaultMTU))
	}
	if _, ok := number(s.Keepalive, 0, maxKeepalive); s.Keepalive != "" && !ok {
		return vpn.Errorf(vpn.Invalid, "the keepalive %s is not from 0 to %d seconds", strconv.Quote(s.Keepalive), maxKeepalive).
			WithHint("leave it out for %d; 0 is none", defaultKeepalive)
	}
	if s.Carrier != "" && !slices.Contains([]string{Auto, TUN, Userspace}, s.Carrier) {
		return vpn.Errorf(vpn.Invalid, "%s is no carrier", strconv.Quote(s.Carrier)).WithHint("there is: auto, tun, userspace")
	}
	return nil
}

// number reads digits.
func number(text string, least, most int) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != text || int(n) < least || int(n) > most {
		return 0, false
	}
	return int(n), true
}

// complete brings what people write into one form, and fills in what they
// left open.
func (s *Settings) complete() error {
	n, err := s.Network()
	if err != nil {
		return err
	}
	if !n.Four.IsValid() {
		return vpn.Errorf(vpn.Invalid, "the server has no IPv4 subnet").WithHint("give one that nothing else here uses: --subnet 10.7.0.0/16")
	}
	if !n.Six.IsValid() {
		n.Six = randomULA()
	}
	s.Subnet, s.Subnet6 = n.Four.String(), n.Six.String()
	if len(s.DNS) == 0 {
		s.DNS = []string{"1.1.1.1", "9.9.9.9"}
	}
	if len(s.AllowedIPs) == 0 {
		s.AllowedIPs = []string{"0.0.0.0/0", "::/0"}
	}
	for i, d := range s.DNS {
		s.DNS[i] = netip.MustParseAddr(d).Unmap().String() // check has parsed it
	}
	for i, a := range s.AllowedIPs {
		s.AllowedIPs[i] = netip.MustParsePrefix(a).Masked().String()
	}
	if s.MTU == "" {
		s.MTU = strconv.Itoa(defaultMTU)
	}
	if s.Keepalive == "" {
		s.Keepalive = strconv.Itoa(defaultKeepalive)
	}
	if s.Carrier == "" {
		s.Carrier = Auto
	}
	return nil
}

// MTUBytes returns the MTU.
func (s Settings) MTUBytes() int {
	if n, ok := number(s.MTU, minMTU, maxMTU); ok {
		return n
	}
	return defaultMTU
}

// KeepaliveTime returns how long a device may be silent; 0 is as long as it
// likes.
func (s Settings) KeepaliveTime() time.Duration {
	n, _ := number(s.Keepalive, 0, maxKeepalive)
	return time.Duration(n) * time.Second
}

// randomULA draws a /64 of the private networks of RFC 4193, section 3.2.
func randomULA() netip.Prefix {
	var b [16]byte
	_, _ = rand.Read(b[:8]) // never fails: the program ends instead
	b[0] = 0xfd
	b[6], b[7] = 0, 0 // the first subnet of the 48 bits that are drawn
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}
