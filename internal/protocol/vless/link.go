package vless

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Access implements [protocol.Protocol]. The link is in the form that client
// applications agree on; of several server names and short ids it has the
// first.
func (Protocol) Access(s vpn.Server, u vpn.User, c vpn.Credential, endpoint string) (vpn.Access, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Access{}, err
	}
	if len(set.ServerNames) == 0 || len(set.ShortIDs) == 0 || set.PublicKey == "" || c.Secret.IsZero() {
		return vpn.Access{}, vpn.Errorf(vpn.Internal, "server %s is not prepared", s.Name)
	}
	host, err := linkHost(endpoint)
	if err != nil {
		return vpn.Access{}, err
	}
	query := []string{
		"type=tcp",
		"encryption=none",
		"security=reality",
		"pbk=" + escape(set.PublicKey),
		"fp=" + escape(set.Fingerprint),
		"sni=" + escape(set.ServerNames[0]),
		"sid=" + escape(set.ShortIDs[0]),
		"spx=" + escape("/"),
		"flow=xtls-rprx-vision",
	}
	link := "vless://" + escape(c.Secret.Reveal()) +
		"@" + net.JoinHostPort(host, strconv.Itoa(int(s.Port))) +
		"?" + strings.Join(query, "&") +
		"#" + escape(protocol.LinkName(s, u, c))
	return vpn.Access{Server: s.Name, Protocol: Name, Link: link}, nil
}

// linkHost returns endpoint as a link carries it.
func linkHost(endpoint string) (string, error) {
	if err := vpn.ValidHost(endpoint); err != nil {
		return "", about("public host", err)
	}
	if a, err := netip.ParseAddr(endpoint); err == nil {
		return a.Unmap().String(), nil
	}
	return endpoint, nil
}

// escape encodes s like encodeURIComponent of JavaScript, which is what the
// link's convention asks for. Package url leaves more as it is, or writes a
// space as a plus.
func escape(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		if b := s[i]; strings.IndexByte(plain, b) >= 0 {
			out.WriteByte(b)
		} else {
			out.Write([]byte{'%', digits[b>>4], digits[b&15]})
		}
	}
	return out.String()
}
