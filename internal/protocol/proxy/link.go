package proxy

import (
	"net"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Access implements [protocol.Protocol]. A mixed server has a link for each of
// its two kinds of clients.
func (p Protocol) Access(s vpn.Server, u vpn.User, c vpn.Credential, endpoint string) (vpn.Access, error) {
	set, err := ParseSettings(p.name, s.Settings)
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
	rest := "://" + protocol.Escape(u.Name) + ":" + protocol.Escape(c.Secret.Reveal()) +
		"@" + net.JoinHostPort(host, strconv.Itoa(int(s.Port))) +
		"#" + protocol.Escape(protocol.LinkName(s, u, c))
	web := "http" + rest
	if set.Enabled {
		web = "https" + rest
	}
	a := vpn.Access{Server: s.Name, Protocol: p.name, Note: set.note(p.name, s.Name)}
	switch p.name {
	case HTTP:
		a.Link = web
	case SOCKS5:
		a.Link = "socks5" + rest
	default:
		a.Link, a.Others = web, []string{"socks5" + rest}
	}
	return a, nil
}

// note says what the links do not.
func (s Settings) note(name vpn.Protocol, server string) string {
	var notes []string
	if s.Enabled && s.selfMade() != nil {
		notes = append(notes, "the certificate is self-made, so clients have to be told to trust it: it is tls_cert in vpn server show "+server+" -o json")
	}
	if name != HTTP { // socks5 leaves open who looks names up
		notes = append(notes, "write socks5h instead of socks5 where the client knows the word, as curl does: the server looks names up then")
	}
	return strings.Join(notes, "; ")
}
