package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"vpn/internal/engine/enginetest"
)

// These are clients as simple as the protocols let them be. Real ones are at
// work in the end-to-end tests.

// A refused connection has ended before it began.
type refused struct{ net.Conn }

func (refused) Read([]byte) (int, error) { return 0, io.EOF }

// dialFrom connects to a server from a client's own address.
func dialFrom(ctx context.Context, c enginetest.Client) (net.Conn, error) {
	var d net.Dialer
	if c.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
	return d.DialContext(ctx, "tcp", c.Via.String())
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// dialHTTP is CONNECT.
func dialHTTP(ctx context.Context, c enginetest.Client, wrap func(net.Conn) net.Conn, address string) (net.Conn, error) {
	conn, err := dialFrom(ctx, c)
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		conn = wrap(conn)
	}
	_, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: %s\r\n\r\n",
		address, address, basic(c.Grant.Name, c.Grant.Secret.Reveal()))
	if err != nil {
		return refused{conn}, nil
	}
	in := bufio.NewReader(conn)
	r, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil || r.StatusCode != http.StatusOK {
		return refused{conn}, nil
	}
	return &readAhead{conn, in}, nil
}

type readAhead struct {
	net.Conn
	in *bufio.Reader
}

func (r *readAhead) Read(b []byte) (int, error) { return r.in.Read(b) }

// A socksError is a reply that says no.
type socksError byte

func (e socksError) Error() string { return fmt.Sprintf("reply %d", byte(e)) }

var errNoPassword = errors.New("the password is refused")

// socks says what a client of SOCKS5 says, and returns the address in the
// reply. Without a name it offers no password.
func socks(conn net.Conn, name, password string, command byte, address string) (netip.AddrPort, error) {
	b := []byte{5, 1, 0}
	if name != "" {
		b = []byte{5, 2, 0, 2}
	}
	if _, err := conn.Write(b); err != nil {
		return netip.AddrPort{}, err
	}
	var two [2]byte
	if _, err := io.ReadFull(conn, two[:]); err != nil {
		return netip.AddrPort{}, err
	}
	switch {
	case two == [2]byte{5, 2} && name != "":
		b = append([]byte{1, byte(len(name))}, name...)
		b = append(append(b, byte(len(password))), password...)
		if _, err := conn.Write(b); err != nil {
			return netip.AddrPort{}, err
		}
		if _, err := io.ReadFull(conn, two[:]); err != nil {
			return netip.AddrPort{}, err
		}
		if two != [2]byte{1, 0} {
			return netip.AddrPort{}, errNoPassword
		}
	case two != [2]byte{5, 0}:
		return netip.AddrPort{}, errNoPassword
	}
	if _, err := conn.Write(append([]byte{5, command, 0}, socksAddr(address)...)); err != nil {
		return netip.AddrPort{}, err
	}
	var head [3]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	bound, err := readAddr(conn)
	if err == nil && head[1] != 0 {
		err = socksError(head[1])
	}
	return bound, err
}

func socksAddr(address string) []byte {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
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
	var n int
	_, _ = fmt.Sscan(port, &n)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

func readAddr(r io.Reader) (netip.AddrPort, error) {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return netip.AddrPort{}, err
	}
	b := make([]byte, map[byte]int{1: 6, 4: 18}[kind[0]])
	if _, err := io.ReadFull(r, b); err != nil || len(b) == 0 {
		return netip.AddrPort{}, fmt.Errorf("address of kind %d: %w", kind[0], err)
	}
	ip, _ := netip.AddrFromSlice(b[:len(b)-2])
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[len(b)-2:])), nil
}

func dialSOCKS(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
	conn, err := dialFrom(ctx, c)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	defer func() { _ = conn.SetDeadline(time.Time{}) }()
	if network == "tcp" {
		if _, err := socks(conn, c.Grant.Name, c.Grant.Secret.Reveal(), 1, address); err != nil {
			return refused{conn}, nil
		}
		return conn, nil
	}
	bound, err := socks(conn, c.Grant.Name, c.Grant.Secret.Reveal(), 3, "0.0.0.0:0")
	if err != nil {
		return refused{conn}, nil
	}
	relay, err := net.Dial("udp", bound.String())
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	go func() { // the association is over when the control connection is
		_, _ = io.Copy(io.Discard, conn)
		_ = relay.Close()
	}()
	return &datagrams{Conn: relay, control: conn, to: socksAddr(address)}, nil
}

// datagrams are to and from one destination through an association.
type datagrams struct {
	net.Conn
	control net.Conn
	to      []byte
}

func (d *datagrams) Write(b []byte) (int, error) {
	_, err := d.Conn.Write(append(append([]byte{0, 0, 0}, d.to...), b...))
	return len(b), err
}

func (d *datagrams) Read(b []byte) (int, error) {
	buf := make([]byte, 64<<10)
	n, err := d.Conn.Read(buf)
	if err != nil {
		return 0, err
	}
	r := bytes.NewReader(buf[3:n])
	if _, err := readAddr(r); err != nil || !strings.HasPrefix(string(buf), "\x00\x00\x00") {
		return 0, fmt.Errorf("a datagram with another header: %x", buf[:min(n, 30)])
	}
	return r.Read(b)
}

func (d *datagrams) Close() error {
	_ = d.control.Close()
	return d.Conn.Close()
}
