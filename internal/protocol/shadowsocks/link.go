package shadowsocks

import (
	"encoding/base64"
	"net"
	"strconv"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Access implements [protocol.Protocol]. The link is that of SIP002, with the
// words that Outline adds to it, or that of SIP022.
func (Protocol) Access(s vpn.Server, u vpn.User, c vpn.Credential, endpoint string) (vpn.Access, error) {
	set, err := ParseSettings(s.Settings)
	if err != nil {
		return vpn.Access{}, err
	}
	if c.Secret.IsZero() {
		return vpn.Access{}, vpn.Errorf(vpn.Internal, "user %s has no password on server %s", u.Name, s.Name)
	}
	host, err := protocol.LinkHost(endpoint)
	if err != nil {
		return vpn.Access{}, err
	}
	port, ok := protocol.PortOf(s.Port, set.PerPort(), c.Slot)
	if !ok {
		return vpn.Access{}, vpn.Errorf(vpn.Conflict, "server %s has no port for user %s", s.Name, u.Name).
			WithHint("let it have more users at one port: vpn server update %s --keys-per-port N", s.Name)
	}
	login, query, err := set.login(s, c)
	if err != nil {
		return vpn.Access{}, err
	}
	link := "ss://" + login + "@" + net.JoinHostPort(host, strconv.Itoa(int(port))) + query + "#" + protocol.Escape(protocol.LinkName(s, u, c))
	return vpn.Access{Server: s.Name, Protocol: Name, Link: link}, nil
}

// login returns what is in front of the host, and what is behind the port.
func (s Settings) login(srv vpn.Server, c vpn.Credential) (login, query string, err error) {
	if !s.Method.Is2022() {
		query = "/?outline=1"
		if s.Prefix != "" {
			query += "&prefix=" + s.Prefix
		}
		return base64.RawURLEncoding.EncodeToString([]byte(string(s.Method) + ":" + c.Secret.Reveal())), query, nil
	}
	keys, err := ParseKeys(srv.Private)
	if err != nil {
		return "", "", err
	}
	server, err := keys.ServerPSK(s.Method)
	if err != nil {
		return "", "", err
	}
	user, err := UserPSK(s.Method, c.Secret)
	if err != nil {
		return "", "", err
	}
	text := base64.StdEncoding.EncodeToString
	return protocol.Escape(string(s.Method)) + ":" + protocol.Escape(text(server)+":"+text(user)), "", nil
}
