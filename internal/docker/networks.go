package docker

import (
	"context"
	"net/netip"
	"time"

	"github.com/moby/moby/client"
)

// A Network is one of the engine's, whoever made it.
type Network struct {
	ID, Name, Driver string
	Labels           map[string]string
	Subnets          []netip.Prefix // none for the host's
	Created          time.Time
}

// Networks returns all networks of the engine.
func (e *Engine) Networks(ctx context.Context) ([]Network, error) {
	list, err := Call(ctx, e, Quick, "list the networks", func(ctx context.Context, c *client.Client) (client.NetworkListResult, error) {
		return c.NetworkList(ctx, client.NetworkListOptions{})
	})
	if err != nil {
		return nil, err
	}
	out := make([]Network, 0, len(list.Items))
	for _, n := range list.Items {
		network := Network{ID: n.ID, Name: n.Name, Driver: n.Driver, Labels: n.Labels, Created: n.Created}
		for _, c := range n.IPAM.Config {
			if c.Subnet.IsValid() {
				network.Subnets = append(network.Subnets, c.Subnet.Masked())
			}
		}
		out = append(out, network)
	}
	return out, nil
}
