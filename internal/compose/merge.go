package compose

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// under returns s with o laid over it, by Compose's rules: a value replaces
// another, tables are merged, lists are appended to, but for commands, which
// are values, and mounts, of which there is one at each path.
func (s Service) under(o Service) Service {
	out := Service{
		Image: cmp.Or(o.Image, s.Image), PullPolicy: cmp.Or(o.PullPolicy, s.PullPolicy),
		Command: s.Command, User: cmp.Or(o.User, s.User), Restart: cmp.Or(o.Restart, s.Restart),
		DependsOn:   appended(s.DependsOn, o.DependsOn),
		NetworkMode: cmp.Or(o.NetworkMode, s.NetworkMode), UsernsMode: cmp.Or(o.UsernsMode, s.UsernsMode),
		ReadOnly: s.ReadOnly || o.ReadOnly,
		CapDrop:  appended(s.CapDrop, o.CapDrop), CapAdd: appended(s.CapAdd, o.CapAdd), SecurityOpt: appended(s.SecurityOpt, o.SecurityOpt),
		MemLimit: cmp.Or(o.MemLimit, s.MemLimit), PidsLimit: cmp.Or(o.PidsLimit, s.PidsLimit),
		StopGracePeriod: cmp.Or(o.StopGracePeriod, s.StopGracePeriod),
		Environment:     merged(s.Environment, o.Environment),
		Volumes:         mounted(s.Volumes, o.Volumes), Tmpfs: appended(s.Tmpfs, o.Tmpfs),
		Healthcheck: s.Healthcheck.under(o.Healthcheck), Logging: s.Logging.under(o.Logging),
		Labels: merged(s.Labels, o.Labels),
	}
	if o.Command != nil {
		out.Command = o.Command
	}
	return out
}

func (h *Healthcheck) under(o *Healthcheck) *Healthcheck {
	if h == nil || o == nil {
		return cmp.Or(h, o)
	}
	out := Healthcheck{
		Test: h.Test, Interval: cmp.Or(o.Interval, h.Interval), Timeout: cmp.Or(o.Timeout, h.Timeout),
		Retries: cmp.Or(o.Retries, h.Retries), StartPeriod: cmp.Or(o.StartPeriod, h.StartPeriod),
	}
	if o.Test != nil {
		out.Test = o.Test
	}
	return &out
}

func (l *Logging) under(o *Logging) *Logging {
	switch {
	case l == nil || o == nil:
		return cmp.Or(l, o)
	case o.Driver != "" && o.Driver != l.Driver:
		return o // the options were another driver's
	}
	return &Logging{Driver: l.Driver, Options: merged(l.Options, o.Options)}
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		return maps.Clone(b)
	}
	maps.Copy(out, b)
	return out
}

func appended(a, b []string) []string {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func mounted(a, b []string) []string {
	target := func(mount string) string {
		_, at, _ := strings.Cut(mount, ":")
		at, _, _ = strings.Cut(at, ":")
		return at
	}
	out := slices.Clone(a)
	for _, v := range b {
		same := func(w string) bool { return target(w) == target(v) }
		if i := slices.IndexFunc(out, same); i >= 0 {
			out[i] = v
		} else {
			out = append(out, v)
		}
	}
	return out
}
