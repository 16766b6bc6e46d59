package proxy

import (
	"encoding/json"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Settings are a server's settings ([vpn.Server.Settings] as JSON). Each
// protocol has the parts that it has a use for.
type Settings struct {
	Rules
	TLS
	Datagrams
}

// Rules say who may come and where to.
type Rules struct {
	Sources           []string `json:"sources" help:"the only network that clients may come from"`
	AllowDestinations []string `json:"allow_destinations" help:"the only name, *.name or network that users may reach"`
	DenyDestinations  []string `json:"deny_destinations" help:"name, *.name or network that users may not reach"`
	AllowPorts        []string `json:"allow_ports" help:"the only port, or FROM-TO, that users may reach"`
	DenyPorts         []string `json:"deny_ports" help:"port, or FROM-TO, that users may not reach"`
	RequestRate       string   `json:"request_rate" help:"requests that a user, and a source network, may make, such as 20/s or 600/m"`
	AnonymousUser     string   `json:"anonymous_user" help:"user on whose account clients without a password are let in"`
	AnonymousSources  []string `json:"anonymous_sources" help:"network whose clients need no password; with --anonymous-user"`
}

// TLS is between clients and the proxy.
type TLS struct {
	Enabled bool   `json:"tls" help:"be an https proxy, with a self-made certificate unless one is given"`
	Cert    string `json:"tls_cert" help:"the certificate with its chain, PEM" file:"yes"`

	// Key is on its way to [Keys]: Prepare leaves it empty.
	Key string `json:"tls_key" help:"the private key of --tls-cert, PEM" file:"yes"`
}

// Datagrams are what SOCKS5 has beside streams.
type Datagrams struct {
	UDPPorts string `json:"udp_ports" help:"ports FROM-TO for datagrams of clients, for a firewall to open (default: any)"`
}

type (
	httpSettings struct {
		Rules
		TLS
	}
	socksSettings struct {
		Rules
		Datagrams
	}
)

// settings returns the parts of set that p has, as a struct of their own.
func (p Protocol) settings(set *Settings) any {
	switch p.name {
	case HTTP:
		return httpSettings{set.Rules, set.TLS}
	case SOCKS5:
		return socksSettings{set.Rules, set.Datagrams}
	}
	return *set
}

// ParseSettings reads the settings of a server of that protocol strictly, and
// checks them. Errors are of kind [vpn.Invalid].
func ParseSettings(name vpn.Protocol, raw json.RawMessage) (Settings, error) {
	var set Settings
	var err error
	switch name {
	case HTTP:
		var own httpSettings
		err = protocol.DecodeSettings(raw, &own)
		set.Rules, set.TLS = own.Rules, own.TLS
	case SOCKS5:
		var own socksSettings
		err = protocol.DecodeSettings(raw, &own)
		set.Rules, set.Datagrams = own.Rules, own.Datagrams
	case Mixed:
		err = protocol.DecodeSettings(raw, &set)
	default:
		err = vpn.Errorf(vpn.Invalid, "%q is no proxy", name).WithHint("there is: http, socks5, mixed")
	}
	if err == nil {
		_, err = set.Policy()
	}
	if err == nil {
		err = set.TLS.check()
	}
	if err != nil {
		return Settings{}, err
	}
	return set, nil
}

// normalize brings what people write into one form, each thing once.
func (s *Settings) normalize() error {
	p, err := s.Policy()
	if err != nil {
		return err
	}
	s.Sources, s.AnonymousSources = texts(p.Sources), texts(p.AnonymousSources)
	s.AllowDestinations, s.DenyDestinations = p.Allow.texts(), p.Deny.texts()
	s.AllowPorts, s.DenyPorts = texts(p.AllowPorts), texts(p.DenyPorts)
	s.RequestRate = p.Requests.String()
	s.UDPPorts = p.UDPPorts.String()
	return nil
}
