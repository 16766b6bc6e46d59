package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpn/internal/app"
	"vpn/internal/network"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/router"
	"vpn/internal/vpn"
)

// subnets chooses those of a WireGuard server that are left open, and checks
// those that were given: what of this machine has addresses already would be
// out of reach, for this machine or for the clients.
type subnets struct{ store app.Store }

func (n subnets) Settle(ctx context.Context, s vpn.Server, check bool) (vpn.Server, []string, error) {
	set, err := wireguard.ParseSettings(s.Settings)
	if err != nil {
		return s, nil, err
	}
	given, err := set.Network()
	if err != nil {
		return s, nil, err
	}
	uses, err := n.uses(ctx, s.ID)
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
	var warnings []string
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
// the other servers, those that do not run among them.
func (n subnets) uses(ctx context.Context, own vpn.ServerID) ([]network.Use, error) {
	uses, err := network.Uses()
	if err != nil {
		return nil, err
	}
	if own != "" {
		device := " " + router.Device(own)
		uses = slices.DeleteFunc(uses, func(u network.Use) bool { return strings.HasSuffix(u.By, device) })
	}
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
	return uses, err
}
