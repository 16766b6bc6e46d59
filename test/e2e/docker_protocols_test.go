//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// What is promised for every protocol is kept in a container, too: bytes
// arrive and are counted, users come and go beside others who notice nothing,
// the control plane may die, and a worker that is killed serves again.
func TestProtocolsInContainers(t *testing.T) {
	for _, name := range []string{
		"vless, xray", "shadowsocks, sing-box", "shadowsocks 2022, xray", "https, sing-box", "socks5, xray", tunneled, "wireguard, userspace",
	} {
		w := ways()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testInContainer(t, w)
		})
	}
}

func testInContainer(t *testing.T, w way) {
	t.Helper()
	const users, victim, late = 4, 2, 3 // two move data all the time
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port, append([]string{"--protocol", w.protocol, "--runtime", "docker"}, w.flags...)...)
	logins := i.CreateUsers("u", users-1)
	before := shown(i, "main")
	if before.State != vpn.Running || before.Worker == nil || before.Worker.Container == "" {
		t.Fatalf("it is shown as %+v, its worker as %+v", before.ServerInfo, before.Worker)
	}
	if w.packets && before.Worker.Carrier != "tun" {
		t.Fatalf("packets go by %q: %s", before.Worker.Carrier, before.Worker.Why)
	}

	if w.packets { // the engine lets nothing through that is not its own: what is said then
		allowTunnels(t, i.World)
	}

	// Live connections, one of which ends.
	logins = append(logins, i.CreateUsers("late", 1)...)
	client := w.start(i.World, t, logins...)
	load := client.Load(t, 0, 2)
	conn := client.MustOpen(t, late, true)
	if err := conn.Download(2<<20, 0); err != nil {
		t.Error(err)
	}
	if err := conn.Upload(t.Context(), 2<<20, 0); err != nil {
		t.Error(err)
	}
	payload := vpn.Traffic{Up: conn.Sent(), Down: conn.Received()}
	wantCounted(t, i, "late0", func() vpn.Traffic { return w.counts(client, late, payload) })
	wantTrueSource(t, i, "late0")
	if !w.streams && w.protocol != "wireguard" {
		testDatagrams(t, client, late)
	}
	gone := client.MustOpen(t, victim, false)
	start := time.Now()
	i.Must("users", "disable", fmt.Sprint("u", victim))
	ended := make(chan error, 1)
	go func() { ended <- gone.Download(1<<30, 1_000_000) }()
	if !w.deaf {
		select {
		case <-ended:
			if took := time.Since(start); took > 2*time.Second && !rig.Slow() {
				t.Errorf("a user who was disabled is cut after %v", took)
			}
		case <-time.After(10 * time.Second):
			t.Error("a user who was disabled is not cut")
		}
	}
	if works(t, client, victim) == nil {
		t.Error("a user who was disabled is let in")
	}

	// The control plane dies, and nothing else.
	for range 2 {
		i.Daemon().Kill()
		pause(t.Context(), 500*time.Millisecond)
		if err := load.Err(); err != nil {
			t.Fatalf("without a control plane: %v", err)
		}
		i.Serve()
		rig.Until(t, 10*time.Second, func() error {
			now := shown(i, "main")
			if now.State != vpn.Running || now.Worker == nil {
				return fmt.Errorf("it is %s: %s", now.State, now.Problem)
			}
			if now.Worker.PID != before.Worker.PID || now.Worker.Epoch != before.Worker.Epoch {
				t.Fatalf("the worker was %+v and is %+v", before.Worker, now.Worker)
			}
			return nil
		})
	}
	moved := load.Stop(t)
	for k, want := range moved {
		wantCounted(t, i, fmt.Sprint("u", k), func() vpn.Traffic { return w.counts(client, k, want) })
	}

	// The worker dies: its engine starts it anew.
	rig.Signal(t, before.Worker.PID, syscall.SIGKILL)
	took := rig.Until(t, 30*time.Second, func() error { return works(t, client, 0) })
	t.Logf("serves again after %v", took)
	rig.Until(t, 10*time.Second, func() error {
		now := shown(i, "main")
		if now.State != vpn.Running || now.Worker == nil || now.Worker.Epoch == before.Worker.Epoch {
			return fmt.Errorf("it is %s: %s", now.State, now.Problem)
		}
		return nil
	})
	if works(t, client, victim) == nil {
		t.Error("a user who was disabled is let in by the next worker")
	}
	if out, err := engine.Docker("ps", "-q", "--filter", "label=vpn.server"); err != nil || len(out) == 0 || out[len(out)-1] != '\n' || len(out) > 13 {
		t.Errorf("the containers are %q, %v", out, err)
	}

	// It is removed, and with it all that was made for it.
	i.Must("server", "delete", "main", "--yes")
	if out := engine.Must(t, "ps", "-aq", "--filter", "label=vpn.server"); out != "" {
		t.Errorf("the containers %q are left", out)
	}
	if w.packets {
		if links := i.World.Server.Output(t, "ip", "-o", "link", "show", "type", "tun"); links != "" {
			t.Errorf("the device %q is left", links)
		}
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

// An engine that is stopped takes its containers' connections with it, and
// those of no process; when it comes again, so do they.
func TestEngineRestarted(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port, "--runtime", "docker")
	i.CreateServer("other", 8443)
	logins := i.CreateUsers("u", 2)
	var change []vpn.Access
	i.JSON(&change, "users", "link", "u1", "--server", "other")
	inContainer, inProcess := i.World.Xray(t, logins[0]), i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, change[0].Link)})
	load := inProcess.Load(t, 0, 1)
	if err := works(t, inContainer, 0); err != nil {
		t.Fatal(err)
	}
	if err := engine.Stop(); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 15*time.Second, func() error {
		if s := shown(i, "main"); s.State == vpn.Running {
			return errors.New("it is said to run")
		}
		return nil
	})
	if s := shown(i, "other"); s.State != vpn.Running {
		t.Errorf("the server without a container is %s: %s", s.State, s.Problem)
	}
	i.CreateUsers("meanwhile", 1)
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 15*time.Second, func() error { return works(t, inContainer, 0) })
	rig.Until(t, 15*time.Second, func() error {
		if s := shown(i, "main"); s.State != vpn.Running {
			return fmt.Errorf("it is %s: %s", s.State, s.Problem)
		}
		return nil
	})
	load.Stop(t)
}
