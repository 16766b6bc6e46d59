package app

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"vpn/internal/vpn"
)

// Servers are the use cases of servers. A server is named by name or ID.
type Servers struct{ *core }

// Create makes a server, with a credential on it for every user, and starts
// it. What in leaves open is chosen.
func (s *Servers) Create(ctx context.Context, in vpn.NewServer) (vpn.ServerChange, error) {
	actor, err := authorize(ctx, "servers.create")
	if err != nil {
		return vpn.ServerChange{}, err
	}
	srv, warnings, err := s.draft(ctx, in)
	if err != nil {
		return vpn.ServerChange{}, err
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := checkNamed(s.core, tx, srv, nil); err != nil {
			return err
		}
		stored, err := tx.Servers.Put(srv)
		if err != nil {
			return err
		}
		users, err := tx.Users.List(vpn.UserFilter{})
		if err != nil {
			return err
		}
		if err := devicesOn(users, stored); err != nil {
			return err
		}
		seats, err := s.seating(tx, stored)
		if err != nil {
			return err
		}
		for _, u := range users {
			if !u.MayUse(stored.ID) {
				continue
			}
			if _, err := s.mintAt(tx, seats, u, ""); err != nil {
				return err
			}
		}
		return s.record(tx, actor, "servers.create", srv.Name, string(srv.Protocol)+" on port "+strconv.Itoa(int(srv.Port)))
	})
	if err != nil {
		return vpn.ServerChange{}, err
	}
	return s.changed(ctx, srv, warnings), nil
}

// draft decides everything about a new server that is not decided inside the
// transaction.
func (s *Servers) draft(ctx context.Context, in vpn.NewServer) (vpn.Server, []string, error) {
	none := vpn.Server{}
	if in.Name == "" {
		in.Name = "main"
	}
	if err := vpn.ValidName(in.Name); err != nil {
		return none, nil, err
	}
	if in.Protocol == "" {
		in.Protocol = s.Protocols.All()[0].Name()
	}
	p, err := s.Protocols.Get(in.Protocol)
	if err != nil {
		return none, nil, err
	}
	if in.PublicHost != "" {
		if err := vpn.ValidHost(in.PublicHost); err != nil {
			return none, nil, err
		}
	}
	now := s.Now()
	srv := vpn.Server{
		ID: vpn.ServerID(vpn.NewID()), Name: in.Name, Protocol: in.Protocol,
		Listen: in.Listen, Port: in.Port, PublicHost: in.PublicHost, Enabled: true, Allow: in.Allow,
		Settings: in.Settings, CreatedAt: now, UpdatedAt: now,
	}
	if srv.Runtime, srv.Container, err = homeOf(in, *s.runtime.Load()); err != nil {
		return none, nil, err
	}
	if len(srv.Settings) == 0 {
		srv.Settings = json.RawMessage("{}")
	}
	if err := s.place(ctx, &srv, p.Ports()); err != nil {
		return none, nil, err
	}
	var warnings []string
	if settler := s.Settlers[in.Protocol]; settler != nil {
		if srv, warnings, err = settler.Settle(ctx, srv, !in.NoCheck); err != nil {
			return none, nil, err
		}
	}
	if srv, err = p.Prepare(srv); err != nil {
		return none, nil, err
	}
	// The last, since it may take a while.
	return srv, append(warnings, s.hostWarnings(srv)...), ready(ctx, s.core, srv.Runtime)
}

// place settles the address and the port, which is one of usual or above if
// none was asked for. Whatever else listens there is found before anything is
// stored.
func (s *Servers) place(ctx context.Context, srv *vpn.Server, usual []uint16) error {
	var others map[uint16]string
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		if _, err = tx.Servers.ByName(srv.Name); err == nil {
			return vpn.Errorf(vpn.Conflict, "server %q already exists", srv.Name).
				WithHint("choose another name, or see it: vpn server show %s", srv.Name)
		} else if vpn.KindOf(err) != vpn.NotFound {
			return err
		}
		others, err = s.portsOfOthers(tx, *srv)
		return err
	})
	if err != nil {
		return err
	}
	listens := []netip.Addr{srv.Listen}
	if !srv.Listen.IsValid() {
		// The second is for machines without IPv6.
		listens = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	}
	ports := []uint16{srv.Port}
	if srv.Port == 0 {
		ports = append(slices.Clone(usual), portRange(usual[len(usual)-1]+1, 199)...)
	}
	var first error
	for _, port := range ports {
		if name := others[port]; name != "" {
			if srv.Port != 0 {
				return vpn.Errorf(vpn.Conflict, "port %d is taken by server %q", port, name).
					WithHint("choose another with --port, or leave it out")
			}
			continue
		}
		for _, listen := range listens {
			at := *srv
			at.Listen = listen
			err := s.probe(at, port)
			if err == nil {
				srv.Listen, srv.Port = listen, port
				return nil
			}
			first = firstOf(first, err)
		}
	}
	if first == nil {
		return vpn.Errorf(vpn.Conflict, "every port that is tried unasked is taken").WithHint("choose one with --port")
	}
	return first
}

func portRange(from uint16, n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = from + uint16(i)
	}
	return out
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// changed makes the workers follow and describes srv afterwards. What that
// changed of this host is said once.
func (s *Servers) changed(ctx context.Context, srv vpn.Server, warnings []string) vpn.ServerChange {
	known := s.Tunnels.Changes(srv)
	synced := s.reconciler.syncStart(ctx, srv)
	info := s.info(srv, nil)
	if info.State == vpn.Failed || info.State == vpn.Unresponsive {
		synced = false
	}
	warnings = append(append(warnings, namedWarnings(s.core, srv)...), s.firewallWarnings(srv)...)
	if now := s.Tunnels.Changes(srv); !slices.Equal(now, known) {
		warnings = append(warnings, now...)
	}
	return vpn.ServerChange{Server: info, Warnings: warnings, Synced: synced, DryRun: s.dryRun()}
}

// info derives what is shown of srv.
func (s *Servers) info(srv vpn.Server, used map[vpn.ServerID]vpn.Traffic) vpn.ServerInfo {
	l := s.reconciler.ledger.liveServer(srv.ID)
	out := vpn.ServerInfo{
		Server:   srv,
		Endpoint: net.JoinHostPort(s.host(srv), strconv.Itoa(int(srv.Port))),
		Online:   l.conns,
		Rate:     l.rate,
		Used:     used[srv.ID].Add(l.pending),
	}
	c := s.reconciler.describe(srv)
	out.State, out.Since, out.Problem, out.Worker = c.state, c.since, c.problem, c.worker
	return out
}

// List returns the servers that are not deleted, by name.
func (s *Servers) List(ctx context.Context) ([]vpn.ServerInfo, error) {
	if _, err := authorize(ctx, "servers.list"); err != nil {
		return nil, err
	}
	return s.list(ctx)
}

func (s *Servers) list(ctx context.Context) ([]vpn.ServerInfo, error) {
	var (
		servers []vpn.Server
		used    map[vpn.ServerID]vpn.Traffic
	)
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		if servers, err = tx.Servers.List(); err != nil {
			return err
		}
		used, err = tx.Usage.ByServer()
		return err
	})
	if err != nil {
		return nil, err
	}
	s.reconciler.glance(ctx)
	out := make([]vpn.ServerInfo, 0, len(servers))
	for _, srv := range servers {
		out = append(out, s.info(srv, used))
	}
	return out, nil
}

// Show returns one server with its live sessions.
func (s *Servers) Show(ctx context.Context, name string) (vpn.ServerDetail, error) {
	if _, err := authorize(ctx, "servers.show"); err != nil {
		return vpn.ServerDetail{}, err
	}
	var (
		srv   vpn.Server
		used  map[vpn.ServerID]vpn.Traffic
		names = map[vpn.UserID]string{}
		may   int
		ports []uint16
	)
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		if srv, err = findServer(tx, name); err != nil {
			return err
		}
		if used, err = tx.Usage.ByServer(); err != nil {
			return err
		}
		users, err := tx.Users.Brief(vpn.UserFilter{Deleted: true})
		for _, u := range users {
			names[u.ID] = u.Name
			if u.DeletedAt.IsZero() && u.MayUse(srv.ID) {
				may++
			}
		}
		if err != nil {
			return err
		}
		ports, err = s.ports(tx, srv)
		return err
	})
	if err != nil {
		return vpn.ServerDetail{}, err
	}
	s.reconciler.glance(ctx)
	sessions := s.reconciler.sessions(ctx, srv)
	for i := range sessions {
		sessions[i].UserName = names[sessions[i].User]
	}
	out := vpn.ServerDetail{ServerInfo: s.info(srv, used), Users: may, Sessions: sessions}
	if len(ports) > 1 {
		out.Ports = ports
	}
	if srv.Enabled {
		out.Warnings = append(s.warnings(srv), s.Tunnels.Changes(srv)...)
	}
	return out, nil
}

// Start means the server to run, and starts it.
func (s *Servers) Start(ctx context.Context, name string) (vpn.ServerChange, error) {
	return s.change(ctx, "servers.start", name, func(srv *vpn.Server) { srv.Enabled = true })
}

// Stop means the server not to run, and stops it. Its connections end.
func (s *Servers) Stop(ctx context.Context, name string) (vpn.ServerChange, error) {
	return s.change(ctx, "servers.stop", name, func(srv *vpn.Server) { srv.Enabled = false })
}

// Delete removes a server with its keys and its users' credentials. Its
// connections end.
func (s *Servers) Delete(ctx context.Context, name string) (vpn.ServerChange, error) {
	return s.change(ctx, "servers.delete", name, func(srv *vpn.Server) { srv.DeletedAt = s.Now() })
}

func (s *Servers) change(ctx context.Context, action, name string, edit func(*vpn.Server)) (vpn.ServerChange, error) {
	actor, err := authorize(ctx, action)
	if err != nil {
		return vpn.ServerChange{}, err
	}
	var srv vpn.Server
	err = s.Store.Update(ctx, func(tx Tx) error {
		var err error
		if srv, err = findServer(tx, name); err != nil {
			return err
		}
		edit(&srv)
		srv.UpdatedAt = s.Now()
		if srv, err = tx.Servers.Put(srv); err != nil {
			return err
		}
		if !srv.DeletedAt.IsZero() {
			creds, err := tx.Credentials.ForServer(srv.ID)
			if err != nil {
				return err
			}
			for _, c := range creds {
				c.DeletedAt = s.Now()
				if err := tx.Credentials.Put(c); err != nil {
					return err
				}
			}
		}
		return s.record(tx, actor, action, srv.Name, "")
	})
	if err != nil {
		return vpn.ServerChange{}, err
	}
	live := 0
	if !srv.Enabled || !srv.DeletedAt.IsZero() {
		live = s.live(ctx, srv)
	}
	change := s.changed(ctx, srv, nil)
	change.Connections = live
	return change, nil
}

// live counts the connections that end with the worker of srv.
func (s *Servers) live(ctx context.Context, srv vpn.Server) int {
	return liveOn(ctx, s.reconciler.Reconciler, []vpn.ServerID{srv.ID}, everybody)
}

// Restart ends the server's worker in order and starts a new one. Its
// connections end.
func (s *Servers) Restart(ctx context.Context, name string) (vpn.ServerChange, error) {
	actor, err := authorize(ctx, "servers.restart")
	if err != nil {
		return vpn.ServerChange{}, err
	}
	var srv vpn.Server
	err = s.Store.Update(ctx, func(tx Tx) (err error) {
		if srv, err = findServer(tx, name); err != nil {
			return err
		}
		if !srv.Enabled {
			return vpn.Errorf(vpn.Conflict, "server %q is stopped", srv.Name).WithHint("run: vpn server start %s", srv.Name)
		}
		return s.record(tx, actor, "servers.restart", srv.Name, "")
	})
	if err != nil {
		return vpn.ServerChange{}, err
	}
	live := s.live(ctx, srv)
	if err := s.reconciler.Restart(ctx, Place{srv.ID, srv.Runtime}); err != nil {
		return vpn.ServerChange{}, err
	}
	change := s.changed(ctx, srv, nil)
	change.Connections = live
	return change, nil
}

// Logs opens what the server's workers have logged: the last tail lines of
// what is not older than since.
func (s *Servers) Logs(ctx context.Context, name string, follow bool, tail int, since time.Time) (io.ReadCloser, error) {
	if _, err := authorize(ctx, "servers.logs"); err != nil {
		return nil, err
	}
	if tail < 0 || tail > vpn.MostServerLogLines {
		return nil, vpn.Errorf(vpn.Invalid, "tail must be from 0 to %d lines", vpn.MostServerLogLines)
	}
	var srv vpn.Server
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		srv, err = findServer(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Config.Logs.Open(ctx, srv, follow, tail, since)
}

// findServer returns the living server of that name or, failing that, ID.
func findServer(tx Tx, name string) (vpn.Server, error) {
	srv, err := tx.Servers.ByName(name)
	if vpn.KindOf(err) != vpn.NotFound {
		return srv, err
	}
	if byID, idErr := tx.Servers.Get(vpn.ServerID(name)); idErr == nil && byID.DeletedAt.IsZero() {
		return byID, nil
	}
	all, err := tx.Servers.List()
	if err != nil {
		return vpn.Server{}, err
	}
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.Name)
	}
	return vpn.Server{}, unknown("server", name, names, "vpn server list")
}
