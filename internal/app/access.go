package app

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// mint gives u a credential on s, for a device of that name or for none.
func (c *core) mint(tx Tx, s vpn.Server, u vpn.User, device string) (vpn.Credential, error) {
	seats, err := c.seating(tx, s)
	if err != nil {
		return vpn.Credential{}, err
	}
	return c.mintAt(tx, seats, u, device)
}

// mintAt is mint in the next free seat.
func (c *core) mintAt(tx Tx, seats *seating, u vpn.User, device string) (vpn.Credential, error) {
	s := seats.server
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil {
		return vpn.Credential{}, err
	}
	secret, err := p.Mint(s)
	if err != nil {
		return vpn.Credential{}, err
	}
	slot, err := seats.seat()
	if err != nil {
		return vpn.Credential{}, err
	}
	cred := vpn.Credential{
		ID: vpn.CredentialID(vpn.NewID()), User: u.ID, Server: s.ID, Label: device, Secret: secret, Slot: slot, CreatedAt: c.Now(),
	}
	return cred, tx.Credentials.Put(cred)
}

// equip gives u a credential on every server that lets it in and on which it
// has none yet.
func (c *core) equip(tx Tx, u vpn.User) error {
	creds, err := tx.Credentials.ForUser(u.ID)
	if err != nil {
		return err
	}
	servers, err := tx.Servers.List()
	if err != nil {
		return err
	}
	for _, s := range servers {
		has := slices.ContainsFunc(creds, func(cred vpn.Credential) bool { return cred.Server == s.ID && isCurrent(cred) })
		if has || !u.MayUse(s.ID) {
			continue
		}
		if _, err := c.mint(tx, s, u, ""); err != nil {
			return err
		}
	}
	return nil
}

// isCurrent reports whether cred is one to hand out: not one that has been
// replaced and is about to end.
func isCurrent(cred vpn.Credential) bool { return cred.NotAfter.IsZero() }

// isOver reports whether cred is an old one that lets nobody in any more.
func isOver(cred vpn.Credential, now time.Time) bool {
	return !isCurrent(cred) && !cred.NotAfter.After(now)
}

// access renders what u puts into a client application, server by server. What
// does not let u in, or is about to end, is left out.
func (c *core) access(tx Tx, u vpn.User) ([]vpn.Access, error) {
	return c.accessBy(tx, u, func(vpn.Credential) bool { return true })
}

// accessBy is access by those credentials alone that the caller wants.
func (c *core) accessBy(tx Tx, u vpn.User, want func(vpn.Credential) bool) ([]vpn.Access, error) {
	creds, err := tx.Credentials.ForUser(u.ID)
	if err != nil {
		return nil, err
	}
	servers, err := tx.Servers.List()
	if err != nil {
		return nil, err
	}
	out := []vpn.Access{}
	for _, s := range servers {
		p, err := c.Protocols.Get(s.Protocol)
		if err != nil {
			return nil, err
		}
		for _, cred := range creds {
			if cred.Server != s.ID || !u.MayUse(s.ID) || !isCurrent(cred) || !want(cred) {
				continue
			}
			a, err := p.Access(s, u, cred, c.host(s))
			if err != nil {
				return nil, err
			}
			a.Device = cred.Label
			if c.dryRun() {
				a = vpn.Access{Server: a.Server, Protocol: a.Protocol, Device: a.Device} // it is minted anew for real
			}
			out = append(out, a)
		}
	}
	return out, nil
}

// host returns the name or address that clients of s dial.
func (c *core) host(s vpn.Server) string {
	configured := *c.publicHost.Load()
	switch {
	case s.PublicHost != "":
		return s.PublicHost
	case configured != "":
		return configured
	case s.Listen.IsValid() && !s.Listen.IsUnspecified():
		return s.Listen.String()
	}
	if a, ok := c.Network.DefaultAddr(); ok {
		return a.String()
	}
	return "127.0.0.1"
}

// warnings returns what a person should know about how s is reached.
func (c *core) warnings(s vpn.Server) []string {
	return append(append(c.hostWarnings(s), namedWarnings(c, s)...), c.firewallWarnings(s)...)
}

// firewallWarnings returns what keeps strangers from the port of s, and its
// clients from the internet.
func (c *core) firewallWarnings(s vpn.Server) []string {
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil || !s.Enabled || !s.DeletedAt.IsZero() {
		return nil
	}
	ports := []uint16{s.Port}
	_ = c.Store.View(context.Background(), func(tx Tx) (err error) { // without the others it is a warning less
		ports, err = c.ports(tx, s)
		return err
	})
	var out []string
	for _, network := range p.Networks() {
		if s.Container.Bridged() {
			break // what the engine publishes is forwarded, past the rules for this host's own ports
		}
		for _, port := range ports {
			out = append(out, c.Network.Blocked(network, s.Listen, port)...)
		}
	}
	return append(out, c.Tunnels.Warnings(s)...)
}

// hostWarnings returns what a person should know about the address in the
// links of s.
func (c *core) hostWarnings(s vpn.Server) []string {
	host := c.host(s)
	if !isPrivate(host) {
		return nil
	}
	return []string{
		"the address in the links, " + host + ", is private: clients elsewhere cannot reach it. " +
			"Set the public one: vpn server update " + s.Name + " --public-host HOST",
	}
}

func isPrivate(host string) bool {
	if name := strings.ToLower(host); name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || cgnat.Contains(a.Unmap()))
}

// cgnat is RFC 6598's shared space: as unreachable from outside as RFC 1918's.
var cgnat = netip.MustParsePrefix("100.64.0.0/10")
