package app_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// busyNetwork is a machine on which some ports cannot be had.
type busyNetwork struct {
	quietNetwork
	refuse map[uint16]error
	addrs  []netip.Addr // those of the machine; none: any will do
}

func (n busyNetwork) ProbeTCP(listen netip.Addr, port uint16) error {
	for _, a := range n.addrs {
		if a == listen || listen.IsUnspecified() {
			return n.refuse[port]
		}
	}
	if len(n.addrs) > 0 {
		return vpn.Errorf(vpn.Invalid, "%s is not an address of this machine", listen)
	}
	return n.refuse[port]
}

func (n busyNetwork) ProbeUDP(listen netip.Addr, port uint16) error { return n.ProbeTCP(listen, port) }

func TestWhereAServerListens(t *testing.T) {
	nginx := vpn.Errorf(vpn.Conflict, "port 443 is taken by nginx (pid 1)")
	notRoot := vpn.Errorf(vpn.Denied, "this user may not listen on port 443")
	one, two := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	for name, tt := range map[string]struct {
		network app.Network
		others  []vpn.NewServer
		in      vpn.NewServer
		port    uint16
		err     string
	}{
		"443 if it is free":              {quietNetwork{}, nil, vpn.NewServer{}, 443, ""},
		"8443 if not":                    {busyNetwork{refuse: map[uint16]error{443: nginx}}, nil, vpn.NewServer{}, 8443, ""},
		"8443 for who is not root":       {busyNetwork{refuse: map[uint16]error{443: notRoot}}, nil, vpn.NewServer{}, 8443, ""},
		"and upward":                     {busyNetwork{refuse: map[uint16]error{443: nginx}}, []vpn.NewServer{{Port: 8443}}, vpn.NewServer{}, 8444, ""},
		"a port that was asked for":      {quietNetwork{}, nil, vpn.NewServer{Port: 7000}, 7000, ""},
		"a low one of the engine's":      {busyNetwork{refuse: map[uint16]error{443: notRoot}}, nil, vpn.NewServer{Port: 443, Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Network: "lan"}}, 443, ""},
		"a low one of the host's":        {busyNetwork{refuse: map[uint16]error{443: notRoot}}, nil, vpn.NewServer{Port: 443, Runtime: vpn.RuntimeDocker}, 0, "may not listen on port 443"},
		"which somebody has":             {busyNetwork{refuse: map[uint16]error{443: nginx}}, nil, vpn.NewServer{Port: 443}, 0, "nginx (pid 1)"},
		"which another server has":       {quietNetwork{}, []vpn.NewServer{{Port: 443}}, vpn.NewServer{Port: 443}, 0, `taken by server "s0"`},
		"one port on two addresses":      {quietNetwork{}, []vpn.NewServer{{Port: 443, Listen: one}}, vpn.NewServer{Port: 443, Listen: two}, 443, ""},
		"one port on all addresses":      {quietNetwork{}, []vpn.NewServer{{Port: 443, Listen: one}}, vpn.NewServer{Port: 443}, 0, `taken by server "s0"`},
		"an address of another machine":  {busyNetwork{addrs: []netip.Addr{one}}, nil, vpn.NewServer{Listen: two}, 0, "not an address of this machine"},
		"and 443 is another server's":    {busyNetwork{addrs: []netip.Addr{one}}, []vpn.NewServer{{Port: 443}}, vpn.NewServer{Listen: two}, 0, "not an address of this machine"},
		"and so is every port there was": {quietNetwork{}, all201(), vpn.NewServer{}, 0, "choose one with --port"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.network = tt.network
			b.reset()
			b.occupy(tt.others)
			tt.in.Name, tt.in.Settings = "new", []byte(`{"target":"self"}`)
			c, err := b.app.Servers.Create(b.ctx, tt.in)
			said := ""
			if e, ok := errors.AsType[*vpn.Error](err); ok {
				said = e.Message + "; " + e.Hint
			}
			if !strings.Contains(said, tt.err) || (err != nil) != (tt.err != "") {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if c.Server.Port != tt.port {
				t.Errorf("listens on port %d, want %d", c.Server.Port, tt.port)
			}
		})
	}
}

// occupy makes servers s0, s1, … The first is made; the rest are like it and
// put into the store at once, for they may be many.
func (b *bench) occupy(others []vpn.NewServer) {
	b.t.Helper()
	if len(others) == 0 {
		return
	}
	first := others[0]
	first.Name, first.Settings = "s0", []byte(`{"target":"self"}`)
	made, err := b.app.Servers.Create(b.ctx, first)
	b.do("create", err)
	b.do("occupy", b.store.Update(b.ctx, func(tx app.Tx) error {
		for i, o := range others[1:] {
			s := made.Server.Server
			s.ID, s.Name, s.Port = vpn.ServerID(vpn.NewID()), fmt.Sprint("s", i+1), o.Port
			if _, err := tx.Servers.Put(s); err != nil {
				return err
			}
		}
		return nil
	}))
}

// all201 is a server on each port that is tried unasked.
func all201() []vpn.NewServer {
	out := []vpn.NewServer{{Port: 443}}
	for port := uint16(8443); port < 8643; port++ {
		out = append(out, vpn.NewServer{Port: port})
	}
	return out
}
