// Package compose makes a Docker Compose project of what a store holds: the
// control plane and each server is a service, and an environment is a file
// that is laid over the common one. It also reads such a project back, as far
// as it is made of what this package writes. Pure: data in, text out.
//
// The package must not talk to an engine, run a program, touch a file, or put
// anything secret into a project: what is secret stays in the data directory,
// and reaches a server by its control socket.
package compose

import (
	"maps"
	"slices"

	"vpn/internal/vpn"
)

// Project is a Compose project, as far as this product needs one
// (https://github.com/compose-spec/compose-spec).
type Project struct {
	Services map[string]Service `yaml:"services"`
}

// Service is one container of a project. The fields are Compose's, in the
// spelling that Compose 1.29 knows too.
type Service struct {
	Image           string            `yaml:"image,omitempty"`
	PullPolicy      string            `yaml:"pull_policy,omitempty"`
	Command         []string          `yaml:"command,omitempty,flow"`
	User            string            `yaml:"user,omitempty"`
	Restart         string            `yaml:"restart,omitempty"`
	DependsOn       []string          `yaml:"depends_on,omitempty,flow"`
	NetworkMode     string            `yaml:"network_mode,omitempty"`
	UsernsMode      string            `yaml:"userns_mode,omitempty"`
	ReadOnly        bool              `yaml:"read_only,omitempty"`
	CapDrop         []string          `yaml:"cap_drop,omitempty,flow"`
	CapAdd          []string          `yaml:"cap_add,omitempty,flow"`
	SecurityOpt     []string          `yaml:"security_opt,omitempty,flow"`
	MemLimit        Bytes             `yaml:"mem_limit,omitempty"`
	PidsLimit       int64             `yaml:"pids_limit,omitempty"`
	StopGracePeriod Duration          `yaml:"stop_grace_period,omitempty"`
	Environment     map[string]string `yaml:"environment,omitempty"`
	Volumes         []string          `yaml:"volumes,omitempty"` // SOURCE:TARGET, or SOURCE:TARGET:ro
	Tmpfs           []string          `yaml:"tmpfs,omitempty"`
	Healthcheck     *Healthcheck      `yaml:"healthcheck,omitempty"`
	Logging         *Logging          `yaml:"logging,omitempty"`
	Labels          map[string]string `yaml:"labels,omitempty"`
}

// Healthcheck is how the engine sees whether a service is well.
type Healthcheck struct {
	Test        []string `yaml:"test,omitempty,flow"`
	Interval    Duration `yaml:"interval,omitempty"`
	Timeout     Duration `yaml:"timeout,omitempty"`
	Retries     int      `yaml:"retries,omitempty"`
	StartPeriod Duration `yaml:"start_period,omitempty"`
}

// Logging is where the engine keeps what a service logs.
type Logging struct {
	Driver  string            `yaml:"driver,omitempty"`
	Options map[string]string `yaml:"options,omitempty"`
}

// The labels of a project's containers. They are none of the docker runtime's:
// nobody else takes such a container for its own.
const (
	LabelStore  = "vpn.compose.store"  // the id of the store
	LabelServer = "vpn.compose.server" // the id of the server; the control plane has none
	LabelName   = "vpn.compose.name"   // the server's name
	LabelHash   = "vpn.compose.hash"   // what the container was made of, if it was not Compose that made it
)

// The labels that Compose itself finds a project's containers by.
const (
	LabelProject     = "com.docker.compose.project"
	LabelService     = "com.docker.compose.service"
	LabelNumber      = "com.docker.compose.container-number"
	LabelOneOff      = "com.docker.compose.oneoff"
	LabelWorkingDir  = "com.docker.compose.project.working_dir"
	LabelConfigFiles = "com.docker.compose.project.config_files"
	LabelVersion     = "com.docker.compose.version"
	LabelConfigHash  = "com.docker.compose.config-hash"
)

// Names returns the services' names, those that others depend on first.
func (p Project) Names() []string {
	names := slices.Sorted(maps.Keys(p.Services))
	slices.SortStableFunc(names, func(a, b string) int {
		return len(p.Services[a].DependsOn) - len(p.Services[b].DependsOn)
	})
	return names
}

// Find returns the service that name means: by its own name, or by that of
// its server. Kind [vpn.NotFound] is the error of one that is none.
func (p Project) Find(name string) (string, error) {
	if _, ok := p.Services[name]; ok {
		return name, nil
	}
	for service, s := range p.Services {
		if s.Labels[LabelName] == name {
			return service, nil
		}
	}
	err := vpn.Errorf(vpn.NotFound, "the project has no service %q", name)
	if unknown := vpn.Unknown("service", name, p.Names()); unknown.Hint != "" {
		return "", err.WithHint("%s; after a new server: vpn compose generate", unknown.Hint)
	}
	return "", err
}
