//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

const (
	wgPort  = 51820
	webPort = "8080"
)

// A tunnelled world has a WireGuard server and phones.
type tunnelled struct {
	*rig.Instance
	phones []*rig.Phone
}

// tunnel installs a WireGuard server with n users, each with a phone.
func tunnel(t *testing.T, n int, flags ...string) *tunnelled {
	t.Helper()
	x := &tunnelled{Instance: rig.NewWorld(t).Instance(t)}
	x.World.Resolver(t)
	x.whoAmI(t)
	x.CreateServer("wg", wgPort, append([]string{"--protocol", "wireguard", "--dns", rig.OutsideAddr, "--dns", rig.OutsideAddr6}, flags...)...)
	x.Serve()
	for k := range n {
		x.phones = append(x.phones, x.World.Phone(t, k, x.file(t, fmt.Sprintf("p%d", k))))
	}
	return x
}

// file creates a user and returns what he puts into his WireGuard client.
func (x *tunnelled) file(t *testing.T, user string) string {
	t.Helper()
	var c vpn.UserChange
	x.JSON(&c, "users", "create", user)
	if len(c.Access) != 1 || c.Access[0].File == nil {
		t.Fatalf("user %s is given %+v", user, c.Access)
	}
	return c.Access[0].File.Text
}

// whoAmI is a web server outside that tells who asks, and takes and gives files.
func (x *tunnelled) whoAmI(t *testing.T) {
	t.Helper()
	for _, host := range []string{rig.OutsideAddr, rig.OutsideAddr6} {
		srv := &http.Server{Handler: http.HandlerFunc(x.answer)}
		go func() { _ = srv.Serve(x.World.Outside.Listen(t, net.JoinHostPort(host, webPort))) }()
		t.Cleanup(func() { srv.Close() })
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// The addresses that the server has towards the outside.
const (
	serverOut  = "203.0.113.129"
	serverOut6 = "2001:db8:2::1"
)

// wantInternet does what people do with a tunnel.
func (x *tunnelled) wantInternet(t *testing.T, p *rig.Phone) {
	t.Helper()
	for version, source := range map[string]string{"-4": serverOut, "-6": serverOut6} {
		url := "http://" + rig.OutsideName + ":" + webPort + "/"
		out, err := p.Try(within(t, 20*time.Second), "curl", "-sS", "--max-time", "15", version, url)
		if err != nil || out != source {
			t.Errorf("curl %s by name through the tunnel says %q, %v; want %s", version, out, err, source)
		}
	}
	for _, host := range []string{rig.OutsideAddr, rig.OutsideAddr6} {
		if err := echoed(t, p.Host, net.JoinHostPort(host, "9000"), 1200); err != nil {
			t.Errorf("datagrams to %s: %v", host, err)
		}
	}
}

// echoed sends a datagram of n bytes from a host to an echo, and waits for it.
func echoed(t *testing.T, h *rig.Host, to string, n int) error {
	t.Helper()
	c, err := h.Dial(within(t, 5*time.Second), "udp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := slices.Repeat([]byte("x"), n)
	b := make([]byte, n+1)
	for range 5 { // the first one may be lost: a handshake comes before
		if _, err := c.Write(sent); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		got, err := c.Read(b)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		if err == nil && got == n {
			return nil
		}
	}
	return errors.New("no answer")
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	for _, carrier := range []string{"tun", "userspace"} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			x := tunnel(t, 2, "--carrier", carrier)
			for _, p := range x.phones {
				x.wantInternet(t, p)
			}
			// The path's MTU is smaller than TCP believes.
			x.wantTransfer(t, x.phones[0])
			x.wantTold(t, x.phones[0], "p0")
			if carrier == "tun" {
				for _, host := range []string{rig.OutsideAddr, rig.OutsideAddr6} {
					if out, err := x.phones[0].Try(within(t, 20*time.Second), "ping", "-c", "2", "-i", "0.2", "-W", "5", host); err != nil {
						t.Errorf("ping %s: %v\n%s", host, err, out)
					}
				}
			}
			x.wantGuarded(t)
		})
	}
}

// wantTold cuts a user whose phone's own connections only listen: they hear of
// it all the same.
func (x *tunnelled) wantTold(t *testing.T, p *rig.Phone, user string) {
	t.Helper()
	for _, cut := range []string{"kick", "disable"} {
		live := map[string]living{}
		for _, host := range []string{rig.OutsideAddr, rig.OutsideAddr6} {
			raw, err := p.Dial(within(t, 10*time.Second), "tcp", net.JoinHostPort(host, "9000"))
			if err != nil {
				t.Fatal(err)
			}
			conn := xfer.NewConn(raw, nil)
			t.Cleanup(func() { conn.Close() })
			if err := conn.Echo(1); err != nil {
				t.Fatal(err)
			}
			l := living{make(chan time.Time, 1)}
			live[host] = l
			go func() {
				conn.Ended(time.Minute)
				l.ended <- time.Now()
			}()
		}
		start := time.Now()
		x.Must("users", cut, user)
		for host, l := range live {
			ended, err := l.wait(10 * time.Second)
			if err != nil {
				t.Errorf("%s: a connection to %s that listens is %v", cut, host, err)
			} else if late := ended.Sub(start); late > time.Second && !rig.Slow() {
				t.Errorf("%s: a connection to %s that listens lives on for %v", cut, host, late)
			}
		}
	}
	x.Must("users", "enable", user)
	x.wantInternet(t, p)
}

// wantGuarded tries to get to everything that nobody may reach.
func (x *tunnelled) wantGuarded(t *testing.T) {
	t.Helper()
	var c canary
	c.sit(t, x.World.Server, "")   // all addresses of the server's host
	c.sit(t, x.phones[1].Host, "") // another client
	gateway := x.phones[0].Addr(false).As4()
	gateway[3] = 1
	gateway6 := x.phones[0].Addr(true).As16()
	gateway6[15] = 1
	outside := []string{
		rig.PrivateAddr, "169.254.169.254", "fd00::7",
		"64:ff9b::a09:909", "64:ff9b::a9fe:a9fe", "2002:a09:909::1", "::ffff:0:a09:909", "172.17.0.2", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fec0::7",
		"172.16.0.1", "192.0.0.192", "fd00:ec2::254", "64:ff9b:1::a09:909", "2001:0:a09:909::1",
	}
	for _, a := range outside[3:] {
		command := "addr add " + a + " dev lo"
		if strings.Contains(a, ":") {
			command += " nodad"
		}
		x.World.Outside.IP(t, command)
	}
	for _, a := range outside {
		c.sit(t, x.World.Outside, a)
	}
	targets := append(outside,
		netip.AddrFrom4(gateway).String(), netip.AddrFrom16(gateway6).String(), // the tunnel's end
		x.phones[1].Addr(false).String(), x.phones[1].Addr(true).String(), // another client
		rig.ServerAddr, rig.ServerAddr6, serverOut, serverOut6, // the server's public addresses
		"64:ff9b::cb00:7181", "64:ff9b::7f00:1", "10.0.0.1", "::ffff:127.0.0.1", "224.0.0.1", "255.255.255.255", "ff02::1",
	)
	for _, to := range targets {
		addr := net.JoinHostPort(to, canaryPort)
		if to == rig.ServerAddr || to == rig.ServerAddr6 {
			continue // its route leads around the tunnel: WireGuard's own packets go there
		}
		conn, err := x.phones[0].Dial(within(t, 300*time.Millisecond), "tcp", addr)
		if err == nil {
			conn.Close()
		}
		if u, err := x.phones[0].Dial(within(t, time.Second), "udp", addr); err == nil {
			_, _ = u.Write([]byte("x"))
			u.Close()
		}
		if n := c.touched.Load(); n != 0 {
			t.Errorf("%s was reached", to)
			c.touched.Store(0)
		}
	}
	// Names that lead there are no way around.
	for _, version := range []string{"-4", "-6"} {
		if out, err := x.phones[0].Try(within(t, 5*time.Second), "curl", "-s", "--max-time", "1", version, "http://"+rig.PrivateName+":"+canaryPort+"/"); err == nil || c.touched.Load() != 0 {
			t.Errorf("curl %s %s says %q", version, rig.PrivateName, out)
		}
	}
	x.wantInternet(t, x.phones[0]) // it is not that nothing works
	if c.touched.Load() != 0 {
		t.Error("something forbidden was reached late")
	}
}

// tables lists the tables of rules on the server's host.
func (x *tunnelled) tables(t *testing.T) string {
	t.Helper()
	return x.World.Server.Output(t, "nft", "list", "tables")
}

// An allowed prefix opens that one, while connections go on; the server's end
// takes the rules away, and what others have stays.
func TestTunnelRules(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	setNftables(t, w.Server)
	w.Server.Output(t, "nft", "insert rule inet filter input udp dport 51820 accept")
	x := &tunnelled{Instance: w.Instance(t)}
	w.Resolver(t)
	x.whoAmI(t)
	before := w.Server.Output(t, "nft", "-a", "list", "ruleset")
	// A setting of the whole machine's, in whose place there is a file.
	buffers := filepath.Join(t.TempDir(), "rmem_max")
	if err := os.WriteFile(buffers, []byte("212992\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.Server.Output(t, "mount", "--bind", buffers, "/proc/sys/net/core/rmem_max")
	x.CreateServer("wg", wgPort, "--protocol", "wireguard", "--carrier", "tun", "--dns", rig.OutsideAddr)
	daemon := x.Serve()
	p := w.Phone(t, 0, x.file(t, "alice"))
	x.phones = append(x.phones, p)
	x.wantInternet(t, p)

	var shown vpn.ServerDetail
	x.JSON(&shown, "server", "show", "wg")
	if text := strings.Join(shown.Warnings, "\n"); !strings.Contains(text, "net.ipv4.ip_forward=1 (was 0)") || !strings.Contains(text, "net.ipv6.conf.all.forwarding=1 (was 0)") ||
		!strings.Contains(text, "net.core.rmem_max=4194304 (was 212992)") {
		t.Errorf("it is not said what was changed of this host: %q", text)
	}

	var c canary
	c.sit(t, w.Outside, rig.PrivateAddr)
	reached := func() error {
		conn, err := p.Dial(within(t, time.Second), "tcp", net.JoinHostPort(rig.PrivateAddr, canaryPort))
		if err == nil {
			conn.Close()
		}
		return err
	}
	if reached() == nil {
		t.Error("a private address is reached")
	}
	x.Must("server", "update", "wg", "--allow", rig.PrivateAddr+"/32")
	rig.Until(t, 3*time.Second, reached)
	x.Must("server", "update", "wg", "--allow", "none")
	rig.Until(t, 3*time.Second, func() error {
		if reached() == nil {
			return errors.New("a private address is reached")
		}
		return nil
	})

	// The control plane dies and another comes: the rules are the same.
	table := strings.Fields(strings.SplitAfter(x.tables(t), "table inet vpn-")[1])[0]
	rules := w.Server.Output(t, "nft", "list", "table", "inet", "vpn-"+table)
	daemon.Kill()
	if now := w.Server.Output(t, "nft", "list", "table", "inet", "vpn-"+table); now != rules {
		t.Errorf("without a control plane the rules are\n%s\nand were\n%s", now, rules)
	}
	x.wantInternet(t, p)
	x.Serve()
	if now := w.Server.Output(t, "nft", "list", "table", "inet", "vpn-"+table); now != rules {
		t.Errorf("after a restart the rules are\n%s\nand were\n%s", now, rules)
	}
	x.wantInternet(t, p)

	// Somebody loads his whole rule set anew.
	w.Server.Output(t, "nft", "delete", "table", "inet", "vpn-"+table)
	rig.Until(t, 5*time.Second, func() error {
		if !strings.Contains(x.tables(t), table) {
			return errors.New("the rules are not put back")
		}
		return nil
	})
	x.wantInternet(t, p)

	// The worker dies: its successor has a device, and the same rules.
	rig.Signal(t, x.OneWorker(), syscall.SIGKILL)
	x.Ready()
	rig.Until(t, 20*time.Second, func() error { return echoed(t, p.Host, net.JoinHostPort(rig.OutsideAddr, "9000"), 100) })
	if now := w.Server.Output(t, "nft", "list", "table", "inet", "vpn-"+table); now != rules {
		t.Errorf("after the worker's end the rules are\n%s\nand were\n%s", now, rules)
	}

	x.Must("server", "stop", "wg", "--yes")
	if now := w.Server.Output(t, "nft", "-a", "list", "ruleset"); now != before {
		t.Errorf("of a server that is stopped there are\n%s\nbefore it\n%s", now, before)
	}
	x.Must("server", "start", "wg")
	rig.Until(t, 20*time.Second, func() error { return echoed(t, p.Host, net.JoinHostPort(rig.OutsideAddr, "9000"), 100) })
	x.wantInternet(t, p)
	x.Must("server", "delete", "wg", "--yes")
	if now := w.Server.Output(t, "nft", "-a", "list", "ruleset"); now != before {
		t.Errorf("of a server that is gone there are\n%s\nbefore it\n%s", now, before)
	}
	if links := w.Server.Output(t, "ip", "-br", "link"); strings.Contains(links, "vpn-") {
		t.Errorf("a device is left:\n%s", links)
	}
}

// What is left of servers that the store does not know goes when a daemon
// starts; another store's stays.
func TestTunnelStraysAreCollected(t *testing.T) {
	t.Parallel()
	x := tunnel(t, 1, "--carrier", "tun")
	x.wantInternet(t, x.phones[0])
	own := strings.Fields(strings.SplitAfter(x.tables(t), "table inet vpn-")[1])[0]
	store, id, _ := strings.Cut(own, "-")
	// Everything dies at once, and the server is deleted without a daemon: by
	// then nobody knows the stray one but by its name.
	x.Daemon().Kill()
	for _, pid := range x.Workers() {
		rig.Signal(t, pid, syscall.SIGKILL)
	}
	stray, foreign := "vpn-"+store+"-"+strings.Repeat("a", len(id)), "vpn-"+strings.Repeat("a", len(store))+"-"+id
	for _, name := range []string{stray, foreign} {
		x.World.Server.Output(t, "nft", "add", "table", "inet", name)
	}
	if !strings.Contains(x.tables(t), own) {
		t.Error("the rules did not outlive everybody")
	}
	x.Serve()
	rig.Until(t, 5*time.Second, func() error {
		if tables := x.tables(t); strings.Contains(tables, stray) || !strings.Contains(tables, foreign) || !strings.Contains(tables, own) {
			return fmt.Errorf("there are %s", tables)
		}
		return nil
	})
	x.World.Server.Output(t, "nft", "delete", "table", "inet", foreign)
	// The end of everything leaves nothing, even if nobody has the store.
	x.Daemon().Kill()
	for _, name := range []string{"vpn.db", "away.db"} {
		x.Must("serve", "--end-workers")
		if tables := x.tables(t); tables != "" || len(x.Workers()) != 0 {
			t.Errorf("left are %s and the workers %v", tables, x.Workers())
		}
		if name == "away.db" {
			break
		}
		x.Serve()
		rig.Until(t, 5*time.Second, func() error {
			if tables := x.tables(t); !strings.Contains(tables, own) {
				return fmt.Errorf("a new daemon makes no rules; there are %s", tables)
			}
			return nil
		})
		x.Daemon().Kill()
		if err := os.Rename(x.File("vpn.db"), x.File("away.db")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(x.File("away.db"), x.File("vpn.db")); err != nil {
		t.Fatal(err)
	}
	x.Must("server", "delete", "wg", "--yes")
	if tables := x.tables(t); tables != "" {
		t.Errorf("left are %s", tables)
	}
}

// A subnet that something of this machine has is refused, and so is another
// server's; one that is left open is free.
func TestTunnelSubnets(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.World.Server.IP(t, "route add 10.30.0.0/16 via "+rig.OutsideAddr+" table 77")
	i.Serve()
	for subnet, by := range map[string]string{
		"203.0.113.0/24": "interface to-client", "10.30.5.0/24": "a route by to-outside",
	} {
		r := i.Run("server", "create", "wg", "--protocol", "wireguard", "--subnet", subnet, "--port", "51820")
		if r.Status != 5 || !strings.Contains(r.Err, subnet+" is taken by "+by) {
			t.Errorf("a taken subnet: status %d, %s", r.Status, r.Err)
		}
	}
	i.CreateServer("one", wgPort, "--protocol", "wireguard", "--subnet", "10.44.0.0/16")
	r := i.Run("server", "create", "two", "--protocol", "wireguard", "--subnet", "10.44.7.0/24", "--port", "51821")
	if r.Status != 5 || !strings.Contains(r.Err, "is taken by ") {
		t.Errorf("another server's subnet: status %d, %s", r.Status, r.Err)
	}
	i.CreateServer("two", wgPort+1, "--protocol", "wireguard")
}

// A host that cannot have the device carries packets in user space, and says
// what would change that.
func TestTunnelThatCannotBe(t *testing.T) {
	t.Parallel()
	x := &tunnelled{Instance: rig.NewWorld(t).Instance(t)}
	x.World.Resolver(t)
	x.whoAmI(t)
	host := x.World.Server
	host.Output(t, "mount", "--bind", "/proc/sys/net", "/proc/sys/net")
	host.Output(t, "mount", "-o", "remount,bind,ro", "/proc/sys/net")
	x.CreateServer("wg", wgPort, "--protocol", "wireguard", "--carrier", "tun", "--dns", rig.OutsideAddr)
	x.Serve()
	p := x.World.Phone(t, 0, x.file(t, "alice"))
	x.wantInternet(t, p)
	var shown vpn.ServerDetail
	x.JSON(&shown, "server", "show", "wg")
	if text := strings.Join(shown.Warnings, "\n"); !strings.Contains(text, "in user space") || !strings.Contains(text, "sysctl -w net.ipv4.ip_forward=1") {
		t.Errorf("server show says %q", text)
	}
	if tables := x.tables(t); tables != "" {
		t.Errorf("there are %s", tables)
	}
	host.Output(t, "mount", "-o", "remount,bind,rw", "/proc/sys/net")
	x.Must("server", "restart", "wg", "--yes")
	x.Ready()
	if tables := x.tables(t); !strings.Contains(tables, "vpn-") {
		t.Errorf("after a restart there are no rules: %s", tables)
	}
	var after vpn.ServerDetail
	x.JSON(&after, "server", "show", "wg")
	if text := strings.Join(after.Warnings, "\n"); strings.Contains(text, "user space") {
		t.Errorf("server show still says %q", text)
	}
}
