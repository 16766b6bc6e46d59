package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/docker"
	"vpn/internal/network"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/router"
	"vpn/internal/vpn"
)

// subnets chooses those of a WireGuard server that are left open, and checks
// those that were given: what of this machine has addresses already would be
// out of reach, for this machine or for the clients.
type subnets struct {
	store  app.Store
	docker dockerNetworks // nil: nobody asks
}

// dockerNetworks tells which addresses the networks of this machine's Docker
// engine have. Not all of them have a route: overlay and macvlan networks live
// elsewhere, and a bridge that was taken away comes back with the next
// container.
type dockerNetworks interface {
	Networks(ctx context.Context) ([]network.Use, error)
}

// dockerEngine is an engine that tells.
type dockerEngine struct{ *docker.Engine }

func (e dockerEngine) Networks(ctx context.Context) (uses []network.Use, err error) {
	networks, err := e.Engine.Networks(ctx)
	for _, n := range networks {
		for _, p := range n.Subnets {
			uses = append(uses, network.Use{Prefix: p, By: "Docker network " + n.Name})
		}
	}
	return uses, err
}

// dockerPatience is how long an engine may take to tell its networks. One that
// hangs holds nobody up for longer.
const dockerPatience = 3 * time.Second

// Pick returns an IPv4 and an IPv6 subnet that nothing of this machine has.
// The error is of kind [vpn.Conflict] if there is none.
func (n subnets) Pick(ctx context.Context) (four, six netip.Prefix, err error) {
	uses, _, err := n.uses(ctx, "")
	if err != nil {
		return four, six, err
	}
	four, err = network.PickSubnet4(uses)
	return four, network.PickSubnet6(uses), err
}

func (n subnets) Settle(ctx context.Context, s vpn.Server, check bool) (vpn.Server, []string, error) {
	set, err := wireguard.ParseSettings(s.Settings)
	if err != nil {
		return s, nil, err
	}
	given, err := set.Network()
	if err != nil {
		return s, nil, err
	}
	uses, warnings, err := n.uses(ctx, s.ID)
	if err != nil {
		return s, nil, err
	}
	for _, p := range []netip.Prefix{given.Four, given.Six} {
		if check && p.IsValid() {
			if err := network.Taken(p, uses); err != nil {
				return s, nil, err
			}
		}
	}
	for _, p := range []netip.Prefix{given.Four, given.Six} {
		if p.IsValid() && !network.Private(p) {
			warnings = append(warnings, fmt.Sprintf("subnet %s is not private: devices cannot reach those on the internet whose addresses these are", p))
		}
	}
	if !given.Four.IsValid() {
		if given.Four, err = network.PickSubnet4(uses); err != nil {
			return s, nil, err
		}
		set.Subnet = given.Four.String()
	}
	if !given.Six.IsValid() {
		set.Subnet6 = network.PickSubnet6(uses).String()
	}
	if s.Settings, err = json.Marshal(set); err != nil {
		return s, nil, fmt.Errorf("encode settings: %w", err)
	}
	return s, warnings, nil
}

// uses returns the addresses that are somebody else's: of this machine, and of
// the other servers, those that do not run among them, and of Docker. Warnings
// say what could not be known.
func (n subnets) uses(ctx context.Context, own vpn.ServerID) (uses []network.Use, warnings []string, err error) {
	if uses, err = network.Uses(); err != nil {
		return nil, nil, err
	}
	if own != "" {
		device := " " + router.Device(own)
		uses = slices.DeleteFunc(uses, func(u network.Use) bool { return strings.HasSuffix(u.By, device) })
	}
	of, warnings := n.ofDocker(ctx)
	uses = append(of, uses...) // of what has two names, people know this one
	var servers []vpn.Server
	err = n.store.View(ctx, func(tx app.Tx) (err error) {
		servers, err = tx.Servers.List()
		return err
	})
	for _, s := range servers {
		if s.ID == own || s.Protocol != "wireguard" {
			continue
		}
		set, err := wireguard.ParseSettings(s.Settings)
		if err != nil {
			continue // an older version's, perhaps; it cannot run either
		}
		taken, err := set.Network()
		if err != nil {
			continue
		}
		for _, p := range []netip.Prefix{taken.Four, taken.Six} {
			if p.IsValid() {
				uses = append(uses, network.Use{Prefix: p, By: "server " + s.Name})
			}
		}
	}
	return uses, warnings, err
}

// ofDocker returns the addresses of Docker's networks. That there is no
// engine, or that it does not speak with whoever asks, is nobody's concern.
func (n subnets) ofDocker(ctx context.Context) ([]network.Use, []string) {
	if n.docker == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dockerPatience)
	defer cancel()
	uses, err := n.docker.Networks(ctx)
	switch {
	case err == nil:
		return uses, nil
	case ctx.Err() != nil:
		return nil, []string{"Docker's engine does not answer, so it is not known whether one of its networks has the same addresses: docker network ls"}
	}
	return nil, nil
}
