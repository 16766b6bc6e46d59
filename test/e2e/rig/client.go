//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"vpn/test/xfer"
)

// A Login is a user's link, used from one address of the client host; without
// one the system chooses.
type Login struct {
	Link Link
	From string
}

// A Client is a real client program with one SOCKS port per login, and after
// these, devices of WireGuard that are logins too.
type Client struct {
	*Process               // nil without a port
	Stall    time.Duration // after which a connection of a [Load] counts as dropped; 0: 10 s
	world    *World
	ports    []int
	devices  []*Device
	mute     bool   // its server lets strangers wait, and answers nothing,
	quiet    []bool // or those of these logins do
}

// firstPort is where SOCKS ports begin; each client program takes the next
// free ones of its host.
const firstPort = 20000

// Xray starts one xray with these logins.
func (w *World) Xray(t testing.TB, logins ...Login) *Client {
	t.Helper()
	return w.client(t, "bin/xray", []string{"run", "-c"}, xrayConfig, logins)
}

// SingBox starts one sing-box with these logins.
func (w *World) SingBox(t testing.TB, logins ...Login) *Client {
	t.Helper()
	return w.client(t, "bin/sing-box", []string{"run", "-c"}, singBoxConfig, logins)
}

func (w *World) client(t testing.TB, program string, args []string, config func([]Login, []int) any, logins []Login) *Client {
	t.Helper()
	c := &Client{world: w, ports: w.freePorts(t, len(logins)), quiet: make([]bool, len(logins))}
	for i, l := range logins {
		c.quiet[i] = l.Link.Scheme == "ss"
	}
	text, err := json.MarshalIndent(config(logins, c.ports), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "client.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Process = w.Client.Spawn(t, nil, CacheFile(t, program), append(args, path)...)
	c.wait(t)
	return c
}

// wait waits until the client program listens.
func (c *Client) wait(t testing.TB) {
	t.Helper()
	Until(t, 20*time.Second, func() error {
		if err := c.Running(); err != nil {
			t.Fatal(err)
		}
		listening, err := c.world.Client.Listening()
		if err != nil {
			return err
		}
		for _, port := range c.ports {
			if listening[port] == 0 {
				return fmt.Errorf("%s does not listen on port %d", c.name, port)
			}
		}
		return nil
	})
}

// freePorts returns n ports of the client host on which nobody listens. Tests of one world start their clients one after the other.
func (w *World) freePorts(t testing.TB, n int) []int {
	t.Helper()
	used, err := w.Client.Listening()
	if err != nil {
		t.Fatal(err)
	}
	var ports []int
	for port := firstPort; port < 32000 && len(ports) < n; port++ { // below the range of outgoing ports
		if used[port] == 0 {
			ports = append(ports, port)
		}
	}
	if len(ports) == n {
		return ports
	}
	t.Fatal("no ports are left on the client host")
	return nil
}

// SOCKS returns the address of the i-th login's SOCKS port, on the client host.
func (c *Client) SOCKS(i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.ports[i]))
}

// Dial connects the i-th login to addr, which may hold a name. A client
// program answers before the server has: an error often shows at the first
// read only. Devices of WireGuard know no names.
func (c *Client) Dial(ctx context.Context, i int, addr string) (net.Conn, error) {
	if d := c.device(i); d != nil {
		return d.dial(ctx, addr)
	}
	raw, err := c.world.Client.Dial(ctx, "tcp", c.SOCKS(i))
	if err != nil {
		return nil, err
	}
	if _, err := connect(raw, "", "", commandConnect, addr); err != nil {
		raw.Close()
		return nil, err
	}
	return raw, nil
}

// Open connects the i-th login to the transfer server, with TLS inside if
// inner, and exchanges a few bytes. Vision splices what has TLS inside.
func (c *Client) Open(ctx context.Context, i int, inner bool) (*xfer.Conn, error) {
	return c.OpenAt(ctx, i, xferPort, inner)
}

// OpenAt is Open to another transfer server; see [World.Transfers].
func (c *Client) OpenAt(ctx context.Context, i, port int, inner bool) (*xfer.Conn, error) {
	raw, err := c.Dial(ctx, i, transferAddr(port, inner))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	return c.world.warm(raw, inner)
}

// warm makes a client of the transfer server of a connection to it, and
// exchanges a few bytes. After an error raw is closed.
func (w *World) warm(raw net.Conn, inner bool) (*xfer.Conn, error) {
	config := w.tls
	if !inner {
		config = nil
	}
	conn := xfer.NewConn(raw, config)
	if err := conn.Warm(); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// MustOpen is Open that fails the test, and closes the connection with it.
func (c *Client) MustOpen(t testing.TB, i int, inner bool) *xfer.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := c.Open(ctx, i, inner)
	if err != nil {
		t.Fatalf("login %d: connect: %v", i, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Refused returns nil if the i-th login cannot reach the transfer server.
func (c *Client) Refused(ctx context.Context, i int) error {
	patience := 5 * time.Second
	mute := c.mute || i < len(c.quiet) && c.quiet[i]
	switch {
	case c.device(i) != nil:
		patience = time.Second // it is never told, and on the way nothing is lost
	case mute:
		patience = 2 * time.Second // it waits in vain; whoever is let in is so within milliseconds
	case Slow():
		patience *= 3
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.Open(ctx, i, false)
	if err == nil {
		conn.Close()
		return fmt.Errorf("login %d still gets in", i)
	}
	if ctx.Err() != nil && !mute {
		return fmt.Errorf("login %d is neither let in nor refused: %w", i, err)
	}
	return nil
}

type object = map[string]any

func xrayConfig(logins []Login, ports []int) any {
	var in, out, rules []object
	for i, l := range logins {
		tag := strconv.Itoa(i)
		in = append(in, object{
			"tag": "in-" + tag, "protocol": "socks", "listen": "127.0.0.1", "port": ports[i],
			"settings": object{"udp": true},
		})
		o := object{
			"tag": "out-" + tag, "protocol": "vless",
			"settings": object{"vnext": []object{{
				"address": l.Link.Host, "port": l.Link.Port,
				"users": []object{{"id": l.Link.UUID, "flow": l.Link.Flow, "encryption": "none"}},
			}}},
			"streamSettings": object{
				"network": "tcp", "security": "reality",
				"realitySettings": object{
					"serverName": l.Link.ServerName, "publicKey": l.Link.PublicKey, "shortId": l.Link.ShortID,
					"fingerprint": l.Link.Fingerprint, "spiderX": l.Link.SpiderX,
				},
			},
		}
		if l.Link.Scheme != "vless" {
			o = xrayProxy(l.Link)
			o["tag"] = "out-" + tag
		}
		if l.From != "" {
			o["sendThrough"] = l.From
		}
		out = append(out, o)
		rules = append(rules, object{"type": "field", "inboundTag": []string{"in-" + tag}, "outboundTag": "out-" + tag})
	}
	// An xray client holds the half of a connection whose other half has ended
	// for a second more. What the product takes to cut somebody shows without.
	patience := object{"levels": object{"0": object{"uplinkOnly": 0, "downlinkOnly": 0}}}
	return object{
		"log": object{"loglevel": "warning", "access": "none"}, "policy": patience, "inbounds": in, "outbounds": out,
		"routing": object{"domainStrategy": "AsIs", "rules": rules},
	}
}

func singBoxConfig(logins []Login, ports []int) any {
	var in, out, rules []object
	for i, l := range logins {
		tag := strconv.Itoa(i)
		in = append(in, object{"tag": "in-" + tag, "type": "mixed", "listen": "127.0.0.1", "listen_port": ports[i]})
		o := object{
			"tag": "out-" + tag, "type": "vless", "server": l.Link.Host, "server_port": l.Link.Port,
			"uuid": l.Link.UUID, "flow": l.Link.Flow, "packet_encoding": "xudp",
			"tls": object{
				"enabled": true, "server_name": l.Link.ServerName,
				"utls":    object{"enabled": true, "fingerprint": l.Link.Fingerprint},
				"reality": object{"enabled": true, "public_key": l.Link.PublicKey, "short_id": l.Link.ShortID},
			},
		}
		if l.Link.Scheme != "vless" {
			o = singBoxProxy(l.Link)
			o["tag"] = "out-" + tag
		}
		if l.From != "" {
			o["inet4_bind_address"] = l.From
		}
		out = append(out, o)
		rules = append(rules, object{"inbound": []string{"in-" + tag}, "action": "route", "outbound": "out-" + tag})
	}
	return object{
		"log": object{"level": "warn"}, "inbounds": in, "outbounds": out,
		"route": object{"rules": rules},
	}
}

// xrayProxy is xray as the client of a proxy.
func xrayProxy(l Link) object {
	if l.Scheme == "ss" {
		return object{"protocol": "shadowsocks", "settings": object{"servers": []object{{
			"address": l.Host, "port": l.Port, "method": l.Method, "password": l.Password,
		}}}}
	}
	o := object{
		"protocol": map[string]string{"socks5": "socks", "http": "http", "https": "http"}[l.Scheme],
		"settings": object{"servers": []object{{
			"address": l.Host, "port": l.Port, "users": []object{{"user": l.User, "pass": l.Password}},
		}}},
	}
	if l.Scheme == "https" {
		o["streamSettings"] = object{"network": "tcp", "security": "tls", "tlsSettings": object{"allowInsecure": true, "alpn": []string{"http/1.1"}}}
	}
	return o
}

// singBoxProxy is sing-box as the client of a proxy.
func singBoxProxy(l Link) object {
	if l.Scheme == "ss" {
		return object{"type": "shadowsocks", "server": l.Host, "server_port": l.Port, "method": l.Method, "password": l.Password}
	}
	o := object{"server": l.Host, "server_port": l.Port, "username": l.User, "password": l.Password}
	if l.Scheme == "socks5" {
		o["type"], o["version"] = "socks", "5"
		return o
	}
	o["type"] = "http"
	if l.Scheme == "https" {
		o["tls"] = object{"enabled": true, "insecure": true}
	}
	return o
}
