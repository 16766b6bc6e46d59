//go:build linux

package rig

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A BareWireGuard is wireguard-go as people run it without a product: with
// wg(8), ip(8), and a line of nft(8) that translates addresses.
type BareWireGuard struct {
	*Process
	host  *Host
	key   *ecdh.PrivateKey
	phone *ecdh.PrivateKey
	port  int
}

const bareInterface = "bare0"

// NewBareWireGuard starts one on a port of the server host, for one phone.
func NewBareWireGuard(t testing.TB, w *World, port int) *BareWireGuard {
	t.Helper()
	s := &BareWireGuard{host: w.Server, key: x25519(t), phone: x25519(t), port: port}
	s.Process = w.Server.wireGuard(t, bareInterface)
	s.configure(t, "setconf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = %d\n", base64.StdEncoding.EncodeToString(s.key.Bytes()), port)+s.peer(s.phone, 0))
	w.Server.IP(t, "link set "+bareInterface+" mtu 1420", "addr add 10.88.0.1/16 dev "+bareInterface, "addr add fd88::1/64 dev "+bareInterface+" nodad",
		"link set "+bareInterface+" up")
	w.Server.Output(t, "nft", "add table inet bare; add chain inet bare out { type nat hook postrouting priority srcnat; };"+
		"add rule inet bare out oifname to-outside masquerade")
	err := w.Server.Do(func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Peers makes the server know n more devices, which never come. It is for one
// call.
func (s *BareWireGuard) Peers(t testing.TB, n int) {
	t.Helper()
	var b strings.Builder
	for k := range n {
		b.WriteString(s.peer(x25519(t), k+1))
	}
	s.configure(t, "addconf", b.String())
}

// peer writes the n-th device as wg(8) reads it; the phone is number 0.
func (s *BareWireGuard) peer(key *ecdh.PrivateKey, n int) string {
	n += 2 // after the server
	return fmt.Sprintf("[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 10.88.%d.%d/32, fd88::%x/128\n",
		base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()), s.preshared(), n>>8, n&255, n)
}

func (s *BareWireGuard) configure(t testing.TB, command, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.host.Output(t, "wg", command, bareInterface, file)
}

// preshared returns the key that all share, which the product has for each.
func (s *BareWireGuard) preshared() string {
	return base64.StdEncoding.EncodeToString(s.key.PublicKey().Bytes())
}

// File returns what [World.Phone] takes.
func (s *BareWireGuard) File() string {
	return fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.88.0.2/32, fd88::2/128
DNS = %s
MTU = 1420

[Peer]
PublicKey = %s
PresharedKey = %s
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = %s
PersistentKeepalive = 25
`, base64.StdEncoding.EncodeToString(s.phone.Bytes()), OutsideAddr,
		base64.StdEncoding.EncodeToString(s.key.PublicKey().Bytes()), s.preshared(), net.JoinHostPort(ServerAddr, strconv.Itoa(s.port)))
}

func x25519(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
