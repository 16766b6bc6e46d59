package docker

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// objects are what an engine holds of a store.
type objects struct {
	engine  *engine.Engine
	store   string
	subnets func(ctx context.Context) (four, six netip.Prefix, err error) // nil: the engine chooses
	making  *sync.Mutex                                                   // held by whoever makes a network
}

// containers returns those of one server, with what they are now: the engine's
// list is of a moment ago, before the last event.
func (o objects) containers(ctx context.Context, id vpn.ServerID) ([]container.Summary, error) {
	listed, err := o.list(ctx, id)
	if err != nil {
		return nil, err
	}
	all := listed[:0]
	for _, c := range listed {
		now, err := o.inspect(ctx, c.ID)
		switch {
		case vpn.KindOf(err) == vpn.NotFound:
			continue
		case err != nil:
			return nil, err
		case now.State != nil:
			c.State = now.State.Status
		}
		all = append(all, c)
	}
	return all, nil
}

// list returns the containers of one server, or of all for an empty id,
// whatever their state.
func (o objects) list(ctx context.Context, id vpn.ServerID) ([]container.Summary, error) {
	list, err := engine.Call(ctx, o.engine, engine.Quick, "list the containers of servers", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: o.ours(id)})
	})
	return list.Items, err
}

// ours are the filters for what belongs to a server, or to any for an empty
// id.
func (o objects) ours(id vpn.ServerID) client.Filters {
	f := make(client.Filters).Add("label", labelStore+"="+o.store)
	if id == "" {
		return f.Add("label", labelServer)
	}
	return f.Add("label", labelServer+"="+string(id))
}

// living returns the container that has a worker, or will have one by itself.
func living(all []container.Summary) *container.Summary {
	for i := range all {
		switch all[i].State {
		case container.StateRunning, container.StatePaused, container.StateRestarting:
			return &all[i]
		}
	}
	return nil
}

// unborn reports whether a container was made just now, which is started next,
// unless whoever made it is dead.
func unborn(all []container.Summary) bool {
	return slices.ContainsFunc(all, func(c container.Summary) bool {
		return c.State == container.StateCreated && time.Since(time.Unix(c.Created, 0)) < restartWait
	})
}

func name(c *container.Summary) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return strings.TrimPrefix(c.Names[0], "/")
}

// inspect asks the engine for a container. It is of kind [vpn.NotFound] if
// there is none.
func (o objects) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	r, err := engine.Call(ctx, o.engine, engine.Quick, "look at a container", func(ctx context.Context, c *client.Client) (client.ContainerInspectResult, error) {
		return c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	})
	return r.Container, err
}

// remove removes a container, alive or not.
func (o objects) remove(ctx context.Context, id string) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "remove a container", func(ctx context.Context, c *client.Client) (client.ContainerRemoveResult, error) {
		return c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	if vpn.KindOf(err) == vpn.NotFound || vpn.KindOf(err) == vpn.Conflict && strings.Contains(err.Error(), "already in progress") {
		return nil
	}
	return err
}

func (o objects) setRestart(ctx context.Context, id string, policy container.RestartPolicyMode) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "change when a container starts anew", func(ctx context.Context, c *client.Client) (client.ContainerUpdateResult, error) {
		return c.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: policy}})
	})
	return err
}

func (o objects) stop(ctx context.Context, id string) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "stop a container", func(ctx context.Context, c *client.Client) (client.ContainerStopResult, error) {
		now := 0
		return c.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &now})
	})
	return err
}

func (o objects) unpause(ctx context.Context, id string) error {
	_, err := engine.Call(ctx, o.engine, engine.Slow, "let a container go on", func(ctx context.Context, c *client.Client) (client.ContainerUnpauseResult, error) {
		return c.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	})
	if err != nil {
		c, again := o.inspect(ctx, id)
		if again == nil && c.State != nil && !c.State.Paused {
			return nil
		}
	}
	return err
}

func (o objects) make(ctx context.Context, s vpn.Server, what client.ContainerCreateOptions) (string, error) {
	made, err := engine.Call(ctx, o.engine, engine.Slow, "make a container for server "+s.Name, func(ctx context.Context, c *client.Client) (client.ContainerCreateResult, error) {
		return c.ContainerCreate(ctx, what)
	})
	return made.ID, err
}

// lastLines returns the end of what a container has written.
func (o objects) lastLines(ctx context.Context, id string) string {
	const lines = 100
	text, err := engine.Call(ctx, o.engine, engine.Quick, "read a container's log", func(ctx context.Context, c *client.Client) (string, error) {
		r, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
		if err != nil {
			return "", err
		}
		defer r.Close()
		var b strings.Builder
		_, err = stdcopy.StdCopy(&b, &b, io.LimitReader(r, 1<<20))
		return b.String(), err
	})
	if err != nil {
		return ""
	}
	return text
}

// removeVolumes removes those that pass the filters.
func (o objects) removeVolumes(ctx context.Context, filters client.Filters) error {
	list, err := engine.Call(ctx, o.engine, engine.Quick, "list the volumes", func(ctx context.Context, c *client.Client) (client.VolumeListResult, error) {
		return c.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	})
	if err != nil {
		return err
	}
	for _, v := range list.Items {
		_, err := engine.Call(ctx, o.engine, engine.Slow, "remove the volume "+v.Name, func(ctx context.Context, c *client.Client) (client.VolumeRemoveResult, error) {
			return c.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		})
		if err != nil && vpn.KindOf(err) != vpn.NotFound {
			return err
		}
	}
	return nil
}
