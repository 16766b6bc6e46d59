//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// thirds are the flags of the third server, where two do not do for all
// protocols.
var thirds = map[string][]string{
	"http":        {"--protocol", "http"},
	"shadowsocks": {"--protocol", "shadowsocks"},
}

// trio is one installation with a server of each of three protocols, and a
// user on all of them.
type trio struct {
	*rig.Instance
	logins []rig.Login // of the user, by server
}

func newTrio(t *testing.T, limits ...string) *trio {
	t.Helper()
	return newTrioWith(t, thirds["http"], limits...)
}

// newTrioWith is newTrio with a third server of these flags, in place of the
// one of HTTP.
func newTrioWith(t *testing.T, third []string, limits ...string) *trio {
	t.Helper()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("vless", port)
	i.CreateServer("socks5", 1080, "--protocol", "socks5")
	i.CreateServer("third", 8080, third...)
	i.Serve()
	return &trio{Instance: i, logins: loginsOf(t, i, "shared", limits...)}
}

// client returns a client program with all logins.
func (x *trio) client(t *testing.T) *rig.Client {
	t.Helper()
	if x.logins[2].Link.Scheme == "wireguard" {
		return x.World.Xray(t, x.logins[:2]...).WithWireGuard(t, x.logins[2])
	}
	return x.World.Xray(t, x.logins...)
}

// loginsOf creates a user and returns a login for each server.
func loginsOf(t *testing.T, i *rig.Instance, name string, limits ...string) []rig.Login {
	t.Helper()
	var c vpn.UserChange
	i.JSON(&c, append([]string{"users", "create", name}, limits...)...)
	byProtocol := map[vpn.Protocol]rig.Login{}
	for _, a := range c.Access {
		byProtocol[a.Protocol] = rig.Login{Link: rig.LinkOf(t, a)}
	}
	logins := []rig.Login{byProtocol["vless"], byProtocol["socks5"]}
	for _, third := range []vpn.Protocol{"http", "shadowsocks", "wireguard"} {
		if l, ok := byProtocol[third]; ok {
			logins = append(logins, l)
		}
	}
	return logins
}

// a puller downloads as fast as it may.
type puller struct{ *xfer.Conn }

func pull(t *testing.T, c *rig.Client, login int, inner bool) puller {
	t.Helper()
	conn := c.MustOpen(t, login, inner)
	go func() { _ = conn.Download(1<<40, 0) }()
	return puller{conn}
}

// speeds returns the bytes per second of each connection, over d.
func speeds(ctx context.Context, d time.Duration, ps ...puller) (each []float64, sum float64) {
	before := make([]uint64, len(ps))
	start := time.Now()
	for k, p := range ps {
		before[k] = p.Received()
	}
	pause(ctx, d)
	took := time.Since(start).Seconds()
	for k, p := range ps {
		v := float64(p.Received()-before[k]) / took
		each = append(each, v)
		sum += v
	}
	return each, sum
}

const sharedRate = 10e6

func wantSpeed(t *testing.T, when string, each []float64, sum float64) {
	t.Helper()
	t.Logf("%s: %.2f MB/s in all, %.2f", when, sum/1e6, scaled(each))
	if math.Abs(sum-sharedRate) > sharedRate/10 {
		t.Errorf("%s: %.2f MB/s in all, the limit is %.2f: %.2f", when, sum/1e6, sharedRate/1e6, scaled(each))
	}
}

func scaled(vs []float64) []float64 {
	out := make([]float64, len(vs))
	for k, v := range vs {
		out[k] = v / 1e6
	}
	return out
}

// pid returns the process of a server's worker.
func (x *trio) pid(t *testing.T, server string) int {
	t.Helper()
	var s vpn.ServerInfo
	x.JSON(&s, "server", "show", server)
	if s.Worker == nil {
		t.Fatalf("server %s has no worker", server)
	}
	return s.Worker.PID
}

// from returns logins of one device.
func from(logins []rig.Login, device int) []rig.Login {
	out := make([]rig.Login, len(logins))
	for k, l := range logins {
		out[k] = rig.Login{Link: l.Link, From: rig.ClientAddr(device)}
	}
	return out
}

// ended waits until a connection has been cut, and fails if that takes longer
// than a poll and what comes after it.
func ended(t *testing.T, what string, conn *xfer.Conn) {
	t.Helper()
	start := time.Now()
	if !conn.Ended(1500 * time.Millisecond) {
		t.Errorf("%s is not cut", what)
		return
	}
	t.Logf("%s was cut after %v", what, time.Since(start).Round(time.Millisecond))
}

func alive(t *testing.T, what string, conns ...*xfer.Conn) {
	t.Helper()
	for k, conn := range conns {
		if err := conn.Echo(100); err != nil {
			t.Errorf("%s, %d: %v", what, k, err)
		}
	}
}

// Devices are counted over all servers: of too many the newest is cut within a
// poll, a device that is in is so on every server, and what was admitted
// stands while the control plane is away.
func TestDevicesAreSharedByServers(t *testing.T) {
	for name, third := range thirds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSharedDevices(t, third)
		})
	}
}

func testSharedDevices(t *testing.T, third []string) {
	t.Helper()
	i := newTrioWith(t, third, "--devices", "2")
	const vless, socks, last = 0, 1, 2
	devices := make([]*rig.Client, 4)
	for d := 1; d < len(devices); d++ {
		devices[d] = i.World.SingBox(t, from(i.logins, d)...)
	}
	others := i.World.SingBox(t, loginsOf(t, i.Instance, "other")...).Load(t, 0, 3)
	first := devices[1].MustOpen(t, vless, false)
	second := devices[2].MustOpen(t, socks, false)
	busy := []*rig.Load{devices[1].Load(t, vless, 1), devices[2].Load(t, socks, 1)} // a device in use keeps its place
	// It may be so quick that the server does not know of the others yet.
	if third, err := devices[3].Open(t.Context(), last, false); err == nil {
		defer third.Close()
		ended(t, "the third device", third)
	}
	alive(t, "an admitted device", first, second)
	pause(t.Context(), 1500*time.Millisecond) // a poll
	refuses := func(when string, device, server int) {
		t.Helper()
		if err := devices[device].Refused(t.Context(), server); err != nil {
			t.Errorf("%s: device %d, server %d: %v", when, device, server, err)
		}
	}
	for server := range 3 {
		refuses("two are there", 3, server)
		for device := 1; device <= 2; device++ {
			alive(t, "an admitted device elsewhere", devices[device].MustOpen(t, server, false))
		}
	}

	i.Daemon().Kill()
	for server := range 3 {
		refuses("the control plane is away", 3, server)
		alive(t, "the control plane is away, a device that is known", devices[1].MustOpen(t, server, false))
	}
	alive(t, "the control plane is away", first, second)
	i.Serve()
	alive(t, "the control plane is back", first, second)
	for server := range 3 {
		refuses("the control plane is back", 3, server)
	}
	for _, load := range busy {
		load.Stop(t)
	}
	devices[1].Kill() // the first device leaves all servers
	eventuallyIn(t, devices[3], last)
	alive(t, "the second device", second)
	others.Stop(t)
}

// A new device, while the control plane is away, is let in by each server
// that has room beside those that it knows of, and the newest has to go when
// the control plane is back.
func TestNewDevicesWithoutTheControlPlane(t *testing.T) {
	t.Parallel()
	i := newTrio(t, "--devices", "1")
	client := i.World.SingBox(t,
		from(i.logins, 1)[0], from(i.logins, 2)[1], from(i.logins, 2)[0])
	i.Daemon().Kill()
	first := client.MustOpen(t, 0, false)
	if err := client.Refused(t.Context(), 2); err != nil {
		t.Errorf("beside the first device, on its server: %v", err)
	}
	second := client.MustOpen(t, 1, false)
	alive(t, "the control plane is away", first, second)
	i.Launch()
	i.Ready()
	ended(t, "the newer device", second)
	alive(t, "the older device", first)
}

// Connections are counted over all servers, and the newest of too many are
// cut within a poll.
func TestConnectionsAreSharedByServers(t *testing.T) {
	for name, third := range thirds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSharedConnections(t, third)
		})
	}
}

func testSharedConnections(t *testing.T, third []string) {
	t.Helper()
	i := newTrioWith(t, third, "--connections", "3")
	client := i.World.Xray(t, i.logins...)
	others := i.World.Xray(t, loginsOf(t, i.Instance, "other")...).Load(t, 0, 3)
	var conns []*xfer.Conn
	for server := range 3 {
		conns = append(conns, client.MustOpen(t, server, server == 0))
	}
	pause(t.Context(), 1500*time.Millisecond) // a poll
	refuses := func(when string) {
		t.Helper()
		for server := range 3 {
			if err := client.Refused(t.Context(), server); err != nil {
				t.Errorf("%s: a fourth connection: %v", when, err)
			}
		}
	}
	refuses("three are there")
	i.Daemon().Kill()
	refuses("the control plane is away")
	alive(t, "the control plane is away", conns...)
	i.Serve()
	refuses("the control plane is back")
	alive(t, "the control plane is back", conns...)
	conns[0].Close()
	eventuallyIn(t, client, 2)
	alive(t, "one has left", conns[1:]...)

	// As many as one server lets in alone, at once, on each.
	more := loginsOf(t, i.Instance, "many", "--connections", "4")
	client = i.World.Xray(t, more...)
	conns = nil
	for range 4 {
		for server := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			if conn, err := client.Open(ctx, server, false); err == nil {
				conns = append(conns, conn)
				t.Cleanup(func() { conn.Close() })
			}
			cancel()
		}
	}
	rig.Until(t, 1500*time.Millisecond, func() error {
		if n := len(i.User("many").Sessions); n != 4 {
			return fmt.Errorf("%d connections of %d are left, 4 are allowed", n, len(conns))
		}
		return nil
	})
	alive(t, "the first of too many", conns[0])
	t.Logf("%d connections were opened", len(conns))
	others.Stop(t)
}

// spend downloads on each server, again and again, until the quota is used up
// or ctx ends, and returns what has arrived.
func spend(ctx context.Context, client *rig.Client) (received uint64) {
	got := make(chan uint64)
	for server := range 3 {
		go func() {
			var n uint64
			for ctx.Err() == nil {
				conn, err := client.Open(ctx, server, server == 0)
				if err != nil {
					pause(ctx, 50*time.Millisecond)
					continue
				}
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				_ = conn.Download(1<<40, 4_000_000)
				stop()
				n += conn.Received()
				conn.Close()
			}
			got <- n
		}()
	}
	for range 3 {
		received += <-got
	}
	return received
}

// A quota is used up by the sum of three protocols, to the byte, whatever
// happens to the control plane and to a worker meanwhile.
func TestQuotaIsSharedByServers(t *testing.T) {
	t.Parallel()
	there := func(*testing.T, *trio) {}
	away := func(t *testing.T, i *trio) {
		i.Daemon().Kill()
		pause(t.Context(), 4*time.Second)
		i.Serve()
	}
	for name, meanwhile := range map[string]func(*testing.T, *trio){
		"the control plane is there":            there,
		"the control plane is away for a while": away,
		"a worker is suspended": func(t *testing.T, i *trio) {
			pid := i.pid(t, "socks5")
			rig.Signal(t, pid, syscall.SIGSTOP)
			pause(t.Context(), 4*time.Second)
			rig.Signal(t, pid, syscall.SIGCONT)
		},
		"a worker is suspended, and another control plane comes": func(t *testing.T, i *trio) {
			pid := i.pid(t, "socks5")
			rig.Signal(t, pid, syscall.SIGSTOP)
			i.Daemon().Kill()
			i.Launch()
			pause(t.Context(), 4*time.Second)
			rig.Signal(t, pid, syscall.SIGCONT)
			i.Ready()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSharedQuota(t, thirds["http"], meanwhile)
		})
	}
	for name, meanwhile := range map[string]func(*testing.T, *trio){"": there, ", the control plane is away for a while": away} {
		for third, flags := range map[string][]string{
			"wireguard, tun":       {"--protocol", "wireguard", "--carrier", "tun"},
			"wireguard, userspace": {"--protocol", "wireguard", "--carrier", "userspace"},
			"shadowsocks":          thirds["shadowsocks"],
			"shadowsocks 2022":     {"--protocol", "shadowsocks", "--method", "2022-blake3-aes-256-gcm"},
		} {
			t.Run(third+name, func(t *testing.T) {
				t.Parallel()
				testSharedQuota(t, flags, meanwhile)
			})
		}
	}
}

func testSharedQuota(t *testing.T, third []string, meanwhile func(*testing.T, *trio)) {
	t.Helper()
	const quota = 30_000_000
	i := newTrioWith(t, third, "--quota", strconv.Itoa(quota))
	others := i.World.Xray(t, loginsOf(t, i.Instance, "other")[0]).Load(t, 0, 1)
	client := i.client(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	received := make(chan uint64, 1)
	go func() { received <- spend(ctx, client) }()
	rig.Until(t, 10*time.Second, func() error {
		if users, err := i.Users(); err != nil || users["shared"].Used.Total() < quota/6 {
			return fmt.Errorf("little has moved yet: %w", err)
		}
		return nil
	})
	meanwhile(t, i)
	rig.Until(t, 60*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		// With less than a packet left the user is called limited already.
		if u := users["shared"]; u.Used.Total() < quota {
			return fmt.Errorf("%d of %d bytes are used", u.Used.Total(), quota)
		}
		return nil
	})
	stop()
	got := <-received
	if used := usedUp(t, i.Instance, "shared"); used != quota {
		t.Errorf("used %d of %d bytes: %+d", used, quota, int64(used)-quota)
	}
	if got > quota {
		t.Errorf("%d bytes have arrived under a quota of %d", got, quota)
	}
	for server := range 3 {
		if err := client.Refused(t.Context(), server); err != nil {
			t.Errorf("server %d: %v", server, err)
		}
	}
	others.Stop(t)
}
