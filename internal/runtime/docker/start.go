package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"vpn/internal/app"
	entry "vpn/internal/container"
	engine "vpn/internal/docker"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

const (
	startTimeout = 20 * time.Second
	answerPoll   = 5 * time.Millisecond
)

// Start starts a container for a server that has none, and returns once its
// worker answers; with kind [vpn.Conflict] if there is one. What an earlier
// container left is removed, but for counters.
func (w *Workers) Start(ctx context.Context, s vpn.Server) (app.Worker, error) {
	if err := vpn.ValidName(s.Name); err != nil {
		return nil, err
	}
	p, err := w.take(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer p.release()
	if p.current != nil && !p.current.ended() {
		return nil, has(s)
	}
	all, err := w.containers(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	if living(all) != nil {
		return nil, has(s)
	}
	for i := range all {
		if err := w.remove(ctx, all[i].ID); err != nil {
			return nil, err
		}
	}
	b := birth{w, s}
	id, err := b.create(ctx)
	if err != nil {
		return nil, err
	}
	a, err := b.launch(ctx, id)
	if err != nil {
		b.abandon(ctx, id)
		return nil, err
	}
	p.current = a
	w.images.outdated(all)
	w.log.Info("worker started", slog.String("server", s.Name), slog.String("container", id[:12]), slog.Int("pid", a.pid))
	return a, nil
}

// A birth is one start of one server.
type birth struct {
	*Workers
	s vpn.Server
}

func has(s vpn.Server) error {
	return vpn.Errorf(vpn.Conflict, "server %s has a container that runs already", s.Name)
}

// abandon removes a container that did not start, whether or not the caller
// still waits.
func (b birth) abandon(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := b.remove(ctx, id); err != nil {
		b.log.Warn("a container that did not start is left", slog.Any("err", err))
	}
}

// containerName is unlike those of other stores' servers of the same name, and
// of an earlier server that has given its name away.
func (b birth) containerName() string {
	s := b.s
	sum := sha256.Sum256([]byte(b.options.Store + "/" + string(s.ID)))
	return "vpn-" + strings.ReplaceAll(s.Name, "@", "-") + "-" + hex.EncodeToString(sum[:4])
}

// create makes what the container needs, and the container.
func (b birth) create(ctx context.Context) (string, error) {
	s := b.s
	facts, err := b.options.Engine.Facts(ctx)
	if err != nil {
		return "", err
	}
	if facts.Apart && !s.Container.Bridged() {
		why := "the Docker engine runs containers in a machine of its own, whose network is not this machine's"
		if facts.Rootless {
			why = "the Docker engine runs without root, and has a network of its own, which is not this machine's"
		}
		return "", vpn.Errorf(vpn.Unavailable, "%s; let it publish the port: vpn server update %s --network vpn", why, s.Name).
			WithHint("or run it as a process: vpn server stop %s, then vpn server update %[1]s --runtime process", s.Name)
	}
	tag, err := b.options.Image.Ensure(ctx, b.options.Engine)
	if err != nil {
		return "", err
	}
	h, err := b.home(ctx, facts)
	if err != nil {
		return "", err
	}
	if s.Container.Bridged() {
		if err := b.ensureNetwork(ctx, s.Container.Network); err != nil {
			return "", err
		}
	}
	if h.tunnel, err = b.tunnel(h); err != nil {
		return "", err
	}
	o := b.describe(tag, h)
	if facts.Remapped && !s.Container.Bridged() {
		o.HostConfig.UsernsMode = hostNetwork // or the engine refuses the host's network
	}
	made, err := b.make(ctx, s, o)
	if vpn.KindOf(err) == vpn.NotFound {
		// Another installation of ours has just removed what nobody used.
		if _, err := b.options.Image.Ensure(ctx, b.options.Engine); err != nil {
			return "", err
		}
		made, err = b.make(ctx, s, o)
	}
	if vpn.KindOf(err) == vpn.Conflict {
		made, err = b.insist(ctx, o, err)
	}
	if vpn.KindOf(err) == vpn.Conflict {
		return "", vpn.Errorf(vpn.Conflict, "the name %s is taken by a container that is not of this installation: %w", o.Name, err).
			WithHint("rename or remove it: docker rename %s OTHER", o.Name)
	}
	if err == nil && h.volume != "" {
		if err = b.kept(s.ID).empty(ctx, made, worker.SpecFile); err != nil { // what an earlier worker was told
			b.abandon(ctx, made)
		}
	}
	return made, err
}

// A home is what is outside of a container for its worker.
type home struct {
	uid    int    // who serves, as the container numbers it
	tunnel string // the TUN device, if it has one
	volume string // that it has in place of a directory of the control plane's
}

// home makes where the worker keeps what outlives the container.
func (b birth) home(ctx context.Context, facts engine.Facts) (h home, err error) {
	h.uid = os.Geteuid()
	if h.uid == 0 {
		h.uid = engine.UID
	}
	if err := b.makeDirs(); err != nil {
		return h, err
	}
	sees, err := b.sight.sees(ctx, b.runDir(b.s.ID), facts)
	switch {
	case err != nil:
		return h, err
	case sees:
		return h, b.giveDirs(h.uid, facts)
	case facts.Remapped && !b.s.Container.Bridged():
		return h, vpn.Errorf(vpn.Unavailable, "the Docker engine gives containers other user ids (userns-remap) and does not see this machine's directories").
			WithHint("let server %s have a network of its own: --network vpn", b.s.Name)
	}
	// The engine gives a new volume the owner that the directory has in the image.
	h.uid = engine.UID
	h.volume, err = b.kept(b.s.ID).ensure(ctx, b.s, b.containerName())
	return h, err
}

// removeStray removes a container that the engine has made just now for a
// control plane that is dead by then, and reports whether there was one.
func (b birth) removeStray(ctx context.Context) bool {
	all, err := b.containers(ctx, b.s.ID)
	if err != nil || len(all) == 0 || living(all) != nil {
		return false
	}
	for i := range all {
		if b.remove(ctx, all[i].ID) != nil {
			return false
		}
	}
	return true
}

// makeDirs makes the server's directory, with nothing in it that an earlier
// worker was told.
func (b birth) makeDirs() error {
	id := b.s.ID
	for _, dir := range []string{b.dir(id), b.stateDir(id), b.runDir(id)} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a server's directory: %w", err)
		}
	}
	for _, file := range []string{filepath.Join(b.stateDir(id), worker.SpecFile), filepath.Join(b.runDir(id), entry.Socket)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what an earlier worker was told: %w", err)
		}
	}
	return nil
}

// giveDirs gives the server's directory to who serves.
func (b birth) giveDirs(uid int, facts engine.Facts) error {
	if facts.Remapped && b.s.Container.Bridged() {
		if facts.UIDBase == 0 || os.Geteuid() != 0 {
			return vpn.Errorf(vpn.Unavailable, "the Docker engine gives containers other user ids (userns-remap), which cannot be translated here").
				WithHint("let server %s have the network of the host: --network host", b.s.Name)
		}
		uid += facts.UIDBase // that user's number, where the directories are
	}
	if os.Geteuid() != 0 {
		return nil
	}
	for _, dir := range []string{b.stateDir(b.s.ID), b.runDir(b.s.ID)} {
		if err := os.Lchown(dir, uid, uid); err != nil {
			return fmt.Errorf("give a server its directory: %w", err)
		}
	}
	return nil
}

// tunnel makes the server's TUN device, if it is to have one. An engine that
// sees other directories than this process may have other devices, too.
func (b birth) tunnel(h home) (string, error) {
	s := b.s
	if b.options.Tunnel == nil || s.Container.Bridged() || h.volume != "" || os.Geteuid() != 0 {
		return "", nil
	}
	return b.options.Tunnel(s, 0)
}

// trust is where programs on Linux find the authorities of certificates.
var trust = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

// describe says what the container is.
func (b birth) describe(tag string, h home) client.ContainerCreateOptions {
	s := b.s
	c := s.Container.Filled()
	pids := int64(c.PIDs)
	user := strconv.Itoa(h.uid)
	var capabilities []string
	low := s.Port < 1024 && !s.Container.Bridged()
	if (os.Geteuid() == 0 || h.volume != "") && (low || h.tunnel != "") {
		// See entry.Main: it becomes the other one as soon as it can.
		user = "0"
		capabilities = []string{"SETUID", "SETGID"}
		if low {
			capabilities = append(capabilities, "NET_BIND_SERVICE")
		}
	}
	args := []string{entry.Command, entry.Run, s.Name}
	var devices []container.DeviceMapping
	if h.tunnel != "" {
		args = append(args, "--tunnel", h.tunnel)
		devices = []container.DeviceMapping{{PathOnHost: "/dev/net/tun", PathInContainer: "/dev/net/tun", CgroupPermissions: "rw"}}
	}
	labels := map[string]string{labelStore: b.options.Store, labelServer: string(s.ID), labelName: s.Name}
	var mounts []mount.Mount
	var inMemory map[string]string
	if h.volume == "" {
		mounts = b.directories()
	} else {
		labels[labelKept] = keptInVolume
		mounts = []mount.Mount{mountVolume(h.volume)}
		inMemory = map[string]string{engine.RunDir: fmt.Sprintf("mode=0700,uid=%d,gid=%[1]d,size=64k,noexec,nosuid,nodev", h.uid)}
	}
	o := client.ContainerCreateOptions{
		Name: b.containerName(),
		Config: &container.Config{
			Image: tag, User: user + ":" + user, Cmd: args, Env: environ(c.Memory), Labels: labels,
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    hostNetwork,
			RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			CapAdd:         capabilities,
			SecurityOpt:    []string{"no-new-privileges"},
			Mounts:         mounts,
			Tmpfs:          inMemory,
			LogConfig:      container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}},
			Resources: container.Resources{
				Memory: int64(c.Memory), MemorySwap: int64(c.Memory), PidsLimit: &pids, Devices: devices,
			},
		},
	}
	if h := b.options.Health; h != (Health{}) {
		o.Config.Healthcheck = &container.HealthConfig{Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries}
	}
	if s.Container.Bridged() {
		o.Config.Cmd = append(o.Config.Cmd, "--anywhere")
		o.HostConfig.NetworkMode = container.NetworkMode(c.Network)
		o.Config.ExposedPorts, o.HostConfig.PortBindings = network.PortSet{}, network.PortMap{}
		for _, proto := range []network.IPProtocol{network.TCP, network.UDP} {
			port, ok := network.PortFrom(s.Port, proto)
			if !ok {
				continue
			}
			o.Config.ExposedPorts[port] = struct{}{}
			o.HostConfig.PortBindings[port] = []network.PortBinding{{HostIP: hostIP(s), HostPort: strconv.Itoa(int(s.Port))}}
		}
	}
	return o
}

// directories are those of this machine that a container has.
func (b birth) directories() []mount.Mount {
	out := []mount.Mount{
		{Type: mount.TypeBind, Source: b.stateDir(b.s.ID), Target: engine.StateDir},
		{Type: mount.TypeBind, Source: b.runDir(b.s.ID), Target: engine.RunDir},
	}
	if i := slices.IndexFunc(trust, func(path string) bool { _, err := os.Stat(path); return err == nil }); i >= 0 {
		out = append(out, mount.Mount{Type: mount.TypeBind, Source: trust[i], Target: trust[0], ReadOnly: true})
	}
	return out
}

// passed is what a container's environment takes over; nothing else of it gets
// in.
var passed = []string{"GODEBUG"}

func environ(memory uint64) []string {
	// The garbage collector's aim leaves room for what is not its own.
	out := []string{"GOMEMLIMIT=" + strconv.FormatUint(memory/10*9, 10)}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, "VPN_TEST_") {
			out = append(out, e)
		}
	}
	return out
}

// launch starts the container and returns its worker once it answers.
func (b birth) launch(ctx context.Context, id string) (*attached, error) {
	s := b.s
	start := func() error {
		_, err := engine.Call(ctx, b.options.Engine, engine.Slow, "start the container of server "+s.Name, func(ctx context.Context, c *client.Client) (client.ContainerStartResult, error) {
			return c.ContainerStart(ctx, id, client.ContainerStartOptions{})
		})
		return err
	}
	err := start()
	if s.Container.Bridged() {
		err = b.untilOne(ctx, err, start)
	}
	if err != nil {
		return nil, portTaken(s, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	a, err := b.attach(ctx, s.ID, id)
	if err == nil && a == nil {
		return nil, b.stillborn(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(answerPoll)
	defer again.Stop()
	for {
		_, err := a.Health(ctx)
		if err == nil {
			return a, nil
		}
		select {
		case <-a.done:
			return nil, b.stillborn(ctx, id)
		case <-ctx.Done():
			b.lives.over(a)
			return nil, vpn.Errorf(vpn.Unavailable, "the worker of server %s does not start: %w", s.Name, err).
				WithHint("read its log: vpn server logs %s", s.Name)
		case <-again.C:
		}
	}
}

// stillborn says why a worker ended at its start.
func (b birth) stillborn(ctx context.Context, id string) error {
	s := b.s
	reason := exitReason(b.lastLines(ctx, id))
	if reason == "" {
		if c, err := b.inspect(ctx, id); err == nil && c.State != nil {
			reason = fmt.Sprintf("exit status %d %s", c.State.ExitCode, c.State.Error)
		}
	}
	if err := b.journal.copyLog(ctx, s.ID, id, false); err != nil {
		b.log.Debug("the log of a container is lost", slog.Any("err", err))
	}
	return vpn.Errorf(vpn.Unavailable, "the worker of server %s ended at its start: %s", s.Name, strings.TrimSpace(reason)).
		WithHint("read its log: vpn server logs %s", s.Name)
}

// portTaken makes a plain error of what the engine says of a port that it
// cannot publish.
func portTaken(s vpn.Server, err error) error {
	says := err.Error()
	if s.Container.Bridged() && (strings.Contains(says, "port is already allocated") || strings.Contains(says, "address already in use")) {
		return vpn.Errorf(vpn.Conflict, "port %d is taken: the Docker engine cannot publish it: %w", s.Port, err).
			WithHint("see who has it: ss -tulpn 'sport = :%d'; or choose another: vpn server update %s --port PORT", s.Port, s.Name)
	}
	return err
}
