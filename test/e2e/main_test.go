//go:build linux && e2e

// Package e2e shows what users are promised: the real binary, real client
// programs in processes of their own, real sockets between hosts. Each test
// has a world of its own (package rig), so most run side by side; those that
// measure time run alone.
package e2e

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// port is where servers listen.
const port = 443

// install returns a world with a running instance that has one server, and n
// users u0, u1, … with their logins.
func install(t *testing.T, n int) (*rig.Instance, []rig.Login) {
	t.Helper()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.Serve()
	return i, i.CreateUsers("u", n)
}

// A way is a protocol and the client program that users come with.
type way struct {
	protocol string
	flags    []string // of the server
	start    func(*rig.World, testing.TB, ...rig.Login) *rig.Client
	streams  bool // it has no datagrams
	fixed    bool // the program cannot choose the address that it comes from
	deaf     bool // the program tells its applications nothing of an end that comes from the server
	packets  bool // what is counted are IP packets (docs/adr/0016), and they are all that can be cut

	home *rig.Instance // in whose containers the server is to run; nil: a process of an installation of its own
}

// tunneled is the way on which packets are counted.
const tunneled = "wireguard, tun"

// ways are all that is promised for every protocol alike.
func ways() map[string]way {
	return map[string]way{
		"vless, xray":           {protocol: "vless", start: (*rig.World).Xray},
		"vless, sing-box":       {protocol: "vless", start: (*rig.World).SingBox},
		"shadowsocks, ss-local": {protocol: "shadowsocks", start: (*rig.World).SSLocal, fixed: true},
		"shadowsocks, sing-box": {protocol: "shadowsocks", flags: []string{"--method", "aes-256-gcm"}, start: (*rig.World).SingBox},
		"shadowsocks, xray":     {protocol: "shadowsocks", flags: []string{"--method", "aes-128-gcm"}, start: (*rig.World).Xray},
		"shadowsocks 2022, xray": {
			protocol: "shadowsocks", flags: []string{"--method", "2022-blake3-aes-256-gcm"}, start: (*rig.World).Xray,
			deaf: true, // 26.7.28 is: what has ended shows when the application sends
		},
		"shadowsocks 2022, sing-box": {
			protocol: "shadowsocks", flags: []string{"--method", "2022-blake3-aes-128-gcm"}, start: (*rig.World).SingBox,
		},
		"http, sing-box":   {protocol: "http", start: (*rig.World).SingBox, streams: true},
		"https, sing-box":  {protocol: "mixed", flags: []string{"--tls"}, start: (*rig.World).SingBox, streams: true},
		"socks5, xray":     {protocol: "socks5", start: (*rig.World).Xray},
		"socks5, sing-box": {protocol: "socks5", start: (*rig.World).SingBox},
		tunneled: {
			protocol: "wireguard", flags: []string{"--carrier", "tun"}, start: rig.WireGuard,
			deaf: true, packets: true,
		},
		"wireguard, userspace": {protocol: "wireguard", flags: []string{"--carrier", "userspace"}, start: rig.WireGuard},
	}
}

// heard are those ways on which an application learns that the server has
// ended its connection.
func heard() map[string]way {
	ws := ways()
	maps.DeleteFunc(ws, func(_ string, w way) bool { return w.deaf })
	return ws
}

// counts returns what the product should count for a login that has one
// connection, by now.
func (w way) counts(c *rig.Client, login int, payload vpn.Traffic) vpn.Traffic {
	if w.packets {
		return c.Packets(login)
	}
	return payload
}

// install is install for the way's protocol.
func (w way) install(t *testing.T, n int) (*rig.Instance, []rig.Login) {
	t.Helper()
	if w.home != nil {
		return w.contain(t, n)
	}
	if w.protocol == "vless" {
		return install(t, n)
	}
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port, append([]string{"--protocol", w.protocol}, w.flags...)...)
	i.Serve()
	return i, i.CreateUsers("u", n)
}

// sum returns the traffic of all users together.
func sum(ts []vpn.Traffic) (all vpn.Traffic) {
	for _, t := range ts {
		all = all.Add(t)
	}
	return all
}

// pause lets d go by where time itself is what is measured.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// works returns nil if a login can reach the transfer server now.
func works(t *testing.T, c *rig.Client, login int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	conn, err := c.Open(ctx, login, false)
	if err == nil {
		conn.Close()
	}
	return err
}
