package containers

import (
	"context"

	"github.com/moby/moby/client"

	"vpn/internal/compose"
	"vpn/internal/docker"
)

// Volumes returns the names of the project's volumes. It has none but those
// that somebody has added to it.
func (c *Containers) Volumes(ctx context.Context) ([]string, error) {
	found, err := docker.Call(ctx, c.engine, docker.Quick, "list the project's volumes", func(ctx context.Context, e *client.Client) (client.VolumeListResult, error) {
		return e.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", compose.LabelProject+"="+c.project)})
	})
	var names []string
	for _, v := range found.Items {
		names = append(names, v.Name)
	}
	return names, err
}

// RemoveVolumes removes volumes that no container uses.
func (c *Containers) RemoveVolumes(ctx context.Context, names []string, say Say) error {
	for _, name := range names {
		_, err := docker.Call(ctx, c.engine, docker.Slow, "remove the volume "+name, func(ctx context.Context, e *client.Client) (client.VolumeRemoveResult, error) {
			return e.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		})
		if gone(err) != nil {
			return err
		}
		say("removed", "volume "+name)
	}
	return nil
}
