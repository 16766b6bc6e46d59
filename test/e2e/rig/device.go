//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"vpn/internal/vpn"
)

// A Device is a WireGuard client of the client host: wireguard-go with a
// network stack of its own, as applications embed it, so that there may be
// many and each IP packet is counted. A [Phone] is the program and the
// kernel's stack.
type Device struct {
	net *netstack.Net
	tun *countedTUN
}

// WireGuard makes a device for each login, whose link holds the file that the
// product wrote.
func WireGuard(w *World, t testing.TB, logins ...Login) *Client {
	t.Helper()
	return (&Client{world: w}).WithWireGuard(t, logins...)
}

// WithWireGuard gives c further logins: devices of WireGuard.
func (c *Client) WithWireGuard(t testing.TB, logins ...Login) *Client {
	t.Helper()
	c.mute, c.Stall = true, time.Second // what a tunnel loses shows as a stall only
	for _, l := range logins {
		c.devices = append(c.devices, c.world.newDevice(t, l))
	}
	return c
}

// device returns that of the i-th login, or nil.
func (c *Client) device(i int) *Device {
	if i < len(c.ports) {
		return nil
	}
	return c.devices[i-len(c.ports)]
}

// Packets returns the bytes of all IP packets, headers included, that the i-th
// login's device has sent and received through its tunnel.
func (c *Client) Packets(i int) vpn.Traffic {
	d := c.device(i)
	return vpn.Traffic{Up: d.tun.up.Load(), Down: d.tun.down.Load()}
}

// DialUDP makes a socket for datagrams to addr, through the tunnel of the i-th
// login.
func (c *Client) DialUDP(i int, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	return c.device(i).net.DialUDPAddrPort(netip.AddrPort{}, to)
}

// dial connects to addr, without a name, through the tunnel.
func (d *Device) dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	return d.net.DialContextTCPAddrPort(ctx, to)
}

func (w *World) newDevice(t testing.TB, l Login) *Device {
	t.Helper()
	set, err := readFile(l.Link.File)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.Link.File)
	}
	inner, stack, err := netstack.CreateNetTUN(set.addrs, nil, set.mtu)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{net: stack, tun: countPackets(inner)}
	from := netip.IPv4Unspecified()
	if l.From != "" {
		from = netip.MustParseAddr(l.From)
	}
	wg := device.NewDevice(d.tun, &socket{host: w.Client, from: from}, device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(wg.Close)
	if err := wg.IpcSet(set.commands); err != nil {
		t.Fatalf("%v\n%s", err, l.Link.File)
	}
	if err := wg.Up(); err != nil {
		t.Fatal(err)
	}
	return d
}

// A deviceFile is what a file says, in the words of wireguard-go.
type deviceFile struct {
	addrs    []netip.Addr
	mtu      int
	commands string
}

func readFile(text string) (deviceFile, error) {
	f := deviceFile{}
	keys := map[string]string{"PrivateKey": "private_key", "PublicKey": "public_key", "PresharedKey": "preshared_key"}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " = ")
		if !ok {
			continue
		}
		switch name {
		case "PrivateKey", "PublicKey", "PresharedKey":
			key, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return f, fmt.Errorf("%s: %w", name, err)
			}
			f.commands += keys[name] + "=" + hex.EncodeToString(key) + "\n"
		case "Endpoint":
			f.commands += "endpoint=" + value + "\n"
		case "PersistentKeepalive":
			f.commands += "persistent_keepalive_interval=" + value + "\n"
		case "AllowedIPs":
			for prefix := range strings.SplitSeq(value, ", ") {
				f.commands += "allowed_ip=" + prefix + "\n"
			}
		case "Address":
			for prefix := range strings.SplitSeq(value, ", ") {
				p, err := netip.ParsePrefix(prefix)
				if err != nil {
					return f, err
				}
				f.addrs = append(f.addrs, p.Addr())
			}
		case "MTU":
			if _, err := fmt.Sscan(value, &f.mtu); err != nil {
				return f, fmt.Errorf("MTU: %w", err)
			}
		}
	}
	return f, nil
}

// A countedTUN counts the IP packets of a device.
type countedTUN struct {
	tun.Device
	up, down atomic.Uint64
	packets  chan []byte
	once     sync.Once
	closed   chan struct{}
}

func countPackets(inner tun.Device) *countedTUN {
	c := &countedTUN{Device: inner, packets: make(chan []byte), closed: make(chan struct{})}
	go c.pump()
	return c
}

// pump takes packets from the stack. It never ends: a stack of netstack's that
// is closed while a connection has something to say panics, so what has not
// been closed by then talks to nobody.
func (c *countedTUN) pump() {
	mtu, _ := c.MTU() // which is what it was made with
	bufs, sizes := [][]byte{make([]byte, mtu)}, make([]int, 1)
	for {
		if _, err := c.Device.Read(bufs, sizes, 0); err != nil {
			return
		}
		select {
		case c.packets <- append([]byte(nil), bufs[0][:sizes[0]]...):
		case <-c.closed:
		}
	}
}

// Read implements [tun.Device].
func (c *countedTUN) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	select {
	case b := <-c.packets:
		sizes[0] = copy(bufs[0][offset:], b)
		c.up.Add(uint64(len(b)))
		return 1, nil
	case <-c.closed:
		return 0, os.ErrClosed
	}
}

// Write implements [tun.Device].
func (c *countedTUN) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		c.down.Add(uint64(len(b) - offset))
	}
	return c.Device.Write(bufs, offset)
}

// Close implements [tun.Device].
func (c *countedTUN) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// A socket is a [conn.Bind] at one address of a host.
type socket struct {
	host *Host
	from netip.Addr
	conn *net.UDPConn
}

// Open implements [conn.Bind].
func (s *socket) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	err := s.host.Do(func() (err error) {
		s.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.from, port)))
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	c := s.conn
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20) })
	}
	receive := func(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, from, err := c.ReadFromUDPAddrPort(packets[0])
		if err != nil {
			return 0, err
		}
		sizes[0], eps[0] = n, &conn.StdNetEndpoint{AddrPort: from}
		return 1, nil
	}
	return []conn.ReceiveFunc{receive}, c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// Close implements [conn.Bind].
func (s *socket) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// SetMark implements [conn.Bind].
func (s *socket) SetMark(uint32) error { return nil }

// Send implements [conn.Bind].
func (s *socket) Send(bufs [][]byte, to conn.Endpoint) error {
	for _, b := range bufs {
		if _, err := s.conn.WriteToUDPAddrPort(b, to.(*conn.StdNetEndpoint).AddrPort); err != nil {
			return err
		}
	}
	return nil
}

// ParseEndpoint implements [conn.Bind].
func (s *socket) ParseEndpoint(text string) (conn.Endpoint, error) {
	to, err := netip.ParseAddrPort(text)
	return &conn.StdNetEndpoint{AddrPort: to}, err
}

// BatchSize implements [conn.Bind].
func (s *socket) BatchSize() int { return 1 }
