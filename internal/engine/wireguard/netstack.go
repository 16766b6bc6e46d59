package wireguard

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic = 1
	// queued is how many packets may wait for wireguard-go.
	queued = 1024
	// halfOpen is how many streams may be on their way to their destinations.
	halfOpen = 4096
)

// A netstack is a [tun.Device] that ends in this process: a network stack that
// takes every stream and datagram of the tunnel, to whatever address, and
// hands them to the engine. It never drops packets to hold a rate: the stack
// would take that for congestion and collapse; streams are held up instead.
type netstack struct {
	engine *Engine
	mtu    int
	link   *channel.Endpoint
	stack  *stack.Stack
	events chan tun.Event
	once   sync.Once

	four, six netip.Addr // the stack's own

	ctx    context.Context //nolint:containedctx // it ends with the device, which has no other life
	cancel context.CancelFunc
}

var _ tun.Device = (*netstack)(nil)

func newNetstack(e *Engine, set settings) (*netstack, error) {
	n := &netstack{
		engine: e, mtu: set.mtu,
		link: channel.New(queued, uint32(set.mtu), ""),
		stack: stack.New(stack.Options{
			// The guard judges destinations, those of this host's own too.
			NetworkProtocols: []stack.NetworkProtocolFactory{
				ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
				ipv6.NewProtocolWithOptions(ipv6.Options{AllowExternalLoopbackTraffic: true}),
			},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		}),
		events: make(chan tun.Event, 1),
	}
	// What wireguard-go hands over came sealed: a checksum would find nothing.
	n.link.LinkEPCapabilities |= stack.CapabilityRXChecksumOffload
	// A stream is cut into packets at the end of its way through the stack.
	n.link.SupportedGSOKind = stack.GVisorGSOSupported
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.four, n.six = set.network.Gateway()
	if err := n.configure(); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("make a network stack: %s", err)
	}
	n.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(n.stack, 0, halfOpen, n.stream).HandlePacket)
	n.stack.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(n.stack, n.datagrams).HandlePacket)
	n.events <- tun.EventUp
	return n, nil
}

func (n *netstack) configure() tcpip.Error {
	const least, usual, most = 4 << 10, 256 << 10, 4 << 20
	// RACK is off, and losses are found by RFC 6675: the stack's RACK, once a
	// burst of losses has made it wait for a time-out, waits for the next one after
	// each segment, five a second.
	recovery, control := tcpip.TCPRecovery(0), tcpip.CongestionControlOption("cubic")
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: least, Default: usual, Max: most}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: least, Default: usual, Max: most}
	for _, o := range []tcpip.SettableTransportProtocolOption{&recovery, &control, &sack, &moderate, &receive, &send} {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return err
		}
	}
	if err := n.stack.CreateNIC(nic, n.link); err != nil {
		return err
	}
	// It answers for every address, and from every address.
	if err := n.stack.SetPromiscuousMode(nic, true); err != nil {
		return err
	}
	if err := n.stack.SetSpoofing(nic, true); err != nil {
		return err
	}
	for _, a := range []netip.Addr{n.four, n.six} {
		own := tcpip.ProtocolAddress{Protocol: protocolOf(a), AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix()}
		if err := n.stack.AddProtocolAddress(nic, own, stack.AddressProperties{}); err != nil {
			return err
		}
	}
	n.stack.AddRoute(tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nic})
	n.stack.AddRoute(tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nic})
	return nil
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func addrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}

// Read implements [tun.Device]: packets to devices.
func (n *netstack) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	p := n.link.ReadContext(n.ctx)
	if p == nil {
		return 0, os.ErrClosed
	}
	count := 0
	for ; p != nil; p = n.link.Read() {
		end := offset
		for _, s := range p.AsSlices() {
			end += copy(bufs[count][end:], s)
		}
		sizes[count] = end - offset
		p.DecRef()
		if count++; count == len(bufs) {
			break
		}
	}
	return count, nil
}

// Write implements [tun.Device]: packets from devices, whose source addresses
// wireguard-go has checked.
func (n *netstack) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		b = b[offset:]
		h, ok := parsePacket(b)
		if !ok || h.ping && h.dst != n.four && h.dst != n.six {
			continue // the stack would answer in the name of others
		}
		p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
		n.link.InjectInbound(protocolOf(h.dst), p)
		p.DecRef()
	}
	return len(bufs), nil
}

// File implements [tun.Device].
func (n *netstack) File() *os.File { return nil }

// MTU implements [tun.Device].
func (n *netstack) MTU() (int, error) { return n.mtu, nil }

// Name implements [tun.Device].
func (n *netstack) Name() (string, error) { return "userspace", nil }

// Events implements [tun.Device].
func (n *netstack) Events() <-chan tun.Event { return n.events }

// BatchSize implements [tun.Device].
func (n *netstack) BatchSize() int { return conn.IdealBatchSize }

// Close implements [tun.Device].
func (n *netstack) Close() error {
	n.once.Do(func() {
		n.cancel()
		n.stack.RemoveNIC(nic)
		n.link.Close()
		n.stack.Destroy()
		close(n.events)
	})
	return nil
}
