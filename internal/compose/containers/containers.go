// Package containers acts on the containers of a Compose project through the
// Docker engine: it lists, makes, stops and removes them, and reads what they
// log. They are found by the labels that Compose gives them, whoever made
// them, and no others are touched.
//
// The package does not decide what a project is, writes no files and asks no
// control plane. Methods may be called concurrently.
package containers

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"vpn/internal/compose"
	"vpn/internal/docker"
	"vpn/internal/vpn"
)

// Containers are those of one project.
type Containers struct {
	engine  *docker.Engine
	project string
}

// New returns the containers of the project of that name. It asks nothing yet.
func New(e *docker.Engine, project string) *Containers { return &Containers{e, project} }

// Container is one of them.
type Container struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Name    string    `json:"name"`
	Server  string    `json:"server,omitempty" doc:"its server's name; the control plane has none"`
	Image   string    `json:"image"`
	State   string    `json:"state" doc:"as the engine calls it: running, restarting, paused, exited, created"`
	Health  string    `json:"health,omitempty" doc:"starting, healthy or unhealthy"`
	Status  string    `json:"status" doc:"for how long, in the engine's words"`
	Created time.Time `json:"created"`

	Dir string `json:"-"` // of the project's files; "" if whoever made it did not say

	serves bool   // it is a server's
	hash   string // what it was made of
	number string // of several of its service
}

// List returns all of them, also those that do not run: the control plane's
// first, then by service.
func (c *Containers) List(ctx context.Context) ([]Container, error) {
	found, err := docker.Call(ctx, c.engine, docker.Quick, "list the project's containers", func(ctx context.Context, e *client.Client) (client.ContainerListResult, error) {
		return e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", compose.LabelProject+"="+c.project)})
	})
	if err != nil {
		return nil, err
	}
	out := make([]Container, 0, len(found.Items))
	for _, s := range found.Items {
		if oneOff := s.Labels[compose.LabelOneOff]; strings.EqualFold(oneOff, "true") {
			continue // somebody's "compose run"
		}
		out = append(out, of(s))
	}
	slices.SortFunc(out, func(a, b Container) int {
		if a.serves != b.serves {
			if b.serves {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.number, b.number))
	})
	return out, nil
}

func of(s container.Summary) Container {
	out := Container{
		ID: s.ID, Service: s.Labels[compose.LabelService], Server: s.Labels[compose.LabelName], Image: s.Image,
		Dir: s.Labels[compose.LabelWorkingDir], State: string(s.State), Status: s.Status, Created: time.Unix(s.Created, 0).UTC(),
		serves: s.Labels[compose.LabelServer] != "", hash: s.Labels[compose.LabelHash], number: s.Labels[compose.LabelNumber],
	}
	if len(s.Names) > 0 {
		out.Name = strings.TrimPrefix(s.Names[0], "/")
	}
	// An older engine tells it in words only: Up 5 seconds (healthy).
	for _, word := range []string{"health: starting", "unhealthy", "healthy"} {
		if strings.Contains(s.Status, "("+word+")") {
			out.Health = strings.TrimPrefix(word, "health: ")
		}
	}
	return out
}

// Of returns those of the named services; all if none is named. One that has
// no container is an error of kind [vpn.NotFound].
func Of(all []Container, services ...string) ([]Container, error) {
	if len(services) == 0 {
		return all, nil
	}
	var out []Container
	for _, name := range services {
		found := slices.DeleteFunc(slices.Clone(all), func(c Container) bool { return c.Service != name })
		if len(found) == 0 {
			return nil, vpn.Errorf(vpn.NotFound, "service %s has no container", name).WithHint("vpn compose up %s", name)
		}
		out = append(out, found...)
	}
	return out, nil
}

// Say tells what is done, as it is done: "started", "main".
type Say func(done, service string)

// stopPatience is longer than any service's own time to stop.
const stopPatience = time.Minute

// Restart restarts containers, one after the other.
func (c *Containers) Restart(ctx context.Context, list []Container, say Say) error {
	for _, one := range list {
		_, err := docker.Call(ctx, c.engine, stopPatience, "restart "+one.Service, func(ctx context.Context, e *client.Client) (client.ContainerRestartResult, error) {
			return e.ContainerRestart(ctx, one.ID, client.ContainerRestartOptions{})
		})
		if err != nil {
			return err
		}
		say("restarted", one.Service)
	}
	return nil
}

// Down stops and removes all containers, servers first: so the control plane
// hears of all that they counted. Networks of the project go too, volumes
// stay.
func (c *Containers) Down(ctx context.Context, say Say) error {
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	servers := slices.DeleteFunc(slices.Clone(all), func(one Container) bool { return !one.serves })
	rest := slices.DeleteFunc(all, func(one Container) bool { return one.serves })
	for _, list := range [][]Container{servers, rest} {
		if err := each(list, func(one Container) error { return c.stop(ctx, one) }); err != nil {
			return err
		}
		for _, one := range list {
			if err := c.remove(ctx, one); err != nil {
				return err
			}
			say("removed", one.Service)
		}
	}
	return c.removeNetworks(ctx, say)
}

// each calls f for all of list at once, and returns the first error.
func each(list []Container, f func(Container) error) error {
	done := make(chan error, len(list))
	for _, one := range list {
		go func() { done <- f(one) }()
	}
	var first error
	for range list {
		if err := <-done; first == nil {
			first = err
		}
	}
	return first
}

func (c *Containers) stop(ctx context.Context, one Container) error {
	_, err := docker.Call(ctx, c.engine, stopPatience, "stop "+one.Service, func(ctx context.Context, e *client.Client) (client.ContainerStopResult, error) {
		if one.State == "paused" { // it would not hear of it
			if _, err := e.ContainerUnpause(ctx, one.ID, client.ContainerUnpauseOptions{}); err != nil {
				return client.ContainerStopResult{}, err
			}
		}
		return e.ContainerStop(ctx, one.ID, client.ContainerStopOptions{})
	})
	return gone(err)
}

func (c *Containers) remove(ctx context.Context, one Container) error {
	_, err := docker.Call(ctx, c.engine, docker.Slow, "remove "+one.Service, func(ctx context.Context, e *client.Client) (client.ContainerRemoveResult, error) {
		return e.ContainerRemove(ctx, one.ID, client.ContainerRemoveOptions{Force: true})
	})
	return gone(err)
}

// gone is err, unless it says that what was to go is not there any more.
func gone(err error) error {
	if vpn.KindOf(err) == vpn.NotFound {
		return nil
	}
	return err
}

func (c *Containers) removeNetworks(ctx context.Context, say Say) error {
	found, err := docker.Call(ctx, c.engine, docker.Quick, "list the project's networks", func(ctx context.Context, e *client.Client) (client.NetworkListResult, error) {
		return e.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", compose.LabelProject+"="+c.project)})
	})
	if err != nil {
		return err
	}
	for _, n := range found.Items {
		_, err := docker.Call(ctx, c.engine, docker.Slow, "remove the network "+n.Name, func(ctx context.Context, e *client.Client) (client.NetworkRemoveResult, error) {
			return e.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		})
		if gone(err) != nil {
			return err
		}
		say("removed", "network "+n.Name)
	}
	return nil
}
