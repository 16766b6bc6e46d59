package vless

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/xtls/xray-core/common/buf"
	xnet "github.com/xtls/xray-core/common/net"

	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

const (
	maxNames = 64   // that a flow remembers
	maxBack  = 1024 // places that it sends to by a name
)

// packets is a UDP flow: one socket, by which the user may send to many
// destinations.
type packets struct {
	*tunnel
	guard *egress.Guard
	sock  *net.UDPConn
	first xnet.Destination // of datagrams that name none
	peer  netip.AddrPort   // its address
	moves atomic.Uint64

	// A name is looked up once per flow: all datagrams to it have to go to
	// one address, and answers come back as the client has called the place
	// last, which may be by its address, too.
	mu    sync.Mutex
	names map[string]netip.Addr
	back  map[netip.AddrPort]string
}

// packets carries a UDP flow.
func (d *dispatcher) packets(ctx context.Context, t *tunnel, dest xnet.Destination) error {
	sock, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer func() { _ = sock.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sock.Close() })()
	p := &packets{tunnel: t, guard: d.guard, sock: sock, first: dest, names: map[string]netip.Addr{}, back: map[netip.AddrPort]string{}}
	// A flow to many destinations outlives a first one that is refused: what
	// goes there is dropped, the rest is carried.
	if p.peer, err = p.resolve(ctx, dest); err != nil && !t.shared {
		return err
	}
	idle := inbound.NewIdler(idlePackets, p.moves.Load, t.end)
	defer idle.Stop()
	var down sync.WaitGroup
	down.Go(func() { p.download() })
	p.upload(ctx)
	_ = sock.Close()
	down.Wait()
	return nil
}

// upload sends what the client sends until it sends no more.
func (p *packets) upload(ctx context.Context) {
	for {
		mb, err := p.link.Reader.ReadMultiBuffer()
		if !p.shared {
			mb = joined(mb) // the parts of one datagram
		}
		for _, b := range mb {
			if b != nil {
				p.send(ctx, b)
			}
		}
		buf.ReleaseMulti(mb)
		if err != nil {
			return
		}
	}
}

// send sends one datagram, or drops it: datagrams may be lost.
func (p *packets) send(ctx context.Context, b *buf.Buffer) {
	to := p.peer
	if b.UDP != nil && *b.UDP != p.first {
		var err error
		if to, err = p.resolve(ctx, *b.UDP); err != nil {
			return
		}
	}
	if !p.guard.Permits(to.Addr()) || !p.Take(meter.Up, int(b.Len())) {
		return
	}
	p.moves.Add(1)
	_, _ = p.sock.WriteToUDPAddrPort(b.Bytes(), to)
}

// download passes on what comes back until the socket is closed.
func (p *packets) download() {
	for {
		b := buf.New()
		n, from, err := p.sock.ReadFromUDPAddrPort(b.Extend(buf.Size))
		if err != nil {
			b.Release()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		b.Resize(0, int32(n))
		if !p.wanted(from) || !p.Take(meter.Down, n) {
			b.Release()
			continue
		}
		p.moves.Add(1)
		b.UDP = p.origin(from)
		if p.link.Writer.WriteMultiBuffer(buf.MultiBuffer{b}) != nil {
			p.end()
			return
		}
	}
}

// wanted reports whether a datagram from that address may reach the client.
// One whose protocol has no place for the origin gets what it asked for only.
func (p *packets) wanted(from netip.AddrPort) bool {
	if !p.shared {
		return from == p.peer
	}
	return p.guard.Permits(from.Addr())
}

// resolve returns the address of a destination that the user may reach.
func (p *packets) resolve(ctx context.Context, d xnet.Destination) (netip.AddrPort, error) {
	if !d.Address.Family().IsDomain() && p.guard.Permits(addrOf(d.Address)) {
		to := netip.AddrPortFrom(addrOf(d.Address), uint16(d.Port))
		p.mu.Lock()
		delete(p.back, to)
		p.mu.Unlock()
		return to, nil
	}
	host := hostOf(d.Address)
	p.mu.Lock()
	a, known := p.names[host]
	p.mu.Unlock()
	if !known {
		addrs, err := p.guard.Resolve(ctx, host)
		if err != nil {
			return netip.AddrPort{}, err
		}
		a = addrs[0]
	}
	to := netip.AddrPortFrom(a, uint16(d.Port))
	p.remember(host, to)
	return to, nil
}

func (p *packets) remember(name string, to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.names) >= maxNames {
		clear(p.names)
	}
	if len(p.back) >= maxBack {
		clear(p.back)
	}
	p.names[name] = to.Addr()
	p.back[to] = name
}

// origin returns where a datagram comes from, in the words of the client.
func (p *packets) origin(from netip.AddrPort) *xnet.Destination {
	p.mu.Lock()
	name, named := p.back[from]
	p.mu.Unlock()
	d := xnet.UDPDestination(xnet.IPAddress(from.Addr().AsSlice()), xnet.Port(from.Port()))
	if named {
		d.Address = xnet.DomainAddress(name)
	}
	return &d
}

// joined returns the parts of a datagram as one.
func joined(mb buf.MultiBuffer) buf.MultiBuffer {
	if len(mb) < 2 {
		return mb
	}
	whole := buf.NewWithSize(mb.Len())
	for _, b := range mb {
		_, _ = whole.Write(b.Bytes())
	}
	buf.ReleaseMulti(mb)
	return buf.MultiBuffer{whole}
}
