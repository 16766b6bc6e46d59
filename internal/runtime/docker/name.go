package docker

import (
	"context"
	"time"

	"github.com/moby/moby/client"

	"vpn/internal/vpn"
)

// insist makes a container whose name the engine has just refused, unless it
// is somebody else's. A control plane that was killed while it made one has
// left it there; an engine also keeps a name for a container that it is still
// making, and that it does not show yet.
func (b birth) insist(ctx context.Context, o client.ContainerCreateOptions, refused error) (string, error) {
	for late := time.Now().Add(birthTimeout); ; {
		c, err := b.inspect(ctx, o.Name)
		switch {
		case vpn.KindOf(err) == vpn.NotFound:
		case err != nil:
			return "", err
		case c.Config == nil || c.Config.Labels[labelStore] != b.options.Store || c.Config.Labels[labelServer] != string(b.s.ID):
			return "", refused
		default:
			b.removeStray(ctx)
		}
		made, err := b.make(ctx, b.s, o)
		if vpn.KindOf(err) != vpn.Conflict || time.Now().After(late) {
			return made, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(restartPoll):
		}
	}
}
