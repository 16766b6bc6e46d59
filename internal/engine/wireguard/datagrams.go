package wireguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

const (
	idleDatagrams = 2 * time.Minute // what RFC 4787 asks of a NAT, at least
	idleLookups   = 20 * time.Second
	portDNS       = 53
)

// datagrams takes what a device sends to one port of one address, and brings
// what comes back.
func (n *netstack) datagrams(r *udp.ForwarderRequest) bool {
	id := r.ID()
	to := addrPort(id.LocalAddress, id.LocalPort)
	f, err := n.engine.enter(addrPort(id.RemoteAddress, 0).Addr(), to)
	if err != nil {
		// Not taken: the stack says that nobody listens, as it does for any
		// port that nobody listens on.
		return false
	}
	var queue waiter.Queue
	ep, failed := r.CreateEndpoint(&queue)
	if failed != nil {
		f.close()
		return true
	}
	go f.exchange(gonet.NewUDPConn(&queue, ep), readStack(ep, &queue), to)
	return true
}

// exchange passes datagrams on until there have been none for a while.
func (f *flow) exchange(in *gonet.UDPConn, from *stackReader, to netip.AddrPort) {
	defer f.close()
	defer from.stop()
	defer func() { _ = in.Close() }()
	out, err := f.engine.guard.Dial(f.ctx, "udp", []netip.Addr{to.Addr()}, to.Port())
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	defer context.AfterFunc(f.ctx, func() {
		_ = in.Close()
		_ = out.Close()
	})()
	raw, err := out.(*net.UDPConn).SyscallConn()
	if err != nil {
		return
	}
	idle := idleDatagrams
	if to.Port() == portDNS {
		idle = idleLookups
	}
	watch := inbound.NewIdler(idle, f.moves.Load, f.cancel)
	defer watch.Stop()
	var back sync.WaitGroup
	back.Go(func() { f.answers(in, out, raw) })
	f.asks(from, out)
	f.cancel()
	back.Wait()
}

// asks passes on what the device sends.
func (f *flow) asks(from *stackReader, out net.Conn) {
	for {
		b, release, err := from.read(f.ctx)
		if err != nil {
			return
		}
		if f.take(meter.Up, len(b)) {
			_, err = out.Write(b)
		}
		release()
		if unlessRefused(err) != nil {
			return
		}
	}
}

// answers passes on what the destination sends.
func (f *flow) answers(in, out net.Conn, raw syscall.RawConn) {
	from := inbound.NewSocketReader(out, raw, portions)
	for {
		b, release, err := from.Read()
		if unlessRefused(err) != nil {
			f.cancel()
			return
		}
		if err != nil {
			continue
		}
		if f.take(meter.Down, len(b)) {
			_, err = in.Write(b)
		}
		release()
		if err != nil {
			f.cancel()
			return
		}
	}
}

// unlessRefused forgets that a destination did not listen a moment ago, or
// that a datagram was larger than the way there: neither ends anything.
func unlessRefused(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EMSGSIZE) {
		return nil
	}
	return err
}
