package docker

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// ensureNetwork makes the bridge network of that name, unless there is one,
// whoever made it.
func (o objects) ensureNetwork(ctx context.Context, name string) error {
	o.making.Lock()
	defer o.making.Unlock()
	there, err := o.networks(ctx, name)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		const tries = 2 // somebody may take the subnet meanwhile
		for range tries {
			if err = o.makeNetwork(ctx, name); err == nil || !strings.Contains(err.Error(), "overlaps") {
				break
			}
		}
		if err != nil {
			return err
		}
		if there, err = o.networks(ctx, name); err != nil {
			return err
		}
	}
	// An engine before 25 makes a second one of the same name for somebody who
	// asks at the same time, and then nobody can use either. Here one waits for
	// the other; of two installations' the first stays, unless somebody was
	// quicker to use the second.
	for i, n := range there {
		if i == 0 || n.Labels[labelStore] != o.store {
			continue
		}
		if err := o.removeNetwork(ctx, n.ID, name); err != nil {
			return err
		}
	}
	if len(there) > 0 && there[0].Driver != "bridge" {
		return vpn.Errorf(vpn.Invalid, "the Docker network %s is of the kind %s, and servers need a bridge", name, there[0].Driver).
			WithHint("name another network, or one that is not there: it will be made")
	}
	return nil
}

// untilOne starts a container again, after it was refused, while there is more
// than one network of its network's name: another installation has just made a
// second one, and is about to remove it.
func (b birth) untilOne(ctx context.Context, refused error, start func() error) error {
	for late := time.Now().Add(birthTimeout); refused != nil && strings.Contains(refused.Error(), "is ambiguous") && time.Now().Before(late); {
		select {
		case <-ctx.Done():
			return refused
		case <-time.After(restartPoll):
		}
		if err := b.ensureNetwork(ctx, b.s.Container.Network); err != nil {
			return err
		}
		refused = start()
	}
	return refused
}

// networks returns those of that name, the oldest first.
func (o objects) networks(ctx context.Context, name string) ([]engine.Network, error) {
	all, err := o.engine.Networks(ctx)
	all = slices.DeleteFunc(all, func(n engine.Network) bool { return n.Name != name })
	slices.SortFunc(all, func(a, b engine.Network) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return all, err
}

// removeNetwork removes a network unless somebody uses it.
func (o objects) removeNetwork(ctx context.Context, id, name string) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "remove the network "+name, func(ctx context.Context, c *client.Client) (client.NetworkRemoveResult, error) {
		return c.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	})
	if vpn.KindOf(err) == vpn.NotFound || err != nil && strings.Contains(err.Error(), "active endpoints") {
		return nil
	}
	return err
}

func (o objects) makeNetwork(ctx context.Context, name string) error {
	options := client.NetworkCreateOptions{Driver: "bridge", Labels: map[string]string{labelStore: o.store}}
	if o.subnets == nil {
		return o.createNetwork(ctx, name, options)
	}
	four, six, err := o.subnets(ctx)
	if err != nil {
		return err
	}
	options.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: four}}}
	if six.IsValid() {
		both := options
		yes := true
		both.EnableIPv6 = &yes
		both.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: four}, {Subnet: six}}}
		if err := o.createNetwork(ctx, name, both); err == nil || strings.Contains(err.Error(), "overlaps") {
			return err
		}
		// This engine cannot, or not on this kernel.
	}
	return o.createNetwork(ctx, name, options)
}

func (o objects) createNetwork(ctx context.Context, name string, options client.NetworkCreateOptions) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "make the network "+name, func(ctx context.Context, c *client.Client) (client.NetworkCreateResult, error) {
		return c.NetworkCreate(ctx, name, options)
	})
	return err
}

// removeNetworks removes the store's networks that have no container, running
// or not.
func (o objects) removeNetworks(ctx context.Context) error {
	list, err := engine.Call(ctx, o.engine, engine.Quick, "list the networks", func(ctx context.Context, c *client.Client) (client.NetworkListResult, error) {
		return c.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", labelStore+"="+o.store)})
	})
	if err != nil || len(list.Items) == 0 {
		return err
	}
	all, err := engine.Call(ctx, o.engine, engine.Quick, "list the containers", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{All: true})
	})
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, c := range all.Items {
		used[c.HostConfig.NetworkMode] = true
		if c.NetworkSettings != nil {
			for name := range c.NetworkSettings.Networks {
				used[name] = true
			}
		}
	}
	for _, n := range list.Items {
		if used[n.Name] || used[n.ID] {
			continue
		}
		if err := o.removeNetwork(ctx, n.ID, n.Name); err != nil {
			return err
		}
	}
	return nil
}

// hostIP is the address at which a port is published for a server: its own,
// or every one.
func hostIP(s vpn.Server) netip.Addr {
	if s.Listen.IsUnspecified() {
		return netip.Addr{}
	}
	return s.Listen
}
