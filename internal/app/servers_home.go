package app

import (
	"context"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// This file is where a server's worker lives: its runtime and its container.

// homeOf decides it for a new server; usual is where those live of which nobody
// says.
func homeOf(in vpn.NewServer, usual string) (string, *vpn.Container, error) {
	runtime := in.Runtime
	if runtime == "" {
		runtime = usual
	}
	if err := vpn.ValidRuntime(runtime); err != nil {
		return "", nil, err
	}
	if runtime == vpn.RuntimeProcess {
		if in.Container != nil {
			return "", nil, noContainer(in.Name)
		}
		return runtime, nil, nil
	}
	return runtime, in.Container.Filled(), in.Container.Valid()
}

func noContainer(name string) error {
	return vpn.Errorf(vpn.Invalid, "server %q is a process, which has no network, memory or process limit of its own", name).
		WithHint("give it a container: --runtime docker")
}

// rehouse applies what p says of it to srv.
func rehouse(srv *vpn.Server, p vpn.ServerPatch) error {
	if p.Runtime != nil {
		if err := vpn.ValidRuntime(*p.Runtime); err != nil {
			return err
		}
		srv.Runtime = *p.Runtime
	}
	if srv.Runtime == vpn.RuntimeProcess {
		if p.Container != nil {
			return noContainer(srv.Name)
		}
		srv.Container = nil
		return nil
	}
	if p.Container != nil {
		srv.Container = srv.Container.Patched(*p.Container)
	}
	srv.Container = srv.Container.Filled()
	return srv.Container.Valid()
}

// ready makes a runtime ready to start a worker, or returns an error. In a dry
// run it only looks.
func ready(ctx context.Context, c *core, runtime string) error {
	if c.Ready == nil {
		return nil
	}
	return c.Ready(ctx, runtime, c.dryRun())
}

// mayMove returns an error if srv can not be in another runtime than old was.
// Its last worker has ended for certain then.
func mayMove(ctx context.Context, c *core, srv, old vpn.Server) error {
	if srv.Runtime == old.Runtime {
		return nil
	}
	if old.Enabled {
		return vpn.Errorf(vpn.Conflict, "server %q is meant to run, and its runtime changes only while it is stopped", old.Name).
			WithHint("stop it first: vpn server stop %s; afterwards: vpn server start %s", old.Name, old.Name)
	}
	if err := ready(ctx, c, srv.Runtime); err != nil {
		return err
	}
	if c.dryRun() {
		return nil
	}
	return vacate(ctx, c.reconciler.Reconciler, Place{old.ID, old.Runtime})
}

// vacate makes sure that no worker is at a place.
func vacate(ctx context.Context, r *Reconciler, at Place) error {
	k := r.keeper(at)
	k.stepping.Lock()
	defer k.stepping.Unlock()
	return k.end(ctx)
}

// rebuilt reports whether srv needs another container than old has.
func rebuilt(srv, old vpn.Server) bool {
	if srv.Container == nil {
		return false
	}
	moved := srv.Listen != old.Listen || srv.Port != old.Port
	return !sameContainer(srv, old) || srv.Container.Bridged() && moved // its ports are published at the start
}

func sameContainer(srv, old vpn.Server) bool {
	return *srv.Container.Filled() == *old.Container.Filled()
}

// Where the engine hides from where clients come, all are one device, and a
// device limit would lie.

// devicesOn returns an error if srv hides the devices of users that have a
// limit of them and may use it.
func devicesOn(users []vpn.User, srv vpn.Server) error {
	if !srv.Container.Bridged() {
		return nil
	}
	var names []string
	for _, u := range users {
		if u.Limits.Devices > 0 && u.MayUse(srv.ID) {
			names = append(names, u.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	who := strings.Join(names[:min(3, len(names))], ", ")
	if more := len(names) - 3; more > 0 {
		who += " and " + plural(more, "other")
	}
	return vpn.Errorf(vpn.Conflict, "in the network %q nobody can tell the devices of a user apart, and these have a limit of them: %s", srv.Container.Network, who).
		WithHint("give server %s the host's network: --network host; or take the limit away: vpn users update NAME --devices none", srv.Name)
}

// opens reports whether usr may have come to a server, or to a limit of
// devices, that was did not have.
func opens(usr, was vpn.User) bool {
	return usr.Limits.Devices != was.Limits.Devices || (usr.AllowedServers == nil) != (was.AllowedServers == nil) ||
		!slices.Equal(usr.AllowedServers, was.AllowedServers)
}

// devicesOf is devicesOn for one user, and the servers that there are.
func devicesOf(tx Tx, usr vpn.User) error {
	if usr.Limits.Devices == 0 {
		return nil
	}
	servers, err := tx.Servers.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(servers, func(s vpn.Server) bool { return s.Container.Bridged() && usr.MayUse(s.ID) })
	if i < 0 {
		return nil
	}
	s := servers[i]
	return vpn.Errorf(vpn.Conflict, "user %q cannot have a device limit on server %q: in its network %q nobody can tell devices apart", usr.Name, s.Name, s.Container.Network).
		WithHint("give the server the host's network: vpn server update %s --network host; or the user no limit: --devices none; or other servers: --server NAME", s.Name)
}
