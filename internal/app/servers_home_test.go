package app_test

import (
	"context"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// refused fails unless err is of kind k and says all of words, hint included.
func (b *bench) refused(what string, err error, k vpn.Kind, words ...string) {
	b.t.Helper()
	if err == nil || vpn.KindOf(err) != k {
		b.t.Errorf("%s: %v of kind %s, want kind %s", what, err, vpn.KindOf(err), k)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error()+" "+vpn.HintOf(err), word) {
			b.t.Errorf("%s: %v (hint: %s) does not say %q", what, err, vpn.HintOf(err), word)
		}
	}
}

func (b *bench) make(in vpn.NewServer) (vpn.ServerChange, error) {
	in.Settings = []byte(`{"target":"self"}`)
	return b.app.Servers.Create(b.ctx, in)
}

func (b *bench) revise(name string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	return b.app.Servers.Update(b.ctx, name, p)
}

// bridge makes a server on a bridge network.
func (b *bench) bridge(name string) vpn.Server {
	b.t.Helper()
	c, err := b.make(vpn.NewServer{Name: name, Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Network: "lan"}})
	b.do("create", err)
	return c.Server.Server
}

func TestServersInContainers(t *testing.T) {
	b := newBench(t)
	b.supervise()
	c, err := b.make(vpn.NewServer{Name: "main", Runtime: vpn.RuntimeDocker})
	b.do("create", err)
	want := vpn.Container{Network: "host", Memory: 512e6, PIDs: 512}
	if c.Server.Runtime != vpn.RuntimeDocker || c.Server.Container == nil || *c.Server.Container != want {
		t.Errorf("created is %s, %+v", c.Server.Runtime, c.Server.Container)
	}
	if w := b.workers.worker(c.Server.ID); w == nil || w.runtime != vpn.RuntimeDocker {
		t.Errorf("its worker is %+v", w)
	}
	b.app.SetRuntime(vpn.RuntimeDocker)
	c, err = b.make(vpn.NewServer{Name: "second", Container: &vpn.Container{Memory: 100 << 20}})
	b.do("create", err)
	want = vpn.Container{Network: "host", Memory: 100 << 20, PIDs: 512}
	if c.Server.Runtime != vpn.RuntimeDocker || *c.Server.Container != want {
		t.Errorf("created by default is %s, %+v", c.Server.Runtime, c.Server.Container)
	}
	b.app.SetRuntime(vpn.RuntimeProcess)
	c, err = b.make(vpn.NewServer{Name: "third"})
	b.do("create", err)
	if c.Server.Runtime != vpn.RuntimeProcess || c.Server.Container != nil {
		t.Errorf("a process is %s, %+v", c.Server.Runtime, c.Server.Container)
	}

	_, err = b.make(vpn.NewServer{Name: "x", Runtime: "kubernetes"})
	b.refused("an unknown runtime", err, vpn.Invalid, "kubernetes", "process, docker")
	_, err = b.make(vpn.NewServer{Name: "x", Container: &vpn.Container{Network: "lan"}})
	b.refused("a network of a process", err, vpn.Invalid, "--runtime docker")
	_, err = b.make(vpn.NewServer{Name: "x", Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Memory: 1 << 20}})
	b.refused("little memory", err, vpn.Invalid, "64 MB")
	network := "lan"
	_, err = b.revise("third", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &network}})
	b.refused("a network of a process that there is", err, vpn.Invalid, "--runtime docker")
}

func TestEngineThatIsNotThereIsSaidFirst(t *testing.T) {
	b := newBench(t)
	looked := false
	b.ready = func(_ context.Context, runtime string, look bool) error {
		looked = look
		if runtime != vpn.RuntimeDocker {
			return nil
		}
		return vpn.Errorf(vpn.Unavailable, "no engine answers")
	}
	b.reset()
	b.supervise()
	_, err := b.make(vpn.NewServer{Name: "main", Runtime: vpn.RuntimeDocker})
	b.refused("create", err, vpn.Unavailable, "no engine answers")
	if looked {
		t.Error("it was only looked at")
	}
	_, err = b.app.DryRun().Servers.Create(b.ctx, vpn.NewServer{Name: "main", Runtime: vpn.RuntimeDocker, Settings: []byte(`{"target":"self"}`)})
	b.refused("a dry run", err, vpn.Unavailable, "no engine answers")
	if !looked {
		t.Error("a dry run makes something ready")
	}
	if list, err := b.app.Servers.List(b.ctx); err != nil || len(list) > 0 {
		t.Errorf("stored was %v, %v", list, err)
	}
	b.server("main")
	_, err = b.app.Servers.Stop(b.ctx, "main")
	b.do("stop", err)
	docker := vpn.RuntimeDocker
	_, err = b.revise("main", vpn.ServerPatch{Runtime: &docker})
	b.refused("update", err, vpn.Unavailable, "no engine answers")
}

func TestRuntimeChangesOnlyWhileStopped(t *testing.T) {
	b := newBench(t)
	b.supervise()
	id := b.server("main")
	docker, process, words := vpn.RuntimeDocker, vpn.RuntimeProcess, "swarm"
	_, err := b.revise("main", vpn.ServerPatch{Runtime: &words})
	b.refused("an unknown runtime", err, vpn.Invalid, "process, docker")
	_, err = b.revise("main", vpn.ServerPatch{Runtime: &docker})
	b.refused("while it runs", err, vpn.Conflict, "vpn server stop main")

	_, err = b.app.Servers.Stop(b.ctx, "main")
	b.do("stop", err)
	left := b.start(id, vpn.RuntimeProcess) // which the stop could not end
	memory := uint64(128 << 20)
	c, err := b.revise("main", vpn.ServerPatch{Runtime: &docker, Container: &vpn.ContainerPatch{Memory: &memory}})
	b.do("update", err)
	if c.Server.Runtime != docker || c.Server.Container.Memory != memory || c.Server.Container.Network != "host" {
		t.Errorf("it is %s, %+v", c.Server.Runtime, c.Server.Container)
	}
	if !left.ended() {
		t.Error("its worker lives on where it was")
	}
	_, err = b.app.Servers.Start(b.ctx, "main")
	b.do("start", err)
	b.until("a worker in its new place", func() bool { w := b.workers.worker(id); return w != nil && w.runtime == docker })

	_, err = b.app.Servers.Stop(b.ctx, "main")
	b.do("stop", err)
	c, err = b.revise("main", vpn.ServerPatch{Runtime: &process})
	b.do("update", err)
	if c.Server.Container != nil {
		t.Errorf("a process has the container %+v", c.Server.Container)
	}
}

func TestWhatTakesAnotherContainer(t *testing.T) {
	b := newBench(t)
	b.supervise()
	c, err := b.make(vpn.NewServer{Name: "main", Runtime: vpn.RuntimeDocker, Port: 8443})
	b.do("create", err)
	id := c.Server.ID
	port, pids, network := uint16(8444), 100, "lan"
	for _, x := range []struct {
		name  string
		patch vpn.ServerPatch
		drops bool
	}{
		{"a port on the host's network", vpn.ServerPatch{Port: &port}, false},
		{"a limit", vpn.ServerPatch{Container: &vpn.ContainerPatch{PIDs: &pids}}, true},
		{"the same limit", vpn.ServerPatch{Container: &vpn.ContainerPatch{PIDs: &pids}}, false},
		{"a bridge", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &network}}, true},
		{"a port on a bridge", vpn.ServerPatch{Port: new(uint16(8445))}, true},
		{"a name", vpn.ServerPatch{Name: new("other")}, false},
	} {
		before := b.workers.started(id)
		c, err := b.app.Servers.Update(b.ctx, string(id), x.patch)
		b.do(x.name, err)
		if c.Effects == nil || c.Effects.Drops != x.drops {
			t.Errorf("%s: effects %+v, want drops %v", x.name, c.Effects, x.drops)
		}
		if again := b.workers.started(id) - before; again != map[bool]int{true: 1}[x.drops] {
			t.Errorf("%s: its worker was started %d times", x.name, again)
		}
	}
}

func TestBridgeHasOnePort(t *testing.T) {
	b := newBench(t)
	_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{
		Name: "main", Protocol: "shadowsocks", Port: 8388, Settings: []byte(`{"keys_per_port":"2"}`),
		Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Network: "lan"},
	})
	b.do("create", err)
	b.user("a", vpn.Limits{})
	b.user("b", vpn.Limits{})
	_, err = b.app.Users.Create(b.ctx, vpn.NewUser{Name: "c"})
	b.refused("a user too many", err, vpn.Conflict, "--keys-per-port", "--network host")
	_, err = b.revise("main", vpn.ServerPatch{Settings: []byte(`{"keys_per_port":"1"}`)})
	b.refused("less room", err, vpn.Conflict, "one port")
	host := "host"
	_, err = b.revise("main", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &host}})
	b.do("the host's network", err)
	b.user("c", vpn.Limits{})
	lan := "lan"
	_, err = b.revise("main", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &lan}})
	b.refused("back, with a port too many", err, vpn.Conflict, "one port")
}

// Where the engine hides from where clients come, a device limit would lie.
func TestDeviceLimitsAreRefusedOnABridge(t *testing.T) {
	b := newBench(t)
	lan := b.bridge("lan")
	b.server("main")
	two := 2
	says := []string{"devices", "lan"}

	_, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Limits: vpn.Limits{Devices: 2}})
	b.refused("a new user", err, vpn.Conflict, says...)
	_, err = b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Limits: vpn.Limits{Devices: 2}, Servers: &[]string{"main"}})
	b.do("a user of another server", err)
	b.user("bob", vpn.Limits{})
	_, err = b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Devices: &two})
	b.refused("a limit", err, vpn.Conflict, says...)
	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{AllServers: true})
	b.refused("access to all", err, vpn.Conflict, says...)
	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Servers: &[]string{"main", "lan"}})
	b.refused("access", err, vpn.Conflict, says...)
	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Note: new("hello")})
	b.do("another change", err)

	// Of servers.
	_, err = b.make(vpn.NewServer{Name: "third", Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Network: "other"}})
	b.do("a server that alice may not use", err)
	_, err = b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Servers: &[]string{}})
	b.do("no access", err)
	_, err = b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{Devices: &two})
	b.do("a limit without access", err)
	host, bridge := "host", "lan"
	for _, name := range []string{"lan", "third"} {
		_, err = b.revise(name, vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &host}})
		b.do("the host's network", err)
	}
	_, err = b.app.Users.Update(b.ctx, "bob", vpn.UserPatch{AllServers: true})
	b.do("access, and no bridge", err)
	_, err = b.revise("lan", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &bridge}})
	b.refused("a bridge", err, vpn.Conflict, "bob", "--network host", "--devices none")
	_, err = b.make(vpn.NewServer{Name: "new", Runtime: vpn.RuntimeDocker, Container: &vpn.Container{Network: "lan"}})
	b.refused("a new server", err, vpn.Conflict, "bob")

	// Of a user who comes back.
	_, err = b.app.Users.Delete(b.ctx, "bob")
	b.do("delete", err)
	_, err = b.revise("lan", vpn.ServerPatch{Container: &vpn.ContainerPatch{Network: &bridge}})
	b.do("a bridge", err)
	_, err = b.app.Users.Restore(b.ctx, "bob", vpn.UserRestore{})
	b.refused("restore", err, vpn.Conflict, says...)
	if s, err := b.app.Servers.Show(b.ctx, lan.Name); err != nil || !s.Container.Bridged() {
		t.Errorf("it is %+v, %v", s.Container, err)
	}
}
