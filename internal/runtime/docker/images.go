package docker

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/moby/moby/api/types/container"

	engine "vpn/internal/docker"
)

// images are what earlier versions of this installation have left in the
// engine.
type images struct {
	image  *engine.Image
	engine *engine.Engine
	store  string // whose they are
	log    *slog.Logger
	lives  *lives

	looked atomic.Bool // since this process began
}

// outdated has the images removed that no container uses any more, if there
// may be some: a server has begun another life in place of those in before,
// and was of another version then, or this program is perhaps new here.
// Nobody waits for it.
func (i *images) outdated(before []container.Summary) {
	tag, err := i.image.Tag()
	if err != nil {
		return
	}
	first := i.looked.CompareAndSwap(false, true)
	if !first && !slices.ContainsFunc(before, func(c container.Summary) bool { return c.Image != tag }) {
		return
	}
	i.lives.later(func(ctx context.Context) {
		gone, err := engine.RemoveImages(ctx, i.engine, i.store, tag)
		if err != nil && ctx.Err() == nil {
			i.log.Warn("the image of an earlier version may be left in the engine", slog.Any("err", err))
		}
		for _, name := range gone {
			i.log.Info("removed the image of an earlier version", slog.String("image", name))
		}
	})
}
