//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// benchContainers measures what a container costs a server: beside a process,
// both of one installation on one host, with the same settings. Nobody else is
// in the way of packets, on the host's own network.
func benchContainers(t *testing.T, r *report) {
	i, _ := dock(t)
	allowTunnels(t, i.World)
	i.Serve()
	i.CreateServer("stays", 9000, "--protocol", "socks5", "--runtime", "docker") // so that the image does
	for _, p := range []struct{ name, way string }{
		{"VLESS", "vless, xray"},
		{"Shadowsocks", "shadowsocks, sing-box"},
		{"Shadowsocks 2022", "shadowsocks 2022, xray"},
		{"HTTP CONNECT", "http, sing-box"},
		{"SOCKS5", "socks5, xray"},
		{"WireGuard, tun", tunneled},
		{"WireGuard, userspace", "wireguard, userspace"},
	} {
		benchContained(t, r, i, p.name, ways()[p.way])
	}
	benchCreateServers(t, r, i)
	benchManyContainers(t, r, i)
}

// benchContained measures one protocol.
func benchContained(t *testing.T, r *report, i *rig.Instance, name string, w way) {
	t.Helper()
	runtimes := []string{vpn.RuntimeDocker, vpn.RuntimeProcess}
	var links []rig.Link
	var all []contender
	for k, runtime := range runtimes {
		i.CreateServer(runtime, port+k, append([]string{"--protocol", w.protocol, "--runtime", runtime}, benchFlags(i, w)...)...)
		links = append(links, i.CreateUser("user-"+runtime, "--server", runtime))
		all = append(all, contender{k, shown(i, runtime).Worker.PID})
	}
	var client opener
	switch {
	case w.protocol == "wireguard":
		first := 0
		if w.packets { // beside those of the other carrier
			first = len(runtimes)
		}
		client = tunnels{{i.World, i.World.Phone(t, first, links[0].File)}, {i.World, i.World.Phone(t, first+1, links[1].File)}}
	case w.protocol == "http" || w.protocol == "socks5":
		client = rig.NewDirect(i.World, links...)
	default:
		c := w.start(i.World, t, rig.Login{Link: links[0]}, rig.Login{Link: links[1]})
		defer c.Kill()
		client = c
	}
	b := newRace(t, r, client, "a container beside a process, "+name, all[0], all[1])
	b.us, b.them = "container", "process"
	b.size = 128 << 20
	b.transfer(false)
	b.transfer(true)
	for _, runtime := range runtimes {
		i.Must("users", "delete", "user-"+runtime, "--yes")
		i.Must("server", "delete", runtime, "--yes")
	}
}

// benchFlags are those of a way's server.
func benchFlags(i *rig.Instance, w way) []string {
	if w.protocol == "vless" {
		return []string{"--target", i.World.Site.Addr, "--server-name", rig.SiteName}
	}
	return w.flags
}

// benchCreateServers measures how long it takes until somebody is served by a
// server that was not there: the command that creates it, from the start of
// its process to the end, and a first session.
func benchCreateServers(t *testing.T, r *report, i *rig.Instance) {
	t.Helper()
	i.CreateUser("waits")
	for _, c := range []struct {
		what, runtime string
		load          bool // the engine has to be given the image each time
	}{
		{"in a process", vpn.RuntimeProcess, false},
		{"in a container", vpn.RuntimeDocker, false},
		{"in a container, the first of an engine", vpn.RuntimeDocker, true},
	} {
		if c.load {
			i.Must("server", "delete", "stays", "--yes") // and the image with it
		}
		var took []time.Duration
		for k := range 11 {
			start := time.Now()
			i.CreateServer("new", port, "--protocol", "socks5", "--runtime", c.runtime)
			created := time.Since(start)
			var access []vpn.Access
			i.JSON(&access, "users", "link", "waits", "--server", "new")
			client := rig.NewDirect(i.World, rig.LinkOf(t, access[0]))
			if session := open(t, client, 0); k > 0 { // the first is not counted
				took = append(took, created+session)
			}
			i.Must("server", "delete", "new", "--yes")
		}
		r.durations(t, "`vpn server create` and a first session, "+c.what, took, median, 0)
	}
}

// benchManyContainers measures the list of servers where there are many in
// containers.
func benchManyContainers(t *testing.T, r *report, i *rig.Instance) {
	t.Helper()
	const many, atOnce = 50, 2
	errs := make([]error, many)
	each(many, atOnce, func(k int) {
		args := []string{"server", "create", fmt.Sprint("box", k), "--protocol", "socks5", "--port", fmt.Sprint(10_000 + k), "--public-host", rig.ServerAddr, "--runtime", "docker"}
		if res := i.Run(args...); res.Status != 0 {
			errs[k] = fmt.Errorf("vpn %v: %d: %s", args, res.Status, res.Err)
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, time.Minute, func() error {
		var list []vpn.ServerInfo
		i.JSON(&list, "server", "list")
		n := 0
		for _, s := range list {
			if s.State == vpn.Running && s.Runtime == vpn.RuntimeDocker {
				n++
			}
		}
		if n != many {
			return fmt.Errorf("%d of %d run", n, many)
		}
		return nil
	})
	r.durations(t, "`vpn server list`, 50 servers in containers", timed(t, i, 41, "server", "list"), median, 100*time.Millisecond)
}
