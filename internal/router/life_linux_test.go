package router_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/router"
	"vpn/internal/vpn"
)

// childEnv makes this program one that applies the tunnel in it: once, or
// again and again until it is killed.
const childEnv = "VPN_TEST_ROUTER"

type child struct {
	Tunnel router.Tunnel
	Churn  bool
}

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(childEnv); ok {
		var c child
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		for {
			_, err := router.Apply(c.Tunnel)
			if c.Churn && err == nil {
				err = router.Remove(c.Tunnel.Store, c.Tunnel.Server)
			}
			if err != nil {
				fmt.Print(vpn.KindOf(err), ": ", err)
				os.Exit(1)
			}
			if !c.Churn {
				os.Exit(0)
			}
		}
	}
	os.Exit(m.Run())
}

// start runs this program as a child on the server's host.
func (p pair) start(t *testing.T, c child, attr *syscall.SysProcAttr) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{childEnv + "=" + string(text)}
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &out, &out, attr
	p.server.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

func (p pair) rules(t *testing.T, args ...string) string {
	t.Helper()
	return p.server.Run(t, "", "nft", append([]string{"-a"}, args...)...)
}

func (p pair) list(t *testing.T, tun router.Tunnel) string {
	t.Helper()
	return p.server.Run(t, "", "nft", "list", "table", "inet", "vpn-"+tun.Store+"-"+string(tun.Server))
}

// others are rules of other people's.
func (p pair) others(t *testing.T) {
	t.Helper()
	p.server.Run(t, `table inet filter {
	set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 }
	}
	chain input { type filter hook input priority 0; policy accept; ct state established accept; ip saddr @s counter; }
	chain forward { type filter hook forward priority 0; policy accept; }
}
table ip nat { chain post { type nat hook postrouting priority 100; oifname "docker0" masquerade; }
}
table inet vpn-otherstore-aaaaaaaaaabcdefg { chain forward { type filter hook forward priority 0; policy accept; }
}
table ip vpn-teststore-zzzzzzzzzzzzzzzz { chain c { }
}
`, "nft", "-f", "-")
	p.server.Run(t, "", "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
}

// However often rules come and go, those of others stay as they are, byte by
// byte, and the last removal leaves nothing behind.
func TestForeignRulesAreLeftAlone(t *testing.T) {
	p, tun, second := newPair(t), tunnel(1), tunnel(2)
	p.others(t)
	before := p.rules(t, "list", "ruleset")
	device, _ := p.open(t, tun), p.open(t, second)
	p.apply(t, second)
	first := ""
	for n := range 200 {
		tun.Allow = nil
		if n%2 == 1 {
			tun.Allow = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
		}
		p.apply(t, tun)
		if n%20 == 0 {
			text := p.list(t, tun)
			if first == "" {
				first = text
			}
			if text != first {
				t.Fatalf("after %d cycles the rules are\n%s\nand were\n%s", n, text, first)
			}
		}
		p.remove(t, tun)
	}
	p.apply(t, tun)
	write(t, device, datagram{client(tun, false, 1), netip.MustParseAddr(outsideV4), lastPort}.bytes())
	p.received(t, lastPort)
	p.remove(t, tun)
	p.remove(t, second)
	p.remove(t, second) // is none
	if after := p.rules(t, "list", "ruleset"); after != before {
		t.Errorf("the rules of others were\n%s\nand are\n%s", before, after)
	}
}

func (p pair) remove(t *testing.T, tun router.Tunnel) {
	t.Helper()
	var err error
	p.server.Do(func() { err = router.Remove(tun.Store, tun.Server) })
	if err != nil {
		t.Fatal(err)
	}
}

// Twice is once: the rules, the device and what is said of it.
func TestApplyTwice(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.open(t, tun)
	look := func() string {
		return p.list(t, tun) + p.server.Run(t, "", "ip", "address", "show", "dev", router.Device(tun.Server)) + p.server.Run(t, "", "ip", "-6", "route")
	}
	changes := p.apply(t, tun)
	once := look()
	if again := p.apply(t, tun); !slices.Equal(again, changes) {
		t.Errorf("the second time it says %v changed, the first time %v", again, changes)
	}
	if twice := look(); twice != once {
		t.Errorf("once:\n%s\ntwice:\n%s", once, twice)
	}
	for _, want := range []string{"10.77.1.1/24", "fd77:0:0:1::1/64", "mtu 1420", "UP", `comment "net.ipv4.ip_forward=1 (was 0)"`} {
		if !strings.Contains(once, want) {
			t.Errorf("there is no %s in\n%s", want, once)
		}
	}
	// Another subnet and MTU take the place of the first ones.
	tun.Addresses, tun.MTU = tunnel(3).Addresses, 1280
	p.apply(t, tun)
	if now := look(); strings.Contains(now, "10.77.1.") || strings.Contains(now, "fd77:0:0:1:") || !strings.Contains(now, "10.77.3.1/24") || !strings.Contains(now, "mtu 1280") {
		t.Errorf("after a change of subnet:\n%s", now)
	}
}

// Whoever is killed in the middle leaves a table that is whole, or none.
func TestKilledInTheMiddle(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.others(t)
	p.open(t, tun)
	p.apply(t, tun)
	whole := p.list(t, tun)
	p.remove(t, tun)
	before := p.rules(t, "list", "ruleset")
	there := 0
	for range 60 {
		cmd, out := p.start(t, child{tun, true}, nil)
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) //nolint:forbidigo // the moment is what is random
		_ = cmd.Process.Kill()
		err := cmd.Wait()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
			t.Fatalf("the child ended by itself: %v: %s", err, out)
		}
		tables := p.server.Run(t, "", "nft", "list", "tables")
		if strings.Contains(tables, "inet vpn-teststore-"+string(tun.Server)) {
			there++
			// The note of the settings that the first one changed went with its table.
			if text := p.list(t, tun); withoutNotes(text) != withoutNotes(whole) {
				t.Fatalf("half a table:\n%s\nwhole:\n%s", text, whole)
			}
		}
		p.remove(t, tun)
		if after := p.rules(t, "list", "ruleset"); after != before {
			t.Fatalf("the rules of others were\n%s\nand are\n%s", before, after)
		}
	}
	if there == 0 {
		t.Error("the table was never there when the child was killed: this tests nothing")
	}
}

func withoutNotes(text string) string {
	before, after, _ := strings.Cut(text, "chain changed-sysctls {")
	_, after, _ = strings.Cut(after, "}")
	return before + after
}

// What a crash has left of servers that are gone goes, and nothing else does.
func TestCollect(t *testing.T) {
	p, dead, living, others := newPair(t), tunnel(1), tunnel(2), tunnel(3)
	others.Store = "teststore2"
	for _, tun := range []router.Tunnel{dead, living, others} {
		p.open(t, tun)
		p.apply(t, tun)
	}
	p.others(t)
	var gone, have []vpn.ServerID
	var err, err2 error
	p.server.Do(func() {
		gone, err = router.Collect(store, []vpn.ServerID{living.Server})
		have, err2 = router.Servers(store)
	})
	if err := errors.Join(err, err2); err != nil || !slices.Equal(gone, []vpn.ServerID{dead.Server}) || !slices.Equal(have, []vpn.ServerID{living.Server}) {
		t.Errorf("gone are %v, there are %v, %v", gone, have, err)
	}
	tables := p.server.Run(t, "", "nft", "list", "tables")
	for _, want := range []string{"inet vpn-teststore-" + string(living.Server), "inet vpn-teststore2-" + string(others.Server), "inet vpn-otherstore-aaaaaaaaaabcdefg", "ip vpn-teststore-zzzzzzzzzzzzzzzz"} {
		if !strings.Contains(tables, want) {
			t.Errorf("there is no table %s:\n%s", want, tables)
		}
	}
}

// As the package says: any uid can do it whose only capability is NET_ADMIN,
// and without that nobody, who changes nothing.
func TestPrivilege(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	p.open(t, tun)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	cmd, out := p.start(t, child{Tunnel: tun}, &syscall.SysProcAttr{Credential: nobody})
	if err := cmd.Wait(); err == nil || !strings.HasPrefix(out.String(), string(vpn.Denied)) {
		t.Errorf("without a capability: %v, %s", err, out)
	}
	if tables := p.server.Run(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("and it left %s", tables)
	}
	cmd, out = p.start(t, child{Tunnel: tun}, &syscall.SysProcAttr{Credential: nobody, AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}})
	if err := cmd.Wait(); err != nil {
		t.Errorf("with NET_ADMIN: %v, %s", err, out)
	}
	if v := p.server.Setting(t, "ipv4/ip_forward") + p.server.Setting(t, "ipv6/conf/all/forwarding"); v != "11" {
		t.Errorf("forwarding is %s", v)
	}
}

// The second device of one name is refused, and takes nothing from the first.
func TestOpenTwice(t *testing.T) {
	p, tun := newPair(t), tunnel(1)
	device := p.open(t, tun)
	p.server.Do(func() {
		if f, err := router.Open(tun.Server); vpn.KindOf(err) != vpn.Conflict {
			t.Errorf("opened again: %v, %v", f, err)
		}
	})
	p.apply(t, tun)
	device.Close()
	p.server.Do(func() {
		if router.Exists(tun.Server) {
			t.Error("the device outlives whoever had it open")
		}
		if _, err := router.Apply(tun); vpn.KindOf(err) != vpn.NotFound {
			t.Errorf("without a device: %v", err)
		}
	})
}

func TestBadTunnels(t *testing.T) {
	p := newPair(t)
	for name, change := range map[string]func(*router.Tunnel){
		"no address": func(tun *router.Tunnel) { tun.Addresses = nil },
		"two IPv4":   func(tun *router.Tunnel) { tun.Addresses = append(tun.Addresses, netip.MustParsePrefix("10.1.0.1/24")) },
		"mapped":     func(tun *router.Tunnel) { tun.Addresses = []netip.Prefix{netip.MustParsePrefix("::ffff:10.1.0.1/120")} },
		"MTU 576":    func(tun *router.Tunnel) { tun.MTU = 576 },
		"MTU 70000":  func(tun *router.Tunnel) { tun.MTU = 70000 },
		"no server":  func(tun *router.Tunnel) { tun.Server = "" },
	} {
		tun := tunnel(1)
		change(&tun)
		p.server.Do(func() {
			if _, err := router.Apply(tun); vpn.KindOf(err) != vpn.Invalid {
				t.Errorf("%s gives %v", name, err)
			}
		})
	}
	if tables := p.server.Run(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("and leaves %s", tables)
	}
}
