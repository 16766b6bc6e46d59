//go:build linux && e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// tunnelWays are the ways of WireGuard, by carrier.
func tunnelWays() map[string]way {
	return map[string]way{"tun": ways()[tunneled], "userspace": ways()["wireguard, userspace"]}
}

// Bytes arrive as they were sent, over TCP and UDP, IPv4 and IPv6, and each is
// counted: of payload in user space, and of IP packets over TUN.
func TestTunnelTransfer(t *testing.T) {
	t.Parallel()
	for carrier, w := range tunnelWays() {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			testTunnelTransfer(t, w)
		})
	}
}

func testTunnelTransfer(t *testing.T, w way) {
	t.Helper()
	const rate = 10e6 // at which nothing is lost on the way: what is lost is counted on one side
	i, logins := w.install(t, 1)
	c := w.start(i.World, t, logins...)
	var payload vpn.Traffic
	for _, host := range []string{rig.OutsideAddr, rig.OutsideAddr6} {
		raw, err := c.Dial(within(t, 10*time.Second), 0, net.JoinHostPort(host, "9000"))
		if err != nil {
			t.Fatal(err)
		}
		conn := xfer.NewConn(raw, nil)
		if err := errors.Join(conn.Download(8<<20, rate), conn.Upload(t.Context(), 8<<20, rate), conn.Echo(100_000)); err != nil {
			t.Errorf("TCP to %s: %v", host, err)
		}
		payload = payload.Add(vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
		n, err := datagrams(c, 0, net.JoinHostPort(host, "9000"))
		if err != nil {
			t.Errorf("UDP to %s: %v", host, err)
		}
		payload = payload.Add(n)
	}
	wantCounted(t, i, "u0", func() vpn.Traffic { return w.counts(c, 0, payload) })
	if headers := float64(c.Packets(0).Total())/float64(payload.Total()) - 1; headers < 0.02 || headers > 0.12 {
		t.Errorf("IP packets are %.1f %% more than their payload", headers*100)
	}
}

// datagrams sends some to an echo, and returns their bytes.
func datagrams(c *rig.Client, login int, to string) (moved vpn.Traffic, err error) {
	u, err := c.DialUDP(login, to)
	if err != nil {
		return moved, err
	}
	defer u.Close()
	got := make([]byte, 2000)
	for k, size := range []int{1, 100, 1200, 1300, 0, 700} {
		sent := bytes.Repeat([]byte{byte(k)}, size)
		_ = u.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := u.Write(sent); err != nil {
			return moved, err
		}
		n, err := u.Read(got)
		if err != nil {
			return moved, fmt.Errorf("%d bytes: %w", size, err)
		}
		if !bytes.Equal(got[:n], sent) {
			return moved, fmt.Errorf("of %d bytes %d come back, or others", size, n)
		}
		moved = moved.Add(vpn.Traffic{Up: uint64(size), Down: uint64(size)})
	}
	return moved, nil
}

func TestTunnelChurn(t *testing.T) {
	t.Parallel()
	for carrier, w := range tunnelWays() {
		t.Run(carrier, func(t *testing.T) { testChurn(t, w, 12) })
	}
}

// Over TUN a quota stops before the first packet that does not fit.
func TestTunnelQuota(t *testing.T) {
	t.Parallel()
	testTunnelQuota(t, ways()[tunneled])
}

func testTunnelQuota(t *testing.T, w way) {
	t.Helper()
	const quota = 10_000_000
	cases := []struct {
		name string
		up   bool
		rate uint64 // 0: as fast as it goes
	}{
		{name: "download", rate: 10e6},
		{name: "download at full speed"},
		{name: "upload", up: true, rate: 10e6},
		{name: "upload at full speed", up: true},
	}
	cases = some(w, cases, 1, 3)
	i, logins := w.install(t, len(cases))
	client := w.start(i.World, t, logins...)
	for k, c := range cases {
		user := fmt.Sprint("u", k)
		i.Must("users", "update", user, "--quota", strconv.Itoa(quota))
		t.Run(c.name, func(t *testing.T) {
			conn := client.MustOpen(t, k, false)
			go func() {
				if c.up {
					_ = conn.Upload(t.Context(), 100*quota, c.rate)
				} else {
					_ = conn.Download(100*quota, c.rate)
				}
			}()
			used := usedUp(t, i, user)
			if used > quota || used <= quota-packet {
				t.Errorf("stopped at %d of %d bytes: %+d", used, quota, int64(used)-quota)
			}
			if got := client.Packets(k).Down; !c.up && got > used {
				t.Errorf("received %d bytes, counted are %d", got, used)
			}
			if again, err := client.Open(within(t, time.Second), k, false); err == nil { // of few and small packets
				_ = again.SetDeadline(time.Now().Add(time.Second))
				if err := again.Download(2*packet, 0); err == nil {
					t.Error("two packets more have passed")
				}
				again.Close()
			}
			i.Must("users", "update", user, "--quota", "500MB")
			if err := client.MustOpen(t, k, false).Download(1000, 0); err != nil {
				t.Errorf("with a new quota: %v", err)
			}
		})
	}
}

// Two devices are two addresses: a third is refused while both are in use, and
// takes the place of one that has been silent for ten seconds.
func TestTunnelDevices(t *testing.T) {
	t.Parallel()
	for carrier, w := range tunnelWays() {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			testTunnelDevices(t, w)
		})
	}
}

func testTunnelDevices(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 1)
	i.Must("users", "update", "u0", "--devices", "2")
	for _, name := range []string{"laptop", "tablet"} {
		var c vpn.UserChange
		i.JSON(&c, "users", "device", "add", "u0", name)
		logins = append(logins, rig.Login{Link: rig.LinkOf(t, c.Access[0])})
	}
	for k := range logins {
		logins[k].From = rig.ClientAddr(k + 1)
	}
	client := w.start(i.World, t, logins...)
	first, second := client.Load(t, 0, 1), client.Load(t, 1, 1)
	if err := client.Refused(t.Context(), 2); err != nil {
		t.Error(err)
	}
	if n := len(i.User("u0").Sessions); n != 2 {
		t.Errorf("%d sessions of two devices", n)
	}
	second.Stop(t)
	rig.Until(t, vpn.RoamingGrace+5*time.Second, func() error { return works(t, client, 2) })
	if err := client.Refused(t.Context(), 1); err != nil {
		t.Errorf("the one that left: %v", err)
	}
	first.Stop(t)
}

// After a restart a device is back by itself, which takes WireGuard 15 s from
// when it first speaks to nobody; the counts are those of before.
func TestTunnelAfterARestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig.Instance){
		"restart":             func(i *rig.Instance) { i.Must("server", "restart", "main", "--yes") },
		"the worker's murder": func(i *rig.Instance) { rig.Signal(t, i.OneWorker(), syscall.SIGKILL) },
	} {
		for carrier, w := range tunnelWays() {
			t.Run(name+", "+carrier, func(t *testing.T) {
				t.Parallel()
				testTunnelRestart(t, w, end)
			})
		}
	}
}

func testTunnelRestart(t *testing.T, w way, end func(*rig.Instance)) {
	t.Helper()
	const patience = 15 * time.Second // KeepaliveTimeout and RekeyTimeout of the protocol
	i, logins := w.install(t, 1)
	client := w.start(i.World, t, logins...)
	conn := client.MustOpen(t, 0, false)
	if err := conn.Download(2<<20, 5e6); err != nil {
		t.Fatal(err)
	}
	moved := func() vpn.Traffic {
		return w.counts(client, 0, vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
	}
	wantCounted(t, i, "u0", moved)
	before := i.User("u0").Used
	worker := i.OneWorker()
	start := time.Now()
	end(i)
	rig.Until(t, 10*time.Second, func() error {
		if pids := i.Workers(); len(pids) != 1 || pids[0] == worker {
			return fmt.Errorf("workers %v, it was %d", pids, worker)
		}
		return nil
	})
	i.Ready()
	serves := time.Since(start)
	if now := i.User("u0").Used; now.Total() < before.Total() || now.Total() > before.Total()+200 {
		t.Errorf("%+v is counted after the end, and %+v before", now, before)
	}
	rig.Until(t, 30*time.Second, func() error { return works(t, client, 0) })
	took := time.Since(start)
	t.Logf("it serves after %v, and the device is back after %v", serves, took)
	if took > serves+patience+3*time.Second && !rig.Slow() {
		t.Errorf("the device is back after %v", took)
	}
	before = i.User("u0").Used
	again := client.MustOpen(t, 0, false)
	if err := again.Download(1<<20, 5e6); err != nil {
		t.Error(err)
	}
	rig.Until(t, 3*time.Second, func() error {
		if now := i.User("u0").Used; now.Total() < before.Total()+1<<20 {
			return fmt.Errorf("a megabyte later %+v is counted, %+v before", now, before)
		}
		return nil
	})
}
