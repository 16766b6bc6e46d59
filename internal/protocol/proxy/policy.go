package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// A Policy is what [Settings] mean.
type Policy struct {
	Sources          []netip.Prefix // that clients may come from; none: all
	Allow            Destinations   // if it has any, no others may be reached
	Deny             Destinations
	AllowPorts       []Ports // if there are any, no others may be reached
	DenyPorts        []Ports
	Requests         Rate   // of each user, and of each source network
	AnonymousUser    string // empty: everybody needs a password
	AnonymousSources []netip.Prefix
	UDPPorts         Ports // for datagrams of clients; zero: any
}

// Destinations are names and networks.
type Destinations struct {
	Names    []string // in lower case; *.name is what is below name
	Networks []netip.Prefix
}

// Ports are the ports from First to Last. The zero value is none.
type Ports struct{ First, Last uint16 }

// A Rate is so many requests per period. The zero value is no limit.
type Rate struct {
	Requests int
	Per      time.Duration // a second or a minute
}

// Policy reads s. Errors are of kind [vpn.Invalid].
func (s Settings) Policy() (Policy, error) {
	var p Policy
	var err error
	for _, step := range []func() error{
		func() error { p.Sources, err = networks("source", s.Sources); return err },
		func() error { p.Allow, err = destinations(s.AllowDestinations); return err },
		func() error { p.Deny, err = destinations(s.DenyDestinations); return err },
		func() error { p.AllowPorts, err = portList(s.AllowPorts); return err },
		func() error { p.DenyPorts, err = portList(s.DenyPorts); return err },
		func() error { p.Requests, err = parseRate(s.RequestRate); return err },
		func() error { p.AnonymousSources, err = networks("anonymous source", s.AnonymousSources); return err },
		func() error { return s.checkAnonymous(p.AnonymousSources) },
		func() error { p.UDPPorts, err = udpPorts(s.UDPPorts); return err },
	} {
		if err := step(); err != nil {
			return Policy{}, err
		}
	}
	p.AnonymousUser = s.AnonymousUser
	return p, nil
}

// checkAnonymous keeps a proxy from being open to the world by mistake.
func (s Settings) checkAnonymous(from []netip.Prefix) error {
	switch {
	case s.AnonymousUser == "" && len(from) == 0:
		return nil
	case s.AnonymousUser == "":
		return vpn.Errorf(vpn.Invalid, "clients without a password have to be on somebody's account").
			WithHint("name the user: --anonymous-user NAME")
	case len(from) == 0:
		return vpn.Errorf(vpn.Invalid, "clients without a password are let in from networks that are named only").
			WithHint("name them: --anonymous-source 192.0.2.0/24")
	}
	if err := vpn.ValidName(s.AnonymousUser); err != nil {
		return vpn.Errorf(vpn.Invalid, "anonymous user: %w", err).WithHint("name one of the users: vpn users list")
	}
	for _, n := range from {
		if least := 8 + 24*b2i(n.Addr().Is6()); n.Bits() < least {
			return vpn.Errorf(vpn.Invalid, "anonymous source %s is too large: that would be an open proxy", n).
				WithHint("name networks of at least /%d", least)
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// networks reads a list of prefixes or addresses.
func networks(what string, list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, ok := network(text)
		if !ok {
			return nil, vpn.Errorf(vpn.Invalid, "%s %s is not a network", what, quoted(text)).
				WithHint("write it like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7")
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func destinations(list []string) (Destinations, error) {
	d := Destinations{}
	for _, text := range list {
		if p, ok := network(text); ok {
			if !slices.Contains(d.Networks, p) {
				d.Networks = append(d.Networks, p)
			}
			continue
		}
		name := strings.ToLower(text)
		if vpn.ValidDomain(strings.TrimPrefix(name, "*.")) != nil {
			return Destinations{}, vpn.Errorf(vpn.Invalid, "destination %s is neither a name nor a network", quoted(text)).
				WithHint("write it like example.com, *.example.com (all below it) or 192.0.2.0/24, without a port")
		}
		if !slices.Contains(d.Names, name) {
			d.Names = append(d.Names, name)
		}
	}
	return d, nil
}

// Empty reports whether there are none.
func (d Destinations) Empty() bool { return len(d.Names)+len(d.Networks) == 0 }

func (d Destinations) texts() []string {
	return append(append([]string{}, d.Names...), texts(d.Networks)...)
}

func portList(list []string) ([]Ports, error) {
	out := make([]Ports, 0, len(list))
	for _, text := range list {
		p, ok := parsePorts(text)
		if !ok {
			return nil, vpn.Errorf(vpn.Invalid, "port %s is not valid", quoted(text)).WithHint("write it like 443 or 8000-8999")
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

func parsePorts(text string) (Ports, bool) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 16)
	last := first
	if isRange && err == nil {
		last, err = strconv.ParseUint(to, 10, 16)
	}
	return Ports{uint16(first), uint16(last)}, err == nil && first > 0 && first <= last
}

func udpPorts(text string) (Ports, error) {
	const least = 16
	p, ok := parsePorts(text)
	switch {
	case text == "":
		return Ports{}, nil
	case !ok || p.First < 1024 || p.Last-p.First < least-1:
		return Ports{}, vpn.Errorf(vpn.Invalid, "UDP ports %s are not valid", quoted(text)).
			WithHint("write them like 40000-40999: from 1024 on, %d at least, one for each user who sends datagrams", least)
	}
	return p, nil
}

// Contains reports whether port is one of them.
func (p Ports) Contains(port uint16) bool { return port >= p.First && port <= p.Last }

func (p Ports) String() string {
	switch {
	case p == Ports{}:
		return ""
	case p.First == p.Last:
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

func parseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, nil
	}
	const most = 1_000_000
	number, unit, _ := strings.Cut(text, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute}[unit]
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || per == 0 || n == 0 || n > most {
		return Rate{}, vpn.Errorf(vpn.Invalid, "request rate %s is not valid", quoted(text)).
			WithHint("write it like 20/s or 600/m, at most %d", most)
	}
	return Rate{int(n), per}, nil
}

func (r Rate) String() string {
	if r.Requests == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%s", r.Requests, map[time.Duration]string{time.Second: "s", time.Minute: "m"}[r.Per])
}

// texts writes a list. It is never nil, so that it is a list in JSON too.
func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, e.String())
	}
	return out
}

// quoted returns s as a message may show it: on one line, and not for ever.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}
