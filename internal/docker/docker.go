// Package docker is the connection to the Docker engine of this machine: which
// one is meant, whether it can run servers, and what its errors mean. Nothing
// is asked of it, and next to no memory taken, before the first call.
//
// The package decides nothing about containers. It refuses an engine on
// another machine, since a server is where its control plane is.
package docker

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"vpn/internal/vpn"
)

// minAPI is that of engine 20.10, the oldest that is tried in tests.
const minAPI = "1.41"

// checkTimeout bounds the questions that a new connection begins with.
const checkTimeout = 5 * time.Second

// Options say which engine is meant. The zero value is the one that the
// docker command of this process's user would take.
type Options struct {
	// Host is the engine's address, such as unix:///run/docker.sock. If it is
	// empty, DOCKER_HOST, then the current Docker context, then
	// [DefaultHost] are asked.
	Host string

	// Getenv looks up the environment; nil is os.Getenv.
	Getenv func(string) string
}

// DefaultHost is where an engine listens unless told otherwise.
const DefaultHost = "unix:///var/run/docker.sock"

// Facts are what an engine says of itself.
type Facts struct {
	Version      string // of the engine
	API          string // that is spoken with it
	Architecture string // as GOARCH names it; "" if it is none that is known
	Remapped     bool   // user ids in containers are not those outside, unless a container asks for it
	UIDBase      int    // the user outside who is root in a container, if Remapped; 0: not known
	Root         string // where it keeps its data

	// Apart says that what containers call the host is not this machine: they
	// run on a kernel of its own, as with Docker Desktop, or the engine is
	// Rootless and has a network and users of its own.
	Apart, Rootless bool

	Asked time.Time // when the engine said so
}

// Engine is a Docker engine of this machine. Methods may be called
// concurrently.
type Engine struct {
	options Options

	mu     sync.Mutex
	client *client.Client
	facts  *Facts // of the engine that client has last been found good for
}

// New returns an engine. It does not connect to it.
func New(o Options) *Engine {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &Engine{options: o}
}

// Host returns the engine's address; of kind [vpn.Unavailable] is the error of
// one that cannot be used from here.
func (e *Engine) Host() (string, error) {
	host, from, err := e.options.host()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme == "" {
		return "", vpn.Errorf(vpn.Unavailable, "%q is not the address of a Docker engine (%s)", host, from).
			WithHint("an address looks like %s", DefaultHost)
	}
	if u.Scheme != "unix" {
		return "", vpn.Errorf(vpn.Unavailable, "the Docker engine at %s is reached over the network (%s): servers run on this machine", u.Redacted(), from).
			WithHint("name a local socket, such as DOCKER_HOST=%s, and run vpn on the engine's machine", DefaultHost)
	}
	return host, nil
}

// Client returns a connection to the engine, after it was found to be one
// that can run servers. The caller sees to time-outs and passes errors on
// through [Engine.Error]; [Call] does both.
func (e *Engine) Client(ctx context.Context) (*client.Client, error) {
	c, _, err := e.open(ctx)
	return c, err
}

// Facts returns what the engine says of itself.
func (e *Engine) Facts(ctx context.Context) (Facts, error) {
	_, f, err := e.open(ctx)
	if err != nil {
		return Facts{}, err
	}
	return *f, nil
}

// Close lets go of the connections. The engine may be used again.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client == nil {
		return nil
	}
	c := e.client
	e.client, e.facts = nil, nil
	return c.Close()
}

// forget makes the next call look at the engine anew: another one may have
// taken its place.
func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.facts = nil
}

func (e *Engine) open(ctx context.Context) (*client.Client, *Facts, error) {
	e.mu.Lock()
	c, facts := e.client, e.facts
	e.mu.Unlock()
	if facts != nil {
		return c, facts, nil
	}
	host, err := e.Host()
	if err != nil {
		return nil, nil, err
	}
	// A client of its own: others may be using the one before, and a look sets
	// the version of the API that is spoken by it.
	if c, err = client.New(client.WithHost(host)); err != nil {
		return nil, nil, fmt.Errorf("prepare a connection to the Docker engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	facts, err = look(ctx, c)
	if err != nil {
		_ = c.Close()
		return nil, nil, e.Error("ask what it is", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.facts != nil { // another call was faster
		_ = c.Close()
		return e.client, e.facts, nil
	}
	if e.client != nil {
		_ = e.client.Close() // of what is idle; who still uses it goes on
	}
	e.client, e.facts = c, facts
	return c, facts, nil
}

// look asks the engine what it is, and refuses one that cannot run servers.
func look(ctx context.Context, c *client.Client) (*Facts, error) {
	ping, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return nil, err
	}
	if ping.APIVersion == "" || versions.LessThan(ping.APIVersion, minAPI) {
		return nil, vpn.Errorf(vpn.Unavailable, "the Docker engine speaks API version %s, and %s is the oldest that servers can run on",
			orNone(ping.APIVersion), minAPI).WithHint("upgrade Docker to 20.10 or later")
	}
	version, err := c.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, err
	}
	for _, part := range version.Components {
		if strings.Contains(strings.ToLower(part.Name), "podman") {
			return nil, notPodman(ctx, c, part.Version)
		}
	}
	info, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, err
	}
	if info.Info.OSType != "linux" {
		return nil, vpn.Errorf(vpn.Unavailable, "the Docker engine runs containers of %s", orNone(info.Info.OSType)).
			WithHint("servers need an engine for Linux containers")
	}
	has := func(option string) bool {
		return slices.ContainsFunc(info.Info.SecurityOptions, func(o string) bool { return o == option || strings.HasPrefix(o, option+",") })
	}
	rootless := has("name=rootless")
	f := &Facts{
		Version: info.Info.ServerVersion, API: c.ClientVersion(), Architecture: goarch(info.Info.Architecture),
		Remapped: has("name=userns"), Root: info.Info.DockerRootDir,
		Apart:    rootless || info.Info.OperatingSystem == "Docker Desktop" || otherKernel(info.Info.KernelVersion, kernelRelease()),
		Rootless: rootless, Asked: time.Now(),
	}
	if f.Remapped {
		f.UIDBase = remapBase(f.Root)
	}
	return f, nil
}

// notPodman says what Podman lacks. That is asked of a container that there is
// not: who knows the question says so, by its name.
func notPodman(ctx context.Context, c *client.Client, version string) error {
	const nobody = "vpn-none"
	_, err := c.ContainerUpdate(ctx, nobody, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyDisabled}})
	out := vpn.Errorf(vpn.Unavailable, "this is Podman %s, on which servers were not tried: it asks no container by itself whether it is well, and brings none back after a boot", version)
	if err != nil && !strings.Contains(err.Error(), nobody) {
		out = vpn.Errorf(vpn.Unavailable, "this is Podman %s, whose Docker API cannot change when a container starts anew (POST /containers/NAME/update): no server could be stopped in order", version)
	}
	return out.WithHint("let DOCKER_HOST name the socket of a Docker engine, or run servers as processes: --runtime process")
}

// remapBase reads the user who is root in containers from the name of the
// engine's data directory, such as /var/lib/docker/100000.100000.
func remapBase(root string) int {
	uid, gid, _ := strings.Cut(path.Base(root), ".")
	base, err := strconv.Atoi(uid)
	if err != nil || uid != gid {
		return 0
	}
	return base
}

// otherKernel reports whether two kernels' releases, such as 6.1.0-26-amd64,
// differ in what every engine tells of them: their numbers.
func otherKernel(a, b string) bool {
	return a != "" && b != "" && numbers(a) != numbers(b)
}

func numbers(release string) (n [3]int) {
	release, _, _ = strings.Cut(release, "-")
	for i, part := range strings.SplitN(release, ".", len(n)) {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n[i], _ = strconv.Atoi(digits)
	}
	return n
}

// kernelRelease returns this machine's kernel's, or "" where that is not said.
func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// goarch translates what uname calls a machine.
func goarch(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "i386", "i686", "x86":
		return "386"
	case "riscv64":
		return "riscv64"
	}
	if strings.HasPrefix(machine, "arm") {
		return "arm"
	}
	return ""
}

// reach says why no connection can be made; nil if one can.
func reach(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		return err
	}
	return c.Close()
}
