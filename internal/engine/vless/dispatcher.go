package vless

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/xtls/xray-core/common"
	"github.com/xtls/xray-core/common/mux"
	xnet "github.com/xtls/xray-core/common/net"
	"github.com/xtls/xray-core/common/session"
	"github.com/xtls/xray-core/features/routing"
	"github.com/xtls/xray-core/transport"
	xreality "github.com/xtls/xray-core/transport/internet/reality"
	"github.com/xtls/xray-core/transport/pipe"

	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/engine/splice"
	"vpn/internal/vpn"
)

const (
	muxHost = "v1.mux.cool" // the destination that stands for a multiplexed connection
	// pipeSize is how many bytes wait for a slow reader in each direction of
	// a multiplexed flow.
	pipeSize = 128 << 10
)

// A dispatcher carries users' flows to their destinations. In xray's terms it
// is router and outbound in one: the way through xray's own would look names
// up a second time, try five times whom the guard refuses, and close the
// destination's socket before its last bytes are counted.
type dispatcher struct {
	meter *meter.Meter
	guard *egress.Guard
	live  *inbound.Registry
	pipes *splice.Pipes
	log   *slog.Logger
}

var _ routing.Dispatcher = (*dispatcher)(nil)

// Type, Start and Close make d a feature of an xray instance.
func (d *dispatcher) Type() any    { return routing.DispatcherType() }
func (d *dispatcher) Start() error { return nil }
func (d *dispatcher) Close() error { return nil }

// Dispatch implements [routing.Dispatcher]. It begins a flow that is one of
// several on the user's connection, and returns its other end. Both ends are
// pipes of xray's: its multiplexer accepts nothing else.
func (d *dispatcher) Dispatch(ctx context.Context, dest xnet.Destination) (*transport.Link, error) {
	options := []pipe.Option{pipe.WithSizeLimit(pipeSize)}
	if dest.Network == xnet.Network_UDP {
		// One slow flow must not hold up the others on its connection.
		options = append(options, pipe.DiscardOverflow())
	}
	upReader, upWriter := pipe.New(options...)
	downReader, downWriter := pipe.New(options...)
	link := &transport.Link{Reader: upReader, Writer: downWriter}
	go func() {
		err := d.carry(ctx, dest, link, true)
		if err != nil {
			d.log.Debug("flow ended", slog.Any("err", err))
			_ = common.Interrupt(downWriter)
		} else {
			_ = common.Close(downWriter)
		}
		_ = common.Interrupt(upReader)
	}()
	return &transport.Link{Reader: downReader, Writer: upWriter}, nil
}

// DispatchLink implements [routing.Dispatcher]. It carries the flow, or the
// flows, of one connection of a user until it ends.
func (d *dispatcher) DispatchLink(ctx context.Context, dest xnet.Destination, link *transport.Link) error {
	in, client, err := inboundOf(ctx)
	if err != nil {
		return err
	}
	link = sheltered(link, client, in.Conn)
	if dest.Address.Family().IsDomain() && dest.Address.Domain() == muxHost {
		return d.multiplex(ctx, in, client, link)
	}
	return d.carry(ctx, dest, link, false)
}

// multiplex takes flows from a connection until it ends. It is no flow
// itself: it carries nothing that the meter has not admitted.
func (d *dispatcher) multiplex(ctx context.Context, in *session.Inbound, client *wire, link *transport.Link) error {
	leave, ok := d.live.Enter(credentialOf(in), func() { inbound.HangUp(client.TCPConn) })
	if !ok {
		return net.ErrClosed
	}
	defer leave()
	worker, err := mux.NewServerWorker(ctx, d, link)
	if err != nil {
		return fmt.Errorf("take up a multiplexed connection: %w", err)
	}
	select {
	case <-worker.WaitClosed():
	case <-ctx.Done():
	}
	return nil
}

// carry admits one flow, and carries it until it ends.
func (d *dispatcher) carry(ctx context.Context, dest xnet.Destination, link *transport.Link, shared bool) error {
	in, client, err := inboundOf(ctx)
	if err != nil {
		return err
	}
	if session.TimeoutOnlyFromContext(ctx) {
		// The flow may move to another connection of the user when this one
		// ends. xray closes the pipes a minute later if it does not.
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &tunnel{link: link, client: client, in: in, shared: shared, cancel: cancel}
	leave, ok := d.live.Enter(credentialOf(in), t.cut)
	if !ok {
		return net.ErrClosed
	}
	defer leave()
	source := netip.AddrPortFrom(addrOf(in.Source.Address), uint16(in.Source.Port))
	t.Flow, err = d.meter.Open(credentialOf(in), source, dest.Network.SystemString(), func(error) { t.cut() })
	if err != nil {
		return err
	}
	defer t.Flow.Close()
	switch dest.Network {
	case xnet.Network_TCP:
		return d.stream(ctx, t, dest)
	case xnet.Network_UDP:
		return d.packets(ctx, t, dest)
	default:
		return fmt.Errorf("network %s is not carried", dest.Network)
	}
}

// A tunnel is one flow of a user: the client's side of it, and its account.
type tunnel struct {
	*meter.Flow
	link   *transport.Link
	in     *session.Inbound
	client *wire // the user's connection
	shared bool  // which carries other flows too; link is two pipes
	cancel context.CancelFunc
	gone   atomic.Bool // cut
}

// cut ends the flow at once, and the user's connection.
func (t *tunnel) cut() {
	if t.gone.Swap(true) {
		return
	}
	t.cancel()
	inbound.HangUp(t.client.TCPConn)
	t.interrupt()
}

// end ends the flow. What is on its way to the client still arrives.
func (t *tunnel) end() {
	t.cancel()
	switch {
	case t.shared:
		t.interrupt()
	case !t.gone.Load(): // else HangUp is at it
		_ = t.client.Close()
	}
}

func (t *tunnel) interrupt() {
	_ = common.Interrupt(t.link.Reader)
	_ = common.Interrupt(t.link.Writer)
}

// inboundOf returns who a session belongs to and the socket that it came by.
func inboundOf(ctx context.Context) (*session.Inbound, *wire, error) {
	in := session.InboundFromContext(ctx)
	if in == nil || in.User == nil {
		return nil, nil, fmt.Errorf("session without a user")
	}
	conn, ok := in.Conn.(*xreality.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("session of a %T", in.Conn)
	}
	client, ok := conn.NetConn().(*wire)
	if !ok {
		return nil, nil, fmt.Errorf("session over a %T", conn.NetConn())
	}
	return in, client, nil
}

func credentialOf(in *session.Inbound) vpn.CredentialID { return vpn.CredentialID(in.User.Email) }

// addrOf returns the address in a, or none if it is a name.
func addrOf(a xnet.Address) netip.Addr {
	if a.Family().IsDomain() {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(a.IP())
	return addr.Unmap()
}
