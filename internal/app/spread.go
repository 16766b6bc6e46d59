package app

import (
	"context"
	"net/netip"
	"slices"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// A seating gives out slots on a server, and so the ports at which users of a
// [protocol.Spreader] are let in. A credential keeps its slot while it lives,
// and for as long as it can be restored: nobody's link changes because others
// come or go.
type seating struct {
	core     *core
	protocol protocol.Protocol
	server   vpn.Server
	counted  bool // there are so many slots; see [protocol.Seater]
	per      int  // users at one port; 0: any number
	taken    map[uint32]bool
	open     map[uint16]bool   // ports that have users
	others   map[uint16]string // ports that other servers have, and their names
	next     uint32
}

// seating reads who has which slot of s. It is good for one transaction.
func (c *core) seating(tx Tx, s vpn.Server) (*seating, error) {
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil {
		return nil, err
	}
	out := &seating{core: c, protocol: p, server: s, per: protocol.PerPort(p, s), taken: map[uint32]bool{}, open: map[uint16]bool{s.Port: true}}
	_, out.counted = p.(protocol.Seater)
	if !out.counts() {
		return out, nil
	}
	slots, err := tx.Credentials.Slots(s.ID)
	if err != nil {
		return nil, err
	}
	for _, slot := range slots {
		out.taken[slot.Number] = true
		if port, ok := protocol.PortOf(s.Port, out.per, slot.Number); ok && slot.Lives {
			out.open[port] = true
		}
	}
	out.others, err = c.portsOfOthers(tx, s)
	return out, err
}

// counts reports whether it makes a difference who has which slot.
func (s *seating) counts() bool { return s.per > 0 || s.counted }

// seat returns the next free slot. One whose port somebody else has is left
// out. Where it makes no difference who has which, it is one from which on the
// store takes the next that is free.
func (s *seating) seat() (uint32, error) {
	if !s.counts() {
		s.next++
		return s.next - 1, nil
	}
	for {
		for s.taken[s.next] {
			s.next++
		}
		port, ok := protocol.PortOf(s.server.Port, s.per, s.next)
		if !ok {
			return 0, vpn.Errorf(vpn.Conflict, "server %q has no port left for another user", s.server.Name).
				WithHint("let it have more users at one port: vpn server update %s --keys-per-port N", s.server.Name)
		}
		if port != s.server.Port && s.server.Container.Bridged() {
			return 0, onePort(s.server)
		}
		if s.open[port] || s.free(port) {
			if err := protocol.Seat(s.protocol, s.server, s.next); err != nil {
				return 0, err
			}
			s.open[port] = true
			s.taken[s.next] = true
			return s.next, nil
		}
		s.next = (s.next/uint32(s.per) + 1) * uint32(s.per)
	}
}

// onePort is what is said of a bridge, which has to be told all ports before a
// worker starts: it is told the first.
func onePort(s vpn.Server) error {
	return vpn.Errorf(vpn.Conflict, "server %q is in the network %q, where it has one port, and that has no room for so many users", s.Name, s.Container.Network).
		WithHint("let it have more users at one port: --keys-per-port N; or the host's network: --network host")
}

// free reports whether the server can have another port.
func (s *seating) free(port uint16) bool {
	if s.others[port] != "" {
		return false
	}
	return s.core.probe(s.server, port) == nil
}

// probe returns an error if nothing new can listen at a port as s has to.
func (c *core) probe(s vpn.Server, port uint16) error {
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil {
		return err
	}
	for _, network := range p.Networks() {
		probe := c.Network.ProbeTCP
		if network == "udp" {
			probe = c.Network.ProbeUDP
		}
		err := probe(s.Listen, port)
		if vpn.KindOf(err) == vpn.Denied && s.Container.Bridged() {
			continue // it is the engine that listens there
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ports returns the ports of s: the first, and those that follow for its
// users, in order.
func (c *core) ports(tx Tx, s vpn.Server) ([]uint16, error) {
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil {
		return nil, err
	}
	out := []uint16{s.Port}
	per := protocol.PerPort(p, s)
	if per == 0 {
		return out, nil
	}
	slots, err := tx.Credentials.Slots(s.ID)
	for _, slot := range slots {
		port, ok := protocol.PortOf(s.Port, per, slot.Number)
		if ok && slot.Lives && port != out[len(out)-1] {
			out = append(out, port)
		}
	}
	return out, err
}

// portsOfOthers returns the ports, and whose they are, at which s cannot
// listen because other servers do.
func (c *core) portsOfOthers(tx Tx, s vpn.Server) (map[uint16]string, error) {
	all, err := tx.Servers.List()
	if err != nil {
		return nil, err
	}
	out := map[uint16]string{}
	for _, o := range all {
		if o.ID == s.ID || !meet(o.Listen, s.Listen) {
			continue
		}
		ports, err := c.ports(tx, o)
		if err != nil {
			return nil, err
		}
		for _, port := range ports {
			out[port] = o.Name
		}
	}
	return out, nil
}

// meet reports whether one port of two addresses can be listened at only once.
// No address, and ::, is every one.
func meet(a, b netip.Addr) bool {
	every := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	return every(a) || every(b) || a == b
}

// respread returns an error if srv, which was old, cannot have the ports that
// it needs beside its first one.
func (c *core) respread(tx Tx, srv, old vpn.Server) error {
	p, err := c.Protocols.Get(srv.Protocol)
	if err != nil {
		return err
	}
	has, err := c.ports(tx, old)
	if err != nil {
		return err
	}
	slots, err := tx.Credentials.Slots(srv.ID)
	if err != nil {
		return err
	}
	per := protocol.PerPort(p, srv)
	for _, slot := range slots {
		if _, ok := protocol.PortOf(srv.Port, per, slot.Number); slot.Lives && !ok {
			return vpn.Errorf(vpn.Invalid, "with so few users at one port, there are too many ports").WithHint("give a larger number")
		}
	}
	needs, err := c.ports(tx, srv)
	if err != nil {
		return err
	}
	others, err := c.portsOfOthers(tx, srv)
	if err != nil {
		return err
	}
	if len(needs) > 1 && srv.Container.Bridged() {
		return onePort(srv)
	}
	for _, port := range needs[1:] {
		if name := others[port]; name != "" {
			return vpn.Errorf(vpn.Conflict, "port %d, which its users need too, is taken by server %q", port, name).WithHint("choose another with --port")
		}
		if slices.Contains(has, port) && srv.Listen == old.Listen {
			continue // the server itself would be in the way of a probe
		}
		if err := c.probe(srv, port); err != nil {
			return err
		}
	}
	return nil
}

// moves reports whether a user of old is let in at another port of srv.
func (c *core) moves(ctx context.Context, srv, old vpn.Server) (bool, error) {
	p, err := c.Protocols.Get(srv.Protocol)
	if err != nil || srv.Port != old.Port {
		return srv.Port != old.Port, err
	}
	is, was := protocol.PerPort(p, srv), protocol.PerPort(p, old)
	if is == was {
		return false, nil
	}
	moved := false
	err = c.Store.View(ctx, func(tx Tx) error {
		slots, err := tx.Credentials.Slots(srv.ID)
		for _, slot := range slots {
			a, _ := protocol.PortOf(srv.Port, is, slot.Number)
			b, _ := protocol.PortOf(old.Port, was, slot.Number)
			moved = moved || slot.Lives && a != b
		}
		return err
	})
	return moved, err
}
