package cli

import (
	"github.com/spf13/pflag"

	"vpn/internal/vpn"
)

// homeFlags are the flags of where a server's worker lives.
type homeFlags struct {
	runtime, network string
	memory           uint64
	pids             int
}

func (f *homeFlags) add(fs *pflag.FlagSet) {
	fs.Var(&choice{to: &f.runtime, what: "runtime", of: vpn.Runtimes(), kind: "RUNTIME"}, "runtime", "where it runs: process, or docker for a container of the local engine (default as configured)")
	fs.StringVar(&f.network, "network", "", "of a container: host (default), or the `NAME` of a bridge network, made if it is not there")
	fs.Var(sizeValue(&f.memory), "memory", "of a container: the most memory (default 512MB)")
	fs.Var(countValue(&f.pids), "pids", "of a container: the most processes and threads (default 512)")
}

// homeFlagNames are their names.
func homeFlagNames() []string { return []string{"runtime", "network", "memory", "pids"} }

// container returns what was asked for, nil for nothing.
func (f *homeFlags) container(fs *pflag.FlagSet) *vpn.Container {
	if !fs.Changed("network") && !fs.Changed("memory") && !fs.Changed("pids") {
		return nil
	}
	return &vpn.Container{Network: f.network, Memory: f.memory, PIDs: f.pids}
}

// patch notes what was asked for in p.
func (f *homeFlags) patch(fs *pflag.FlagSet, p *vpn.ServerPatch) {
	if fs.Changed("runtime") {
		p.Runtime = &f.runtime
	}
	var c vpn.ContainerPatch
	if fs.Changed("network") {
		c.Network = &f.network
	}
	if fs.Changed("memory") {
		c.Memory = &f.memory
	}
	if fs.Changed("pids") {
		c.PIDs = &f.pids
	}
	if c != (vpn.ContainerPatch{}) {
		p.Container = &c
	}
}

// homeFields are what is shown of it.
func homeFields(s vpn.ServerInfo) []any {
	fields := []any{"runtime", s.Runtime}
	c := s.Container
	if c == nil {
		return fields
	}
	return append(fields,
		"container", containerName(s),
		"in network", c.Network,
		"memory limit", sizeCell(c.Memory),
		"process limit", countCell(c.PIDs),
	)
}

// containerName is empty if there is none now.
func containerName(s vpn.ServerInfo) string {
	if s.Worker == nil {
		return ""
	}
	return s.Worker.Container
}
