package shadowsocks_test

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"testing"

	"github.com/Jigsaw-Code/outline-sdk/transport"
	sdk "github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"

	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/shadowsocks"
	"vpn/internal/protocol"
	settings "vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

func TestEngine(t *testing.T) {
	for _, m := range []settings.Method{settings.ChaCha20, settings.AES256, settings.AES128} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			enginetest.Run(t, enginetest.Harness{
				New:    shadowsocks.New,
				Server: func(t testing.TB) vpn.ServerSpec { return newServer(t, `{"method": "`+string(m)+`"}`) },
				Secret: newSecret,
				Dial:   dial, PacketPort: true, Mute: true,
			})
		})
	}
}

func newServer(t testing.TB, set string) vpn.ServerSpec {
	t.Helper()
	s, err := settings.Protocol{}.Prepare(vpn.Server{Protocol: settings.Name, Settings: json.RawMessage(set)})
	if err != nil {
		t.Fatal(err)
	}
	return vpn.ServerSpec{Protocol: s.Protocol, Settings: s.Settings, Private: s.Private}
}

func newSecret() vpn.Secret {
	s, err := settings.Protocol{}.Mint(vpn.Server{})
	if err != nil {
		panic(err)
	}
	return s
}

// dial connects as a client of Outline does.
func dial(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
	set, err := settings.ParseSettings(c.Server.Settings)
	if err != nil {
		return nil, err
	}
	key, err := sdk.NewEncryptionKey(string(set.Method), c.Grant.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	via := c.Via.String()
	if port, ok := protocol.PortOf(c.Server.Port, set.PerPort(), c.Grant.Slot); ok && c.Via.Port() == c.Server.Port {
		via = net.JoinHostPort(c.Via.Addr().String(), portText(port))
	}
	if network == "udp" {
		return dialPackets(ctx, c, key, via, address)
	}
	var d net.Dialer
	if c.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: c.From.AsSlice()}
	}
	s, err := sdk.NewStreamDialer(&transport.TCPEndpoint{Dialer: d, Address: via}, key)
	if err != nil {
		return nil, err
	}
	return s.DialStream(ctx, address)
}

func dialPackets(ctx context.Context, c enginetest.Client, key *sdk.EncryptionKey, via, address string) (net.Conn, error) {
	var d net.Dialer
	if c.From.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: c.From.AsSlice()}
	}
	l, err := sdk.NewPacketListener(&transport.UDPEndpoint{Dialer: d, Address: via}, key)
	if err != nil {
		return nil, err
	}
	conn, err := l.ListenPacket(ctx)
	if err != nil {
		return nil, err
	}
	to, err := transport.MakeNetAddr("udp", address)
	return &packetConn{conn, to}, err
}

// A packetConn sends to one destination. Of a name, answers come from an
// address.
type packetConn struct {
	net.PacketConn
	to net.Addr
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

func (c *packetConn) Write(b []byte) (int, error) { return c.WriteTo(b, c.to) }

func (c *packetConn) RemoteAddr() net.Addr { return c.to }

func portText(p uint16) string { return strconv.Itoa(int(p)) }
