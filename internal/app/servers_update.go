package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// Update changes a server. Everything but a port that its worker may not bind
// is applied to the running worker, whose connections live on. What the change
// means to users is in the answer. A
// port that is taken, or settings that do not pass the check, change nothing.
func (s *Servers) Update(ctx context.Context, name string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	actor, err := authorize(ctx, "servers.update")
	if err != nil {
		return vpn.ServerChange{}, err
	}
	var old vpn.Server
	err = s.Store.View(ctx, func(tx Tx) (err error) {
		old, err = findServer(tx, name)
		return err
	})
	if err != nil {
		return vpn.ServerChange{}, err
	}
	srv, warnings, err := s.revise(ctx, old, p)
	if err != nil {
		return vpn.ServerChange{}, err
	}
	effects, err := s.effects(ctx, srv, old)
	if err != nil {
		return vpn.ServerChange{}, err
	}
	if err := mayMove(ctx, s.core, srv, old); err != nil {
		return vpn.ServerChange{}, err
	}
	if effects.Drops && !s.dryRun() && !s.reconciler.Supervising() {
		return vpn.ServerChange{}, vpn.Errorf(vpn.Unavailable, "no daemon is running to start the server anew, which this change takes").
			WithHint("run: vpn serve")
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		now, err := tx.Servers.Get(old.ID)
		if err != nil {
			return err
		}
		if !now.UpdatedAt.Equal(old.UpdatedAt) {
			return vpn.Errorf(vpn.Conflict, "server %q was changed by somebody else at this moment", old.Name).
				WithHint("see how it is now, and try again: vpn server show %s", old.Name)
		}
		if err := checkNamed(s.core, tx, srv, named(s.core, old)); err != nil {
			return err
		}
		if srv.Container.Bridged() {
			users, err := tx.Users.List(vpn.UserFilter{})
			if err != nil {
				return err
			}
			if err := devicesOn(users, srv); err != nil {
				return err
			}
		}
		if srv, err = tx.Servers.Put(srv); err != nil {
			return err
		}
		return s.record(tx, actor, "servers.update", old.Name, difference(srv, old))
	})
	if err != nil {
		return vpn.ServerChange{}, err
	}
	live := 0
	if effects.Drops {
		live = s.live(ctx, old)
		if err := s.reconciler.Restart(ctx, Place{srv.ID, srv.Runtime}); err != nil {
			return vpn.ServerChange{}, err
		}
	}
	change := s.changed(ctx, srv, warnings)
	change.Effects, change.Connections = &effects, live
	return change, nil
}

// revise decides what old becomes, and checks it.
func (s *Servers) revise(ctx context.Context, old vpn.Server, p vpn.ServerPatch) (srv vpn.Server, warnings []string, err error) {
	none := vpn.Server{}
	proto, err := s.Protocols.Get(old.Protocol)
	if err != nil {
		return none, nil, err
	}
	srv, settle := old, false
	if len(p.Settings) > 0 {
		if srv, settle, err = protocol.Revise(proto, old, p.Settings); err != nil {
			return none, nil, err
		}
	}
	if err := s.patch(&srv, p); err != nil {
		return none, nil, err
	}
	if srv.Listen != old.Listen || srv.Port != old.Port || srv.Name != old.Name {
		if err := s.replace(ctx, srv, old); err != nil {
			return none, nil, err
		}
	}
	if settler := s.Settlers[srv.Protocol]; settler != nil && settle {
		if srv, warnings, err = settler.Settle(ctx, srv, !p.NoCheck); err != nil {
			return none, nil, err
		}
	}
	if srv, err = proto.Prepare(srv); err != nil {
		return none, nil, err
	}
	if err := s.Store.View(ctx, func(tx Tx) error { return s.respread(tx, srv, old) }); err != nil {
		return none, nil, err
	}
	srv.UpdatedAt = s.Now()
	if s.host(srv) != s.host(old) {
		warnings = append(warnings, s.hostWarnings(srv)...)
	}
	return srv, warnings, nil
}

// patch applies what is no setting.
func (s *Servers) patch(srv *vpn.Server, p vpn.ServerPatch) error {
	if p.Name == nil && p.Runtime == nil && p.Container == nil && p.Listen == nil && p.Port == nil && p.PublicHost == nil && p.Allow == nil && len(p.Settings) == 0 {
		return vpn.Errorf(vpn.Invalid, "nothing to change was named").WithHint("see: vpn server update --help")
	}
	if p.Name != nil {
		if err := vpn.ValidName(*p.Name); err != nil {
			return err
		}
		srv.Name = *p.Name
	}
	if err := rehouse(srv, p); err != nil {
		return err
	}
	if p.Listen != nil {
		if srv.Listen = *p.Listen; !srv.Listen.IsValid() {
			srv.Listen = netip.IPv6Unspecified()
		}
	}
	if p.Port != nil {
		if srv.Port = *p.Port; srv.Port == 0 {
			return vpn.Errorf(vpn.Invalid, "0 is not a port").WithHint("a port is a number from 1 to 65535")
		}
	}
	if p.PublicHost != nil {
		if srv.PublicHost = *p.PublicHost; srv.PublicHost != "" {
			if err := vpn.ValidHost(srv.PublicHost); err != nil {
				return err
			}
		}
	}
	if p.Allow != nil {
		srv.Allow = slices.Clone(*p.Allow)
	}
	return nil
}

// replace returns an error if srv cannot have its new name, address or port.
func (s *Servers) replace(ctx context.Context, srv, old vpn.Server) error {
	var own []uint16
	err := s.Store.View(ctx, func(tx Tx) error {
		all, err := tx.Servers.List()
		for _, o := range all {
			switch {
			case o.ID == srv.ID:
			case o.Name == srv.Name:
				return vpn.Errorf(vpn.Conflict, "server %q already exists", srv.Name).WithHint("choose another name")
			}
		}
		if err != nil {
			return err
		}
		others, err := s.portsOfOthers(tx, srv)
		if name := others[srv.Port]; name != "" {
			return vpn.Errorf(vpn.Conflict, "port %d is taken by server %q", srv.Port, name).WithHint("choose another with --port")
		}
		if err != nil {
			return err
		}
		own, err = s.ports(tx, old)
		return err
	})
	if err != nil || slices.Contains(own, srv.Port) {
		return err // on its own port, the server itself would be in the way of a probe
	}
	return s.probe(srv, srv.Port)
}

// effects says what it means to users that old becomes srv.
func (s *Servers) effects(ctx context.Context, srv, old vpn.Server) (vpn.ServerEffects, error) {
	e := vpn.ServerEffects{Links: vpn.LinksSame}
	p, err := s.Protocols.Get(srv.Protocol)
	if err != nil {
		return e, err
	}
	secret, err := p.Mint(old)
	if err != nil {
		return e, err
	}
	nobody := vpn.Credential{Secret: secret}
	was, err := p.Access(old, vpn.User{Name: "user"}, nobody, s.host(old))
	if err != nil {
		return e, err
	}
	is, err := p.Access(srv, vpn.User{Name: "user"}, nobody, s.host(srv))
	if err != nil {
		return e, err
	}
	moves, err := s.moves(ctx, srv, old)
	if err != nil {
		return e, err
	}
	switch {
	case moves || !protocol.Admits(p, srv, old):
		e.Links = vpn.LinksReplaced
	case is.Link != was.Link || !slices.Equal(is.Others, was.Others) || !reflect.DeepEqual(is.File, was.File):
		e.Links = vpn.LinksChanged
	}
	if srv.Enabled && (srv.Port < firstFreePort && old.Port >= firstFreePort || protocol.Drops(p, srv, old) || rebuilt(srv, old)) {
		s.reconciler.glance(ctx)
		e.Drops = s.reconciler.describe(old).worker != nil
	}
	return e, nil
}

// firstFreePort is the lowest port that may be bound without a privilege. A
// worker that began above has given the privilege up for good.
const firstFreePort = 1024

// difference says for the audit log what has changed, without any secret.
func difference(srv, old vpn.Server) string {
	var did []string
	note := func(changed bool, format string, args ...any) {
		if changed {
			did = append(did, fmt.Sprintf(format, args...))
		}
	}
	note(srv.Name != old.Name, "name %s", srv.Name)
	note(srv.Listen != old.Listen || srv.Port != old.Port, "listen %s", net.JoinHostPort(srv.Listen.String(), strconv.Itoa(int(srv.Port))))
	note(srv.Runtime != old.Runtime, "runtime %s", srv.Runtime)
	if c := srv.Container; c != nil && !sameContainer(srv, old) {
		did = append(did, fmt.Sprintf("container network %s, memory %d, pids %d", c.Network, c.Memory, c.PIDs))
	}
	note(srv.PublicHost != old.PublicHost, "public_host %s", srv.PublicHost)
	note(!slices.Equal(srv.Allow, old.Allow), "allow %v", srv.Allow)
	if !bytes.Equal(srv.Settings, old.Settings) {
		did = append(did, "settings "+strings.Join(changedKeys(srv.Settings, old.Settings), " "))
	}
	return strings.Join(did, ", ")
}

// changedKeys returns the keys of two settings objects that differ. What is in
// them is the protocol's business.
func changedKeys(now, old json.RawMessage) []string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(now, &a) != nil || json.Unmarshal(old, &b) != nil {
		return nil
	}
	var out []string
	for key, value := range a {
		if !bytes.Equal(value, b[key]) {
			out = append(out, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
