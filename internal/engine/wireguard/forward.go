package wireguard

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	// idleStream leaves the end of a silent stream to keepalive: in it are the
	// push services of phones, silent for half an hour at a time.
	idleStream = 24 * time.Hour
	// thinkTime is how long a destination may be silent after a device has
	// sent its last.
	thinkTime = 30 * time.Second

	keepaliveIdle  = 45 * time.Second
	keepaliveEvery = 15 * time.Second

	// maxFlows is how many streams and datagram associations one device may
	// have: each takes a socket of this process.
	maxFlows = 2048
)

// portions are what is moved at a time, or any datagram.
var portions = inbound.NewBuffers(64 << 10) //nolint:gochecknoglobals // a pool is the process's by nature

// A flow is what a device does with one destination.
type flow struct {
	engine *Engine
	peer   *peer
	ctx    context.Context //nolint:containedctx // it ends with the flow, as the meter wants
	cancel context.CancelFunc
	leave  func()
	claim  func()        // gives it back
	moves  atomic.Uint64 // portions that passed
}

// enter begins a flow of the device that has an address in the tunnel.
func (e *Engine) enter(from netip.Addr, to netip.AddrPort) (*flow, error) {
	p := e.peerOf(from)
	if p == nil {
		return nil, vpn.Errorf(vpn.Denied, "no device has the address %s", from)
	}
	if !e.guard.Permits(to.Addr()) {
		return nil, vpn.Errorf(vpn.Denied, "destination %s is not allowed", to)
	}
	if p.flows.Add(1) > maxFlows {
		p.flows.Add(-1)
		return nil, vpn.Errorf(vpn.Denied, "the device has too many connections")
	}
	f := &flow{engine: e, peer: p, claim: func() {}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	leave, ok := e.live.Enter(p.credential, f.cancel)
	if !ok {
		f.leave = func() {}
		f.close()
		return nil, vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	f.leave = leave
	// From here on the registry would tell of a cut.
	m, err := e.open(p)
	if err != nil {
		f.close()
		return nil, err
	}
	claim, err := m.Claim()
	if err != nil {
		f.close()
		return nil, err
	}
	f.claim = claim
	return f, nil
}

func (f *flow) close() {
	f.cancel()
	f.peer.flows.Add(-1)
	f.claim()
	f.leave()
}

// wait is [meter.Flow.Wait] of the device's flow, which may be another after
// the device has moved.
func (f *flow) wait(d meter.Direction, n int) (int, error) {
	for {
		m, err := f.engine.open(f.peer)
		if err != nil {
			return 0, err
		}
		got, err := m.Wait(f.ctx, d, n)
		if err == nil || f.ctx.Err() != nil || f.peer.flow.Load() == m {
			f.moves.Add(1)
			return got, err
		}
	}
}

// take is [meter.Flow.Take] of the device's flow.
func (f *flow) take(d meter.Direction, n int) bool {
	m, err := f.engine.open(f.peer)
	f.moves.Add(1)
	return err == nil && m.Take(d, n)
}

// stream takes a stream from the stack, once it is known whether its
// destination takes it too.
func (n *netstack) stream(r *tcp.ForwarderRequest) {
	id := r.ID()
	to := addrPort(id.LocalAddress, id.LocalPort)
	f, err := n.engine.enter(addrPort(id.RemoteAddress, 0).Addr(), to)
	if err != nil {
		r.Complete(true)
		return
	}
	defer f.close()
	out, err := n.engine.guard.Dial(f.ctx, "tcp", []netip.Addr{to.Addr()}, to.Port())
	if err != nil {
		r.Complete(true)
		return
	}
	defer func() { _ = out.Close() }()
	var queue waiter.Queue
	ep, failed := r.CreateEndpoint(&queue)
	r.Complete(failed != nil)
	if failed != nil {
		return
	}
	keepalive(ep)
	s := &stream{flow: f, ep: ep, queue: &queue, in: gonet.NewTCPConn(&queue, ep), out: out.(*net.TCPConn)}
	s.carry()
}

// keepalive makes the stack find out that a device is gone.
func keepalive(ep tcpip.Endpoint) {
	idle, every := tcpip.KeepaliveIdleOption(keepaliveIdle), tcpip.KeepaliveIntervalOption(keepaliveEvery)
	_, _ = ep.SetSockOpt(&idle), ep.SetSockOpt(&every) // these are options that it has
	ep.SocketOptions().SetKeepAlive(true)
}

// A stream is between a device and a destination.
type stream struct {
	*flow
	ep    tcpip.Endpoint
	queue *waiter.Queue
	in    *gonet.TCPConn // of ep
	out   *net.TCPConn
	idle  *inbound.Idler
}

// carry moves bytes until the stream has ended.
func (s *stream) carry() {
	defer func() { _ = s.in.Close() }()
	defer context.AfterFunc(s.ctx, func() {
		s.ep.Abort() // the device learns of it, unlike from a close
		_ = s.out.Close()
	})()
	raw, err := s.out.SyscallConn()
	if err != nil {
		return
	}
	s.idle = inbound.NewIdler(idleStream, s.moves.Load, s.cancel)
	defer s.idle.Stop()
	var up sync.WaitGroup
	up.Go(s.upload)
	s.download(raw)
	up.Wait()
}

// upload moves bytes to the destination until the device has sent its last.
func (s *stream) upload() {
	from := readStack(s.ep, s.queue)
	defer from.stop()
	for {
		b, release, err := from.read(s.ctx)
		if errors.Is(err, io.EOF) {
			_ = s.out.CloseWrite()
			s.idle.Within(thinkTime)
			return
		}
		if err != nil {
			s.cancel()
			return
		}
		err = s.pass(meter.Up, b, s.out)
		release()
		if err != nil {
			// The destination takes no more, but may have something to say.
			s.idle.Within(inbound.Linger)
			return
		}
	}
}

// download moves bytes to the device until the destination has sent its last.
func (s *stream) download(raw syscall.RawConn) {
	from := inbound.NewSocketReader(s.out, raw, portions)
	for {
		b, release, err := from.Read()
		if err != nil {
			s.cancel()
			return
		}
		if len(b) == 0 {
			release()
			_ = s.in.CloseWrite()
			s.idle.Within(inbound.Linger)
			return
		}
		err = s.pass(meter.Down, b, s.in)
		release()
		if err != nil {
			s.cancel()
			return
		}
	}
}

// pass writes as much of b as the meter lets pass, all of it or an error.
func (s *stream) pass(d meter.Direction, b []byte, to net.Conn) error {
	for len(b) > 0 {
		n, err := s.wait(d, len(b))
		if err != nil {
			return err
		}
		if _, err := to.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
