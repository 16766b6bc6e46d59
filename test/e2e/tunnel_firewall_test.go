//go:build linux && e2e

package e2e

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A host's own firewall that lets no client of a tunnel through is named,
// wherever one looks, with the commands that do; typed as they are shown they
// do, nothing is said any more, and it stays so when the firewall's owner goes
// on with his work.
func TestTunnelBehindAFirewall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  func(*testing.T, *rig.Host) (again func())
		open string // what is to be typed; DEV stands for the tunnel's device
		back string // what takes it back, where the guide says so
		box  bool   // the server is in a container of an engine that does what set does elsewhere
	}{
		"ufw": {func(t *testing.T, h *rig.Host) func() {
			setUFW(t, h)
			h.Output(t, "ufw", "allow", "51820/udp")
			return func() { h.Output(t, "ufw", "reload") }
		}, "ufw route allow in on DEV", "ufw route delete allow in on DEV", false},
		"firewalld": {
			func(t *testing.T, h *rig.Host) func() {
				setFirewalld(t, h)
				h.Output(t, "firewall-cmd", "--permanent", "--add-port=51820/udp")
				h.Output(t, "firewall-cmd", "--reload")
				return func() { h.Output(t, "firewall-cmd", "--reload") }
			}, "firewall-cmd --zone=trusted --change-interface=DEV && firewall-cmd --zone=trusted --change-interface=DEV --permanent",
			"firewall-cmd --zone=trusted --remove-interface=DEV && firewall-cmd --zone=trusted --remove-interface=DEV --permanent", false,
		},
		"Docker": {func(t *testing.T, h *rig.Host) func() {
			engine := h.Docker(t) // which makes a host that does not forward one that forwards nothing else
			return func() {
				if err := errors.Join(engine.Stop(), engine.Start()); err != nil {
					t.Fatal(err)
				}
			}
		}, dockerUser("iptables"), "", false},
		"Docker, in a container": {nil, dockerUser("iptables"), "", true},
		"Docker with IPv6": {func(t *testing.T, h *rig.Host) func() {
			h.Docker(t, "--experimental", "--ip6tables")
			return nil
		}, dockerUser("iptables") + " && " + strings.ReplaceAll(dockerUser("ip6tables"), "DOCKER-USER", "FORWARD"), "", false},
		"nftables": {func(t *testing.T, h *rig.Host) func() {
			h.Output(t, "nft", "table inet filter { chain forward { type filter hook forward priority 0; policy drop; }; }")
			return nil
		}, "nft insert rule inet filter forward iifname DEV accept && nft insert rule inet filter forward oifname DEV ct state established,related accept", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &tunnelled{Instance: rig.NewWorld(t).Instance(t)}
			var again func()
			var flags []string
			if c.box {
				x.World.Server.Docker(t).Contain(x.Instance)
				t.Cleanup(func() { x.Run("serve", "--end-workers") })
				flags = []string{"--runtime", "docker"}
			} else {
				again = c.set(t, x.World.Server)
			}
			x.World.Resolver(t)
			x.whoAmI(t)
			x.Serve()
			created := x.Run(append([]string{"server", "create", "wg", "--protocol", "wireguard", "--carrier", "tun", "--dns", rig.OutsideAddr, "--public-host", rig.ServerAddr}, flags...)...)
			var shown vpn.ServerDetail
			x.JSON(&shown, "server", "show", "wg")
			device := strings.NewReplacer("DEV", "vpn-"+string(shown.ID)[:10])
			open := device.Replace(c.open)
			if blocked := aboutTunnels(created.Err); created.Status != 0 || len(blocked) != 1 || !strings.HasSuffix(blocked[0], ": "+open) {
				t.Fatalf("server create says %d:\n%s\nwant: %s", created.Status, created.Err, open)
			}
			looks := [][]string{{"status"}, {"server", "show", "wg"}, {"server", "status", "wg"}, {"server", "start", "wg"}}
			for _, args := range looks {
				if r := x.Run(args...); strings.Count(r.Err, open+"\n") != 1 || len(aboutTunnels(r.Err)) != 1 {
					t.Errorf("%s tells a person:\n%s\nwant: %s", strings.Join(args, " "), r.Err, open)
				}
			}
			p := x.World.Phone(t, 0, x.file(t, "alice"))
			if err := echoed(t, p.Host, net.JoinHostPort(rig.OutsideAddr, "9000"), 100); err == nil {
				t.Error("it is said that the tunnel is blocked, and it is not")
			}

			x.World.Server.Output(t, "sh", "-c", open)
			wantOpen := func(since string) {
				for _, args := range looks {
					if r := x.Run(args...); r.Status != 0 || len(aboutTunnels(r.Err)) != 0 {
						t.Errorf("after %s %s says %d:\n%s", since, strings.Join(args, " "), r.Status, r.Err)
					}
				}
				x.wantInternet(t, p)
			}
			wantOpen(open)
			if again != nil {
				again()
				wantOpen("the firewall began anew")
			}
			if c.back != "" {
				x.World.Server.Output(t, "sh", "-c", device.Replace(c.back))
				if r := x.Run("status"); strings.Count(r.Err, open+"\n") != 1 {
					t.Errorf("after it was taken back, status tells a person:\n%s\nwant: %s", r.Err, open)
				}
			}
		})
	}
}

// What an engine publishes is forwarded past the rules for this host's own
// ports: a firewall that has no rule for the port of a server on a network of
// the engine's blocks nobody, and nothing is said.
func TestPublishedPortBehindAFirewall(t *testing.T) {
	t.Parallel()
	i, _ := dock(t)
	i.Serve()
	setUFW(t, i.World.Server)
	var c vpn.ServerChange
	i.JSON(&c, "server", "create", "lan", "--protocol", "socks5", "--port", "1090", "--public-host", rig.ServerAddr, "--runtime", "docker", "--network", "vpn-lan")
	client := rig.NewDirect(i.World, i.CreateUser("alice"))
	rig.Until(t, 10*time.Second, func() error { return reached(t, client) })
	if s, err := i.Status(); err != nil || len(c.Warnings)+len(s.Warnings) != 0 {
		t.Errorf("false alarm: %q, %q, %v", c.Warnings, s.Warnings, err)
	}
}

// dockerUser returns what lets a tunnel through beside Docker.
func dockerUser(program string) string {
	return program + " -I DOCKER-USER -i DEV -j ACCEPT && " + program + " -I DOCKER-USER -o DEV -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
}

// aboutTunnels returns those lines that name something that blocks a tunnel.
func aboutTunnels(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "blocks what clients send") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// Docker does nothing to the tunnels of a host that forwarded before it
// started, as the warning promises, and nothing is said then.
func TestTunnelBesideDocker(t *testing.T) {
	t.Parallel()
	x := &tunnelled{Instance: rig.NewWorld(t).Instance(t)}
	x.World.Server.Output(t, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	x.World.Server.Docker(t)
	x.World.Resolver(t)
	x.whoAmI(t)
	x.Serve()
	x.CreateServer("wg", wgPort, "--protocol", "wireguard", "--carrier", "tun", "--dns", rig.OutsideAddr)
	var shown vpn.ServerDetail
	if x.JSON(&shown, "server", "show", "wg"); shown.Worker == nil || shown.Worker.Carrier != "tun" || len(aboutTunnels(strings.Join(shown.Warnings, "\n"))) != 0 {
		t.Errorf("false alarm: %+v: %q", shown.Worker, shown.Warnings)
	}
	x.wantInternet(t, x.World.Phone(t, 0, x.file(t, "alice")))
}
