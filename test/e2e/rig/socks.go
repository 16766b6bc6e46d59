//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Commands of SOCKS5 (RFC 1928, section 4).
const (
	commandConnect   = 1
	commandAssociate = 3
)

// greet says hello to the SOCKS5 server at the other end of c, with a password
// (RFC 1929) if there is a user.
func greet(c net.Conn, user, password string) error {
	hello := []byte{5, 1, 0}
	if user != "" {
		hello[2] = 2
	}
	if _, err := c.Write(hello); err != nil {
		return fmt.Errorf("socks greeting: %w", err)
	}
	var answer [2]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("socks greeting: %w", err)
	}
	if answer != [2]byte{5, hello[2]} {
		return fmt.Errorf("socks greeting: answer %v", answer)
	}
	if user == "" {
		return nil
	}
	words := append(append([]byte{1, byte(len(user))}, user...), byte(len(password)))
	if _, err := c.Write(append(words, password...)); err != nil {
		return fmt.Errorf("socks password: %w", err)
	}
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("socks password: %w", err)
	}
	if answer != [2]byte{1, 0} {
		return fmt.Errorf("socks password: answer %v", answer)
	}
	return nil
}

// connect asks the SOCKS5 server at the other end of c for command, and
// returns the address that it names.
func connect(c net.Conn, user, password string, command byte, addr string) (netip.AddrPort, error) {
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	defer func() { _ = c.SetDeadline(time.Time{}) }()
	target, err := socksAddr(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if err := greet(c, user, password); err != nil {
		return netip.AddrPort{}, err
	}
	if _, err := c.Write(append([]byte{5, command, 0}, target...)); err != nil {
		return netip.AddrPort{}, fmt.Errorf("socks request: %w", err)
	}
	var reply [3]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("socks reply: %w", err)
	}
	if reply[1] != 0 {
		return netip.AddrPort{}, SOCKSError(reply[1])
	}
	bound, _, err := readSocksAddr(c)
	return bound, err
}

// A SOCKSError is the reply of a SOCKS5 server that refuses (RFC 1928,
// section 6).
type SOCKSError byte

func (e SOCKSError) Error() string { return fmt.Sprintf("socks reply: refused with code %d", byte(e)) }

// Through connects from a world's client host straight through a SOCKS5 proxy.
func Through(ctx context.Context, w *World, l Link, addr string) (net.Conn, error) {
	conn, err := w.Client.Dial(ctx, "tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
	if err != nil {
		return nil, err
	}
	if _, err := connect(conn, l.User, l.Password, commandConnect, addr); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// socksAddr writes host:port as SOCKS5 does, a name as a name.
func socksAddr(addr string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := net.LookupPort("tcp", portText)
	if err != nil {
		return nil, err
	}
	var b []byte
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		b = append([]byte{3, byte(len(host))}, host...)
	case ip.Is4():
		b = append([]byte{1}, ip.AsSlice()...)
	default:
		b = append([]byte{4}, ip.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(port)), nil
}

// readSocksAddr reads an IP address and port, and returns their size too.
func readSocksAddr(r io.Reader) (netip.AddrPort, int, error) {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("socks address: %w", err)
	}
	size := map[byte]int{1: 4, 4: 16}[kind[0]]
	if size == 0 {
		return netip.AddrPort{}, 0, fmt.Errorf("socks address: kind %d", kind[0])
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("socks address: %w", err)
	}
	ip, _ := netip.AddrFromSlice(b[:size])
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[size:])), 1 + len(b), nil
}

// UDP is one datagram flow through a SOCKS port.
type UDP struct {
	control net.Conn // the flow lives as long as this connection (RFC 1928, section 7)
	relay   net.Conn
}

// UDP opens a datagram flow of the i-th login.
func (c *Client) UDP(ctx context.Context, i int) (*UDP, error) {
	return c.world.associate(ctx, c.SOCKS(i), "", "")
}

// Associate opens a datagram flow of the client host straight through a
// SOCKS5 proxy.
func (w *World) Associate(ctx context.Context, l Link) (*UDP, error) {
	return w.associate(ctx, net.JoinHostPort(l.Host, strconv.Itoa(l.Port)), l.User, l.Password)
}

func (w *World) associate(ctx context.Context, proxy, user, password string) (*UDP, error) {
	control, err := w.Client.Dial(ctx, "tcp", proxy)
	if err != nil {
		return nil, err
	}
	bound, err := connect(control, user, password, commandAssociate, "0.0.0.0:0")
	if err == nil && bound.Addr().IsUnspecified() {
		bound = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), bound.Port())
	}
	if err != nil {
		control.Close()
		return nil, err
	}
	relay, err := w.Client.Dial(ctx, "udp", bound.String())
	if err != nil {
		control.Close()
		return nil, err
	}
	return &UDP{control, relay}, nil
}

// Hang ends the control connection only.
func (u *UDP) Hang() { u.control.Close() }

// Close ends the flow.
func (u *UDP) Close() {
	u.relay.Close()
	u.control.Close()
}

// Send sends one datagram to addr.
func (u *UDP) Send(addr string, payload []byte) error {
	target, err := socksAddr(addr)
	if err != nil {
		return err
	}
	_, err = u.relay.Write(append(append([]byte{0, 0, 0}, target...), payload...))
	return err
}

// Receive waits for one datagram, at most for d.
func (u *UDP) Receive(d time.Duration) ([]byte, error) {
	_ = u.relay.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 64<<10)
	n, err := u.relay.Read(b)
	if err != nil {
		return nil, err
	}
	if n < 4 {
		return nil, errors.New("socks datagram: too short")
	}
	_, size, err := readSocksAddr(bytes.NewReader(b[3:n]))
	if err != nil {
		return nil, err
	}
	return b[3+size : n], nil
}

// Exchange sends a datagram until it comes back, as a client on a lossy
// network would, at most for d.
func (u *UDP) Exchange(addr string, payload []byte, d time.Duration) error {
	for deadline := time.Now().Add(d); ; {
		if err := u.Send(addr, payload); err != nil {
			return err
		}
		got, err := u.Receive(500 * time.Millisecond)
		if err == nil && string(got) == string(payload) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no datagram came back: %w", err)
		}
	}
}
