package wireguard

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Access implements [protocol.Protocol]: the file that all of WireGuard's own
// applications read, and a link that some others do.
func (Protocol) Access(s vpn.Server, u vpn.User, c vpn.Credential, endpoint string) (vpn.Access, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Access{}, err
	}
	n, err := set.Network()
	if err != nil {
		return vpn.Access{}, err
	}
	four, six, ok := n.Device(c.Slot)
	if !ok {
		return vpn.Access{}, protocol.NoSeat(s, n.Seats())
	}
	secret, err := ParseSecret(c.Secret)
	if err != nil {
		return vpn.Access{}, err
	}
	var public Key
	if err := public.UnmarshalText([]byte(set.PublicKey)); err != nil {
		return vpn.Access{}, vpn.Errorf(vpn.Internal, "server %s is not prepared", s.Name)
	}
	if err := vpn.ValidHost(endpoint); err != nil {
		return vpn.Access{}, err
	}
	if a, err := netip.ParseAddr(endpoint); err == nil {
		endpoint = a.Unmap().String()
	}
	d := device{
		settings: set, secret: secret, server: public,
		endpoint:  net.JoinHostPort(endpoint, strconv.Itoa(int(s.Port))), // with brackets around IPv6
		addresses: []string{netip.PrefixFrom(four, 32).String(), netip.PrefixFrom(six, 128).String()},
	}
	name := protocol.LinkName(s, u, c)
	return vpn.Access{
		Server: s.Name, Protocol: Name,
		File:   &vpn.File{Name: fileName(name), Text: d.file()},
		Others: []string{d.link(name)},
	}, nil
}

// A device is what its files say.
type device struct {
	settings  Settings
	secret    Secret
	server    Key
	endpoint  string
	addresses []string
}

// file returns the configuration that wg-quick(8) and the applications read.
func (d device) file() string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	b.WriteString("[Interface]\n")
	line("PrivateKey", d.secret.PrivateKey.String())
	line("Address", strings.Join(d.addresses, ", "))
	line("DNS", strings.Join(d.settings.DNS, ", "))
	line("MTU", strconv.Itoa(d.settings.MTUBytes()))
	b.WriteString("\n[Peer]\n")
	line("PublicKey", d.server.String())
	line("PresharedKey", d.secret.PresharedKey.String())
	line("AllowedIPs", strings.Join(d.settings.AllowedIPs, ", "))
	line("Endpoint", d.endpoint)
	if d.settings.KeepaliveTime() > 0 {
		line("PersistentKeepalive", d.settings.Keepalive)
	}
	return b.String()
}

// link returns the link that several applications agree on, 3x-ui's among
// them.
func (d device) link(name string) string {
	query := []string{
		"publickey=" + url.QueryEscape(d.server.String()),
		"presharedkey=" + url.QueryEscape(d.secret.PresharedKey.String()),
		"address=" + url.QueryEscape(strings.Join(d.addresses, ",")),
		"mtu=" + strconv.Itoa(d.settings.MTUBytes()),
		"dns=" + url.QueryEscape(strings.Join(d.settings.DNS, ",")),
		"allowedips=" + url.QueryEscape(strings.Join(d.settings.AllowedIPs, ",")),
	}
	if d.settings.KeepaliveTime() > 0 {
		query = append(query, "keepalive="+d.settings.Keepalive)
	}
	return "wireguard://" + url.QueryEscape(d.secret.PrivateKey.String()) + "@" + d.endpoint +
		"?" + strings.Join(query, "&") + "#" + protocol.Escape(name)
}

// fileName returns a name for the file from which wg-quick and the
// applications take that of the interface: Linux allows it 15 bytes.
func fileName(name string) string {
	const most = 15
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_=+.-", r)) {
			return r
		}
		return '_'
	}, name)
	return clean[:min(len(clean), most)] + ".conf"
}
