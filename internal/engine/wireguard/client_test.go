package wireguard

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"vpn/internal/engine/enginetest"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// dialTimeout is how long a client waits for a connection: a server is silent
// to whom it does not know.
const dialTimeout = 3 * time.Second

// clients are the devices of a test: one for each pair of keys at each place,
// as long as it has connections.
type clients struct {
	mu   sync.Mutex
	all  map[string]*client
	born map[string]time.Time // the last device of a key
}

// A client is somebody's device: wireguard-go with a network stack of its own.
type client struct {
	*netstack
	device *device.Device
	local  wireguard.Network
	four   netip.Addr
	six    netip.Addr
	users  int // guarded by clients.mu
}

func newClients() *clients { return &clients{all: map[string]*client{}, born: map[string]time.Time{}} }

// dial connects through a tunnel. A connection that cannot be made is one that
// has ended.
func (cs *clients) dial(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	key := c.Grant.Secret.Reveal() + c.From.String() + c.Via.Addr().String() // it follows the server from port to port
	cs.mu.Lock()
	cl := cs.all[key]
	if cl == nil {
		// WireGuard ignores who begins anew within 20 ms, as no person does.
		<-time.After(time.Until(cs.born[c.Grant.Secret.Reveal()].Add(100 * time.Millisecond)))
		cs.born[c.Grant.Secret.Reveal()] = time.Now()
		if cl, err = newClient(c); err != nil {
			cs.mu.Unlock()
			return nil, err
		}
		cs.all[key] = cl
	}
	cl.users++
	cs.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := cl.dial(ctx, network, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	if err != nil {
		cs.mu.Lock()
		cs.born[c.Grant.Secret.Reveal()] = time.Now()
		delete(cs.all, key) // whoever is not let in turns the tunnel off and on again
		cs.mu.Unlock()
		conn = ended{}
	}
	return &clientConn{Conn: conn, leave: sync.OnceFunc(func() {
		cs.mu.Lock()
		cl.users--
		last := cl.users == 0
		if last && cs.all[key] == cl {
			delete(cs.all, key)
		}
		cs.mu.Unlock()
		if last {
			cl.device.Close()
		}
	})}, nil
}

// ended is a connection that was never made.
type ended struct{}

func (ended) Read([]byte) (int, error)         { return 0, io.EOF }
func (ended) Write([]byte) (int, error)        { return 0, io.ErrClosedPipe }
func (ended) Close() error                     { return nil }
func (ended) LocalAddr() net.Addr              { return nil }
func (ended) RemoteAddr() net.Addr             { return nil }
func (ended) SetDeadline(time.Time) error      { return nil }
func (ended) SetReadDeadline(time.Time) error  { return nil }
func (ended) SetWriteDeadline(time.Time) error { return nil }

type clientConn struct {
	net.Conn
	leave func()
}

func (c *clientConn) Close() error {
	err := c.Conn.Close()
	// A moment for the last words; then the device may go.
	time.AfterFunc(100*time.Millisecond, c.leave)
	return err
}

func newClient(c enginetest.Client) (*client, error) {
	set, err := wireguard.ParseSettings(c.Server.Settings)
	if err != nil {
		return nil, err
	}
	n, err := set.Network()
	if err != nil {
		return nil, err
	}
	keys, err := wireguard.ParseKeys(c.Server.Private)
	if err != nil {
		return nil, err
	}
	secret, err := wireguard.ParseSecret(c.Grant.Secret)
	if err != nil {
		return nil, err
	}
	cl := &client{local: n}
	cl.four, cl.six, _ = n.Device(c.Grant.Slot)
	cl.netstack = &netstack{mtu: set.MTUBytes(), link: channel.New(queued, uint32(set.MTUBytes()), ""), events: make(chan tun.Event, 1)}
	cl.netstack.four, cl.netstack.six = cl.four, cl.six
	cl.ctx, cl.cancel = context.WithCancel(context.Background())
	cl.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
			ipv6.NewProtocolWithOptions(ipv6.Options{AllowExternalLoopbackTraffic: true}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	// As every operating system's stack. Without, a window of lost packets
	// costs a second.
	sack := tcpip.TCPSACKEnabled(true)
	if failed := cl.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); failed != nil {
		return nil, errors.New(failed.String())
	}
	if failed := cl.stack.CreateNIC(nic, cl.link); failed != nil {
		return nil, errors.New(failed.String())
	}
	for _, a := range []netip.Addr{cl.four, cl.six} {
		own := tcpip.ProtocolAddress{Protocol: protocolOf(a), AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix()}
		if failed := cl.stack.AddProtocolAddress(nic, own, stack.AddressProperties{}); failed != nil {
			return nil, errors.New(failed.String())
		}
	}
	cl.stack.AddRoute(tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nic})
	cl.stack.AddRoute(tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nic})
	from := c.From
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
		if c.Via.Addr().Is6() {
			from = netip.IPv6Unspecified()
		}
	}
	b := newBind()
	if err := b.open(from, 0); err != nil {
		return nil, err
	}
	cl.device = device.NewDevice(cl.netstack, b, device.NewLogger(device.LogLevelSilent, ""))
	err = cl.device.IpcSet("private_key=" + hexed(secret.PrivateKey) +
		"\npublic_key=" + hexed(keys.PrivateKey.Public()) + "\npreshared_key=" + hexed(secret.PresharedKey) +
		"\nendpoint=" + c.Via.String() + "\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n")
	if err != nil {
		return nil, err
	}
	return cl, cl.device.Up()
}

func (c *client) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	from := c.four
	if to.Addr().Is6() {
		from = c.six
	}
	far := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(to.Addr().AsSlice()), Port: to.Port()}
	near := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(from.AsSlice())}
	if network == "udp" {
		return gonet.DialUDP(c.stack, &near, &far, protocolOf(from))
	}
	return gonet.DialTCPWithBind(ctx, c.stack, near, far, protocolOf(from))
}

// newSecret is a fresh credential's.
func newSecret() vpn.Secret {
	s, err := wireguard.Protocol{}.Mint(vpn.Server{})
	if err != nil {
		panic(err)
	}
	return s
}
