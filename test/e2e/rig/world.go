//go:build linux

package rig

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vpn/test/xfer"
)

// Addresses of the three hosts. The client host has several, each a device of
// its own.
const (
	ServerAddr   = "203.0.113.1"
	ServerAddr6  = "2001:db8:1::1"
	OutsideAddr  = "203.0.113.130"
	OutsideAddr6 = "2001:db8:2::2"
)

// ClientAddr returns the n-th address of the client host, from 0 to 4.
func ClientAddr(n int) string { return fmt.Sprintf("203.0.113.%d", 10+n) }

// PrivateAddr is an address that the server host can reach and its users may
// not; Listen on [World.Outside] to see whether they do. Link-local metadata,
// 169.254.169.254, is another.
const PrivateAddr = "10.9.9.9"

// A World is three hosts, a site and a transfer server.
type World struct {
	Client, Server, Outside *Host
	Site                    *Site
	Xfer                    *xfer.Server
	tls                     *tls.Config // of a client of the transfer server
}

// Ports of the servers outside.
const (
	xferPort = 9000
	udpPort  = 9000
)

// NewWorld makes a world that lasts as long as the test.
func NewWorld(t testing.TB) *World {
	t.Helper()
	return worldAround(t, newHost(t, "server", 0))
}

func worldAround(t testing.TB, server *Host) *World {
	t.Helper()
	w := &World{Client: newHost(t, "client", 0), Server: server, Outside: newHost(t, "outside", 0)}
	clients := []string{"2001:db8:1::10/64"}
	for n := range 5 {
		clients = append(clients, ClientAddr(n)+"/25")
	}
	link(t, w.Client, clients, server, []string{ServerAddr + "/25", ServerAddr6 + "/64"})
	link(t, server, []string{"203.0.113.129/25", "2001:db8:2::1/64"}, w.Outside, []string{OutsideAddr + "/25", OutsideAddr6 + "/64"})
	// Whatever a user asks for, the server host has a way to it: what does not arrive was refused.
	server.IP(t, "route add default via "+OutsideAddr, "route add default via "+OutsideAddr6)
	w.Client.IP(t, "route add default via "+ServerAddr)
	server.forwardNothing(t)
	w.Outside.IP(t,
		"addr add "+PrivateAddr+"/32 dev lo", "addr add 169.254.169.254/32 dev lo", "addr add fd00::7/128 dev lo nodad")

	w.Site = newSite(t)
	w.Site.serve(t, w.Outside)
	w.introduce(t)
	w.tls = &tls.Config{RootCAs: w.Site.Roots, ServerName: SiteName, MinVersion: tls.VersionTLS13}
	w.Xfer = w.Transfers(t, xferPort)
	for _, host := range []string{OutsideAddr, OutsideAddr6} {
		go echoDatagrams(w.Outside.ListenPacket(t, net.JoinHostPort(host, strconv.Itoa(udpPort))))
	}
	return w
}

// Transfers starts a transfer server outside: on port, and with TLS inside on
// the next one.
func (w *World) Transfers(t testing.TB, port int) *xfer.Server {
	t.Helper()
	s := new(xfer.Server)
	for _, host := range []string{OutsideAddr, OutsideAddr6} {
		go s.Serve(w.Outside.Listen(t, net.JoinHostPort(host, strconv.Itoa(port))), nil)
		go s.Serve(w.Outside.Listen(t, net.JoinHostPort(host, strconv.Itoa(port+1))), w.Site.TLS.Clone())
	}
	return s
}

// introduce makes the server host trust the site's authority and know names,
// as a real host would: a certificate that verifies takes another path through
// Reality than one that does not.
func (w *World) introduce(t testing.TB) {
	t.Helper()
	w.Server.Bind(t, w.Site.CAFile, "/etc/ssl/certs/ca-certificates.crt")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hosts": strings.Join([]string{
			"127.0.0.1 localhost",
			OutsideAddr + " " + SiteName,
			"127.0.0.1 loopback.example.test", // public names of forbidden places
			PrivateAddr + " private.example.test",
		}, "\n") + "\n",
		"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		w.Server.Bind(t, path, "/etc/"+name)
	}
}

func echoDatagrams(c net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from)
	}
}

// transferAddr is where a transfer server listens.
func transferAddr(port int, inner bool) string {
	if inner {
		port++
	}
	return net.JoinHostPort(OutsideAddr, strconv.Itoa(port))
}

// UDPAddr is where datagrams are echoed.
func UDPAddr() *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(OutsideAddr), Port: udpPort}
}
