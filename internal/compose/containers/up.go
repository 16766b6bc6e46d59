package containers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"vpn/internal/compose"
	"vpn/internal/docker"
	"vpn/internal/vpn"
)

// A Step is what has to be done to one service.
type Step struct {
	Verb    string `json:"verb" doc:"create, recreate, start, remove or keep"`
	Service string `json:"service"`

	spec  compose.Service
	hash  string
	there []Container
}

// Past returns the word for having done it.
func (s Step) Past() string {
	return map[string]string{"create": "created", "recreate": "recreated", "start": "started", "remove": "removed"}[s.Verb]
}

// Plan returns what makes the containers those of p, in the order in which it
// is to be done. Of the named services and those that they need; with none,
// of all, and containers of services that are no more are removed.
func (c *Containers) Plan(ctx context.Context, p compose.Project, services ...string) ([]Step, error) {
	all, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range services {
		wanted[name] = true
		for _, needs := range p.Services[name].DependsOn {
			wanted[needs] = true
		}
	}
	var steps []Step
	for _, one := range all {
		if _, ok := p.Services[one.Service]; !ok && len(services) == 0 {
			steps = append(steps, Step{Verb: "remove", Service: one.Service, there: []Container{one}})
		}
	}
	for _, name := range p.Names() {
		if len(services) > 0 && !wanted[name] {
			continue
		}
		hash, err := hashOf(p.Services[name])
		if err != nil {
			return nil, err
		}
		step := Step{Verb: "create", Service: name, spec: p.Services[name], hash: hash}
		step.there = slices.DeleteFunc(slices.Clone(all), func(one Container) bool { return one.Service != name })
		switch {
		case len(step.there) == 0:
		case len(step.there) > 1 || step.there[0].hash != hash:
			step.Verb = "recreate"
		case step.there[0].State == "running":
			step.Verb = "keep"
		default:
			step.Verb = "start"
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func hashOf(s compose.Service) (string, error) {
	text, err := compose.Project{Services: map[string]compose.Service{"": s}}.Text()
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// Place is where a project's files are, for Compose itself.
type Place struct {
	Dir   string
	Files []string
}

// Do does steps, and says of each when it is done.
func (c *Containers) Do(ctx context.Context, steps []Step, at Place, say Say) error {
	for _, s := range steps {
		if s.Verb == "keep" {
			continue
		}
		if s.Verb == "start" {
			if err := c.start(ctx, s.Service, s.there[0].ID); err != nil {
				return err
			}
			say(s.Past(), s.Service)
			continue
		}
		for _, one := range s.there {
			if err := c.stop(ctx, one); err != nil {
				return err
			}
			if err := c.remove(ctx, one); err != nil {
				return err
			}
		}
		if s.Verb != "remove" {
			id, err := c.create(ctx, s, at)
			if err != nil {
				return err
			}
			if err := c.start(ctx, s.Service, id); err != nil {
				return err
			}
		}
		say(s.Past(), s.Service)
	}
	return nil
}

func (c *Containers) start(ctx context.Context, service, id string) error {
	_, err := docker.Call(ctx, c.engine, docker.Slow, "start "+service, func(ctx context.Context, e *client.Client) (client.ContainerStartResult, error) {
		return e.ContainerStart(ctx, id, client.ContainerStartOptions{})
	})
	return err
}

// likeCompose is the Compose as whose containers ours are labelled. Compose
// 1.29 breaks at those that do not say one, and 5 does not see those without a
// hash of its own, which it then finds to be another.
const likeCompose = "1.29.2"

func (c *Containers) create(ctx context.Context, s Step, at Place) (string, error) {
	policy, err := restartPolicy(s.spec.Restart)
	if err != nil {
		return "", err
	}
	spec := s.spec
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{
		compose.LabelProject: c.project, compose.LabelService: s.Service, compose.LabelNumber: "1", compose.LabelOneOff: "False",
		compose.LabelWorkingDir: at.Dir, compose.LabelConfigFiles: strings.Join(at.Files, ","), compose.LabelHash: s.hash,
		compose.LabelVersion: likeCompose, compose.LabelConfigHash: s.hash,
	})
	config := &container.Config{Image: spec.Image, Cmd: spec.Command, User: spec.User, Labels: labels}
	for _, name := range slices.Sorted(maps.Keys(spec.Environment)) {
		config.Env = append(config.Env, name+"="+spec.Environment[name])
	}
	if grace := time.Duration(spec.StopGracePeriod); grace > 0 {
		seconds := int(grace / time.Second)
		config.StopTimeout = &seconds
	}
	if h := spec.Healthcheck; h != nil {
		config.Healthcheck = &container.HealthConfig{
			Test: h.Test, Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout), StartPeriod: time.Duration(h.StartPeriod), Retries: h.Retries,
		}
	}
	host := &container.HostConfig{
		Binds: spec.Volumes, NetworkMode: container.NetworkMode(spec.NetworkMode), UsernsMode: container.UsernsMode(spec.UsernsMode),
		ReadonlyRootfs: spec.ReadOnly, CapDrop: spec.CapDrop, CapAdd: spec.CapAdd, SecurityOpt: spec.SecurityOpt, RestartPolicy: policy,
		Resources: container.Resources{Memory: int64(min(spec.MemLimit, 1<<62))},
	}
	if spec.PidsLimit > 0 {
		host.PidsLimit = &spec.PidsLimit
	}
	if l := spec.Logging; l != nil {
		host.LogConfig = container.LogConfig{Type: l.Driver, Config: l.Options}
	}
	for _, mount := range spec.Tmpfs {
		path, options, _ := strings.Cut(mount, ":")
		if host.Tmpfs == nil {
			host.Tmpfs = map[string]string{}
		}
		host.Tmpfs[path] = options
	}
	made, err := docker.Call(ctx, c.engine, docker.Slow, "create "+s.Service, func(ctx context.Context, e *client.Client) (client.ContainerCreateResult, error) {
		return e.ContainerCreate(ctx, client.ContainerCreateOptions{Config: config, HostConfig: host, Name: c.project + "-" + s.Service + "-1"})
	})
	return made.ID, err
}

// restartPolicy reads Compose's: on-failure:5.
func restartPolicy(text string) (container.RestartPolicy, error) {
	name, times, _ := strings.Cut(text, ":")
	p := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if text == "" {
		p.Name = container.RestartPolicyDisabled
	}
	if times != "" {
		n, err := strconv.Atoi(times)
		if err != nil || n < 0 {
			return p, vpn.Errorf(vpn.Invalid, "%q is no restart policy", text).WithHint("as in on-failure:5")
		}
		p.MaximumRetryCount = n
	}
	return p, nil
}
