package vless

import (
	"net"
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
	host, err := protocol.LinkHost(endpoint)
	if err != nil {
		return vpn.Access{}, about("public host", err)
	}
	query := []string{
		"type=tcp",
		"encryption=none",
		"security=reality",
		"pbk=" + protocol.Escape(set.PublicKey),
		"fp=" + protocol.Escape(set.Fingerprint),
		"sni=" + protocol.Escape(set.ServerNames[0]),
		"sid=" + protocol.Escape(set.ShortIDs[0]),
		"spx=" + protocol.Escape("/"),
		"flow=xtls-rprx-vision",
	}
	link := "vless://" + protocol.Escape(c.Secret.Reveal()) +
		"@" + net.JoinHostPort(host, strconv.Itoa(int(s.Port))) +
		"?" + strings.Join(query, "&") +
		"#" + protocol.Escape(protocol.LinkName(s, u, c))
	return vpn.Access{Server: s.Name, Protocol: Name, Link: link}, nil
}
