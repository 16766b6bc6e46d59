package vpn

import (
	"slices"
	"strings"
)

// Runtimes returns where a server's worker can live.
func Runtimes() []string { return []string{RuntimeProcess, RuntimeDocker} }

// ValidRuntime returns an error that names the runtimes there are unless s is
// one of them.
func ValidRuntime(s string) error {
	if slices.Contains(Runtimes(), s) {
		return nil
	}
	return Unknown("runtime", s, Runtimes())
}

// Container is what the container of a server's worker gets of its machine.
type Container struct {
	Network string `json:"network,omitempty" doc:"host, or the name of a bridge network of the engine, which is made if it is not there; left out: host"`
	Memory  uint64 `json:"memory,omitempty" doc:"the most that it may use, in bytes; left out: 512 MB"`
	PIDs    int    `json:"pids,omitempty" doc:"the most processes and threads; left out: 512"`
}

// ContainerPatch changes the fields that are set.
type ContainerPatch struct {
	Network *string `json:"network,omitempty" doc:"host, or the name of a bridge network of the engine"`
	Memory  *uint64 `json:"memory,omitempty" doc:"the most that it may use, in bytes"`
	PIDs    *int    `json:"pids,omitempty" doc:"the most processes and threads"`
}

// What a container gets if nobody says otherwise, and what can be asked for.
const (
	NetworkHost     = "host"
	ContainerMemory = 512e6
	ContainerPIDs   = 512

	leastMemory = 64e6
	mostMemory  = 1e12
	leastPIDs   = 32
	mostPIDs    = 100_000
)

// Bridged reports whether the container has a network of its own. There the
// engine may hide from where clients come.
func (c *Container) Bridged() bool {
	return c != nil && c.Network != "" && c.Network != NetworkHost
}

// Filled returns c with what it leaves open as it is by default. c may be nil.
func (c *Container) Filled() *Container {
	out := Container{Network: NetworkHost, Memory: ContainerMemory, PIDs: ContainerPIDs}
	if c == nil {
		return &out
	}
	if c.Network != "" {
		out.Network = c.Network
	}
	if c.Memory != 0 {
		out.Memory = c.Memory
	}
	if c.PIDs != 0 {
		out.PIDs = c.PIDs
	}
	return &out
}

// Patched returns c, which may be nil, with the changes of p.
func (c *Container) Patched(p ContainerPatch) *Container {
	out := c.Filled()
	if p.Network != nil {
		out.Network = *p.Network
	}
	if p.Memory != nil {
		out.Memory = *p.Memory
	}
	if p.PIDs != nil {
		out.PIDs = *p.PIDs
	}
	return out
}

// validNetwork reports whether an engine takes s as the name of a network.
func validNetwork(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("_.-", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// Valid returns an error of kind [Invalid] if an engine would refuse c, or a
// worker could not live in it. Fields that are left open are right.
func (c *Container) Valid() error {
	switch {
	case c == nil:
		return nil
	case c.Network == "none":
		return Errorf(Invalid, "in the network none nobody could reach the server").WithHint("choose host, or the name of a bridge")
	case c.Network != "" && !validNetwork(c.Network):
		return Errorf(Invalid, "%q cannot be the name of a network", c.Network).
			WithHint("a name has up to 63 letters, digits, and _ . - after the first; or it is host")
	case c.Memory != 0 && (c.Memory < leastMemory || c.Memory > mostMemory):
		return Errorf(Invalid, "the memory of a container must be from 64 MB to 1 TB").
			WithHint("write it like --memory 256MB; left out, it is 512 MB")
	case c.PIDs != 0 && (c.PIDs < leastPIDs || c.PIDs > mostPIDs):
		return Errorf(Invalid, "the processes of a container must be from %d to %d", leastPIDs, mostPIDs).
			WithHint("leave them out: %d is plenty", ContainerPIDs)
	}
	return nil
}
