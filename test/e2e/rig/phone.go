//go:build linux

package rig

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/test/xfer"
)

// A Phone is a host that has nothing but a WireGuard tunnel: wireguard-go with
// an interface, set up by wg(8) from the product's file. All but the tunnel's
// own packets goes through it.
type Phone struct {
	*Host
	Addrs []netip.Addr // its own in the tunnel
	DNS   []string
	iface string
	proc  *Process
	file  string // what wg reads
}

// phoneLink is where the n-th phone is outside of its tunnel: its own end of
// the cable to the server, and the server's.
func phoneLink(n int) (own, server, own6, server6 string) {
	return fmt.Sprintf("198.51.100.%d", 4*n+2), fmt.Sprintf("198.51.100.%d", 4*n+1),
		fmt.Sprintf("2001:db8:64:%d::2", n), fmt.Sprintf("2001:db8:64:%d::1", n)
}

// Phone makes a host with a WireGuard client from a file that the product
// wrote. n is its number, from 0 to 9: each has an address of its own.
func (w *World) Phone(t testing.TB, n int, conf string) *Phone {
	t.Helper()
	p := &Phone{Host: newHost(t, fmt.Sprintf("phone%d", n), 0), iface: "wg0"}
	own, server, own6, server6 := phoneLink(n)
	link(t, p.Host, []string{own + "/30", own6 + "/64"}, w.Server, []string{server + "/30", server6 + "/64"})
	p.IP(t,
		"route add "+ServerAddr+"/32 via "+server, "route add "+ServerAddr6+"/128 via "+server6,
		"link set to-server mtu 1500")
	set := p.read(t, conf)
	// Where names are looked up.
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	text := "options timeout:2 attempts:2\n"
	for _, d := range p.DNS {
		text += "nameserver " + d + "\n"
	}
	if err := os.WriteFile(resolv, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.Bind(t, resolv, "/etc/resolv.conf")
	p.proc = p.wireGuard(t, p.iface)
	p.Configure(t, conf)
	commands := []string{"link set " + p.iface + " mtu " + set["MTU"]}
	for _, a := range p.Addrs {
		c := fmt.Sprintf("addr add %s/%d dev %s", a, a.BitLen(), p.iface)
		if a.Is6() {
			c += " nodad"
		}
		commands = append(commands, c)
	}
	commands = append(commands, "link set "+p.iface+" up", "route add default dev "+p.iface, "route add ::/0 dev "+p.iface)
	p.IP(t, commands...)
	return p
}

// wireGuard starts wireguard-go on the host, with an interface of that name
// that wg(8) can set up.
func (h *Host) wireGuard(t testing.TB, iface string) *Process {
	t.Helper()
	// Where wg and wireguard-go meet.
	run := t.TempDir()
	if err := os.MkdirAll("/run/wireguard", 0o755); err != nil {
		t.Fatal(err)
	}
	h.Bind(t, run, "/run/wireguard")
	proc := h.Spawn(t, []string{"LOG_LEVEL=error"}, CacheFile(t, "bin/wireguard-go"), "-f", iface)
	Until(t, 10*time.Second, func() error {
		if err := proc.Running(); err != nil {
			t.Fatalf("%v\n%s", err, proc.Output())
		}
		c, err := net.Dial("unix", filepath.Join(run, iface+".sock"))
		if err == nil {
			c.Close()
		}
		return err
	})
	return proc
}

// read takes apart what wg-quick(8) would, and returns those lines by name.
func (p *Phone) read(t testing.TB, conf string) map[string]string {
	t.Helper()
	set := map[string]string{}
	for line := range strings.Lines(conf) {
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); ok && slices.Contains(quick, key) {
			set[key] = strings.TrimSpace(value)
		}
	}
	p.Addrs = nil
	for text := range strings.SplitSeq(set["Address"], ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			t.Fatalf("the file's addresses: %v\n%s", err, conf)
		}
		p.Addrs = append(p.Addrs, prefix.Addr())
	}
	p.DNS = nil
	for text := range strings.SplitSeq(set["DNS"], ",") {
		p.DNS = append(p.DNS, strings.TrimSpace(text))
	}
	if set["MTU"] == "" {
		set["MTU"] = "1420"
	}
	return set
}

// quick are the lines of a file that wg-quick(8) acts upon, and wg(8) does not
// know.
var quick = []string{"Address", "DNS", "MTU"}

// Configure gives another file to the running tunnel.
func (p *Phone) Configure(t testing.TB, conf string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(conf) {
		key, _, _ := strings.Cut(line, "=")
		if !slices.Contains(quick, strings.TrimSpace(key)) {
			lines = append(lines, line)
		}
	}
	p.file = filepath.Join(t.TempDir(), "wg.conf")
	if err := os.WriteFile(p.file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Output(t, "wg", "setconf", p.iface, p.file)
}

// Addr returns the phone's address in the tunnel.
func (p *Phone) Addr(v6 bool) netip.Addr {
	for _, a := range p.Addrs {
		if a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}

// Open connects through the tunnel to the transfer server, and exchanges a few
// bytes.
func (p *Phone) Open(ctx context.Context, w *World) (*xfer.Conn, error) {
	raw, err := p.Dial(ctx, "tcp", transferAddr(xferPort, false))
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	return w.warm(raw, false)
}

// Try runs a program on the phone and returns what it prints, on both
// streams.
func (p *Phone) Try(ctx context.Context, program string, args ...string) (string, error) {
	var out strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &unix.SysProcAttr{}
	if err := p.Start(cmd); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	err := cmd.Wait()
	return out.String(), err
}
