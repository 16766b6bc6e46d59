//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// What is promised of every protocol is kept in a container, too: these are
// the very tables that servers in processes pass, with fewer cases and rounds
// where these are not about where a worker lives. Cuts and rates are measured,
// so nothing else runs beside it; what waits most of its time does so side by
// side, whatever -parallel is.
func TestTablesInContainers(t *testing.T) {
	const atOnce = 4 // protocols; those that wait longest first
	room := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, name := range []string{
		tunneled, "wireguard, userspace", "vless, xray", "shadowsocks, sing-box", "shadowsocks 2022, sing-box",
		"http, sing-box", "https, sing-box", "socks5, sing-box",
	} {
		w := ways()[name]
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			t.Run(name, func(t *testing.T) { testTables(t, w) })
		})
	}
	all.Wait()
}

// testTables has one installation and one engine for all tables of a protocol.
func testTables(t *testing.T, w way) {
	t.Helper()
	i, engine := dock(t)
	if w.packets { // the engine lets nothing through that is not its own: what is said then
		allowTunnels(t, i.World)
	}
	i.Serve()
	w.home = i
	// Who has an image has not to load it for each server.
	engine.Must(t, "create", "--name", "keeps-the-image", strings.TrimSpace(i.Must("image", "build", "-q")), "help")
	tables := []struct {
		name string
		test func(*testing.T, way)
	}{
		{"transfer", func(t *testing.T, w way) { testTransfer(t, w, 4<<20) }},
		{"devices", testDevices},
		{"quota", testQuota},
		{"restart", testRestart},
		{"churn", func(t *testing.T, w way) { testChurn(t, w, 2) }},
		{"cuts", testCuts},
		{"rate", testRate},
		{"control plane killed", func(t *testing.T, w way) { testKills(t, w, 4) }},
		{"worker killed", testWorkerKilled},
	}
	for _, c := range tables {
		if w.protocol == "wireguard" {
			switch c.name {
			case "transfer":
				c.test = testTunnelTransfer
			case "devices": // which have keys of their own
				c.test = testTunnelDevices
			case "quota":
				if w.packets {
					c.test = testTunnelQuota
				}
			case "restart":
				c.test = func(t *testing.T, w way) {
					testTunnelRestart(t, w, func(i *rig.Instance) { i.Must("server", "restart", "main", "--yes") })
				}
			}
		}
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			c.test(t, w)
			t.Logf("took %v", time.Since(began).Round(100*time.Millisecond))
		})
	}
}

// some returns those of the cases that are tried in a container: all of them
// are where workers are processes.
func some[T any](w way, cases []T, which ...int) []T {
	if w.home == nil {
		return cases
	}
	var out []T
	for _, k := range which {
		out = append(out, cases[k])
	}
	return out
}

// contain is install in a container, which is gone with its users when the
// test ends.
func (w way) contain(t *testing.T, n int) (*rig.Instance, []rig.Login) {
	t.Helper()
	i := w.home
	flags := []string{"--runtime", "docker"}
	if w.protocol != "vless" {
		flags = append(append(flags, "--protocol", w.protocol), w.flags...)
	}
	i.CreateServer("main", port, flags...)
	t.Cleanup(func() {
		users, err := i.Users()
		for name := range users {
			err = errors.Join(err, i.API(context.Background(), "DELETE", "/v1/users/"+name, nil, nil))
		}
		if err != nil {
			t.Error(err)
		}
		i.Must("server", "delete", "main", "--yes")
		if w.packets {
			if links := i.World.Server.Output(t, "ip", "-o", "link", "show", "type", "tun"); links != "" {
				t.Errorf("the device %q is left", links)
			}
		}
	})
	s := shown(i, "main")
	if s.State != vpn.Running || s.Worker == nil || s.Worker.Container == "" {
		t.Fatalf("it is shown as %+v, its worker as %+v", s.ServerInfo, s.Worker)
	}
	if want := map[bool]string{true: "tun", false: "userspace"}[w.packets]; w.protocol == "wireguard" && s.Worker.Carrier != want {
		t.Fatalf("packets go by %q: %s", s.Worker.Carrier, s.Worker.Why)
	}
	return i, i.CreateUsers("u", n)
}

// testWorkerKilled kills a worker in its container. The engine starts it anew,
// and it serves whom it did before, and nobody else; in all there is one.
func testWorkerKilled(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 2)
	client := w.start(i.World, t, logins...)
	client.MustOpen(t, 0, false)
	wantTrueSource(t, i, "u0")
	i.Must("users", "disable", "u1")
	before := shown(i, "main")
	rig.Signal(t, before.Worker.PID, syscall.SIGKILL)
	if w.protocol != "wireguard" || w.packets { // a device is back after 15 s, and one of them shows it
		took := rig.Until(t, 30*time.Second, func() error { return works(t, client, 0) })
		t.Logf("serves again after %v", took)
	}
	rig.Until(t, 10*time.Second, func() error {
		now := shown(i, "main")
		if now.State != vpn.Running || now.Worker == nil || now.Worker.Epoch == before.Worker.Epoch {
			return fmt.Errorf("it is %s: %s", now.State, now.Problem)
		}
		return nil
	})
	if works(t, client, 1) == nil {
		t.Error("a user who was disabled is let in by the next worker")
	}
	if pids := i.Workers(); len(pids) != 1 {
		t.Errorf("there are the workers %v", pids)
	}
}

// wantTrueSource fails unless a user's connections are shown with the address
// of the client host.
func wantTrueSource(t *testing.T, i *rig.Instance, user string) {
	t.Helper()
	var live []vpn.Session
	i.JSON(&live, "monitor", "connections", "--user", user)
	for _, s := range live {
		if !strings.HasPrefix(s.Source.String(), "203.0.113.1") {
			t.Errorf("%s is shown to come from %s", user, s.Source)
		}
	}
	if len(live) == 0 {
		t.Errorf("%s is not shown as connected", user)
	}
}

// allowTunnels lets packets of tunnels through the rules of an engine, as the
// product tells people to.
func allowTunnels(t *testing.T, w *rig.World) {
	t.Helper()
	for _, way := range []string{"-i", "-o"} {
		w.Server.Output(t, "iptables", "-I", "DOCKER-USER", way, "vpn-+", "-j", "ACCEPT")
	}
}
