package docker

import (
	"context"
	"log/slog"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	engine "vpn/internal/docker"
)

// helpers are containers that are never started: through them one sees what
// the engine mounts.
type helpers struct {
	objects
	image *engine.Image
	log   *slog.Logger
}

// helped calls f with a container that has m and is never started, and removes
// it.
func (h helpers) helped(ctx context.Context, m mount.Mount, f func(id string) error) error {
	tag, err := h.image.Ensure(ctx, h.engine)
	if err != nil {
		return err
	}
	if err := h.sweep(ctx, helperAge); err != nil {
		return err
	}
	made, err := engine.Call(ctx, h.engine, engine.Slow, "make a container to look through", func(ctx context.Context, c *client.Client) (client.ContainerCreateResult, error) {
		return c.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config:     &container.Config{Image: tag, Labels: map[string]string{labelStore: h.store, labelHelper: "1"}},
			HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{m}},
		})
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		if err := h.remove(ctx, made.ID); err != nil {
			h.log.Warn("a container that was never started is left", "err", err)
		}
	}()
	return f(made.ID)
}

// helperAge is how old a helper is that nobody uses any more.
const helperAge = time.Minute

// sweep removes helpers that are older, which control planes have left that
// were killed.
func (h helpers) sweep(ctx context.Context, age time.Duration) error {
	list, err := engine.Call(ctx, h.engine, engine.Quick, "list containers", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{
			All: true, Filters: make(client.Filters).Add("label", labelStore+"="+h.store).Add("label", labelHelper),
		})
	})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if time.Since(time.Unix(list.Items[i].Created, 0)) < age {
			continue
		}
		if err := h.remove(ctx, list.Items[i].ID); err != nil {
			return err
		}
	}
	return nil
}
