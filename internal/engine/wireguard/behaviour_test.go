package wireguard

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/meter"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// A rig is an engine in user space, and its users.
type rig struct {
	*testing.T
	engine  *Engine
	meter   *meter.Meter
	spec    vpn.Spec
	clients *clients
	echo    string // a TCP service that sends back what comes
}

func newRig(t *testing.T, users int) *rig {
	t.Helper()
	r := &rig{T: t, meter: meter.New(meter.Options{Epoch: "epoch"}), clients: newClients(), spec: vpn.Spec{Server: server(t, wireguard.Userspace)}}
	r.engine = newEngine(engine.Config{
		Meter: r.meter, Guard: egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), Log: slog.New(slog.DiscardHandler),
	}, hasty)
	t.Cleanup(func() {
		_ = r.engine.Close()
		r.meter.Close()
	})
	free, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	r.spec.Server.Listen, r.spec.Server.Port = netip.IPv6Unspecified(), free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	_ = free.Close()
	for i := range users {
		id := string(rune('a' + i))
		r.spec.Grants = append(r.spec.Grants, vpn.Grant{Credential: vpn.CredentialID(id), User: vpn.UserID(id), Secret: newSecret(), Slot: uint32(i)})
	}
	r.apply()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	r.echo = ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	return r
}

func (r *rig) apply() {
	r.Helper()
	r.meter.Set(r.spec.Grants)
	if err := r.engine.Apply(context.Background(), r.spec); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) dial(user int, from string) net.Conn {
	r.Helper()
	c := enginetest.Client{Server: r.spec.Server, Grant: r.spec.Grants[user], Via: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.spec.Server.Port)}
	if from != "" {
		c.From = netip.MustParseAddr(from)
	}
	conn, err := r.clients.dial(context.Background(), c, "tcp", r.echo)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ping(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return err
}

// Whoever does not have a key learns nothing, not even that there is a server.
func TestStrangersHearNothing(t *testing.T) {
	r := newRig(t, 1)
	conn, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", portText(r.spec.Server.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// Of each kind of message the right length and the right beginning, too.
	sizes := map[byte]int{1: 148, 2: 92, 3: 64, 4: 32}
	b := make([]byte, 1500)
	for i := range 100_000 {
		_, _ = rand.Read(b[:160])
		n := 1 + int(b[0])%160
		if kind := byte(i%5) + 1; sizes[kind] > 0 {
			n = sizes[kind]
			copy(b, []byte{kind, 0, 0, 0})
		}
		if _, err := conn.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := conn.Read(b); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stranger got %d bytes (%v)", n, err)
	}
	// A handshake that comes while what strangers sent is still being looked at
	// may be lost. WireGuard sends it again after five seconds, when the client
	// has given up: it comes again by itself.
	for range 3 {
		if err = ping(r.dial(0, "")); err == nil {
			return
		}
	}
	t.Errorf("a user is not let in after that: %v", err)
}

func portText(p uint16) string {
	_, port, _ := net.SplitHostPort(netip.AddrPortFrom(netip.IPv4Unspecified(), p).String())
	return port
}

// A device that is somewhere else is the same one.
func TestRoaming(t *testing.T) {
	r := newRig(t, 1)
	r.spec.Grants[0].Devices = 1
	r.apply()
	if err := ping(r.dial(0, "127.0.0.2")); err != nil {
		t.Fatal(err)
	}
	moved := r.dial(0, "127.0.0.3")
	deadline := time.Now().Add(5 * time.Second)
	for {
		if err := ping(moved); err != nil {
			t.Fatalf("the device that has moved is kept out: %v", err)
		}
		s := r.meter.Sessions()
		if len(s) == 1 && s[0].Source.Addr() == netip.MustParseAddr("127.0.0.3") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sessions: %+v", s)
		}
	}
}

// A device that is silent is offline, and its counts stay.
func TestSilentDevicesGo(t *testing.T) {
	r := newRig(t, 1)
	conn := r.dial(0, "")
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	used := r.meter.Usage(0).Counters[0].Traffic
	for deadline := time.Now().Add(10 * time.Second); r.meter.Conns() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("still online")
		}
		<-time.After(50 * time.Millisecond)
	}
	if got := r.meter.Usage(0).Counters[0].Traffic; got != used {
		t.Errorf("counted %+v, and %+v before", got, used)
	}
	if err := ping(conn); err != nil {
		t.Errorf("its connection did not live through the silence: %v", err)
	}
}

// Addresses follow from slots, and counts from credentials, whatever happens in
// between.
func TestRemovedAndBack(t *testing.T) {
	r := newRig(t, 2)
	conn := r.dial(0, "")
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close() // a tunnel that is switched off and on again needs not wait
	used := r.meter.Usage(0).Counters[0].Traffic.Total()
	gone := r.spec.Grants[0]
	r.spec.Grants = r.spec.Grants[1:]
	r.apply()
	<-time.After(2 * goodbye) // wireguard-go has forgotten it
	r.spec.Grants = append(r.spec.Grants, gone)
	r.apply()
	if err := ping(r.dial(1, "")); err != nil {
		t.Fatalf("not let in again: %v", err)
	}
	for _, c := range r.meter.Usage(0).Counters {
		if c.Credential == gone.Credential && c.Total() != used+8 {
			t.Errorf("counted %d, and %d before", c.Total(), used)
		}
	}
}

func TestOneAddressForTwo(t *testing.T) {
	r := newRig(t, 1)
	bad := r.spec
	bad.Grants = append(bad.Grants[:1:1], vpn.Grant{Credential: "x", User: "x", Secret: newSecret()})
	if err := r.engine.Apply(context.Background(), bad); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("two devices of one address: %v", err)
	}
	bad.Grants[1].Slot = 1 << 20
	if err := r.engine.Apply(context.Background(), bad); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a device beyond the subnet: %v", err)
	}
	if err := ping(r.dial(0, "")); err != nil {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	for _, c := range []struct{ from, to string }{{"10.7.0.1", "10.7.0.2"}, {"fd00::1", "fd00::2"}} {
		from, to := netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)
		cause := bytes.Repeat([]byte{7}, 2000)
		b := unreachable(from, to, cause)
		h, ok := parsePacket(b)
		if !ok || h.src != from || h.dst != to || !h.icmp || h.ping {
			t.Errorf("%s: %+v", c.to, h)
		}
		if to.Is4() && (!header.IPv4(b).IsChecksumValid() || len(b) != 56) || to.Is6() && len(b) != 1280 {
			t.Errorf("%s: %d bytes, or the checksum is wrong", c.to, len(b))
		}
	}
	for _, b := range [][]byte{nil, {0x45}, bytes.Repeat([]byte{0x45}, 19), bytes.Repeat([]byte{0x60}, 39), bytes.Repeat([]byte{0x70}, 60), bytes.Repeat([]byte{0x41}, 20)} {
		if _, ok := parsePacket(b); ok {
			t.Errorf("%x is taken for a packet", b)
		}
	}
}

// A setting with which all begins anew takes nothing from devices but what
// they had open.
func TestAnotherMTU(t *testing.T) {
	r := newRig(t, 1)
	if err := ping(r.dial(0, "")); err != nil {
		t.Fatal(err)
	}
	var set map[string]any
	if err := json.Unmarshal(r.spec.Server.Settings, &set); err != nil {
		t.Fatal(err)
	}
	set["mtu"] = "1300"
	var err error
	if r.spec.Server.Settings, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	r.apply()
	for range 3 {
		if err = ping(r.dial(0, "127.0.0.2")); err == nil {
			return
		}
	}
	t.Errorf("a device does not get in again: %v", err)
}
