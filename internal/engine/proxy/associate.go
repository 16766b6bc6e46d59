package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

const (
	idleAssociation = 2 * time.Minute // what RFC 4787 asks of a NAT, at least
	// A client's NAT gives it another port after a silence. Before, nobody
	// takes the association over from a neighbour behind the same address.
	rebindAfter = 20 * time.Second

	headerSize   = 3 + 1 + 16 + 2 // in front of a datagram to a client, at most
	datagramSize = 64<<10 + headerSize

	maxNames   = 64   // that an association remembers
	maxPeers   = 1024 // whom it has sent to
	maxLookups = 8    // at one time
	warm       = 2 * time.Second
)

// An association is a user's datagrams: a socket for the client, and one for
// all destinations. It lives as long as its control connection.
type association struct {
	*flow
	engine *Engine
	client *client
	front  *net.UDPConn
	back   *net.UDPConn
	port   uint16 // from which the client has said it will send; 0: any
	moves  atomic.Uint64
	tokens chan struct{} // one for each lookup under way

	mu    sync.Mutex
	home  netip.AddrPort // where the client's datagrams come from
	heard time.Time      // from there
	names map[string]netip.Addr
	peers map[netip.Addr]struct{} // who may answer
}

// associate carries datagrams. An error is one before it began.
func (e *Engine) associate(a *account, c *client, from target) error {
	f, err := e.open(a, c, "udp")
	if err != nil {
		return err
	}
	local, _ := c.raw.LocalAddr().(*net.TCPAddr)
	front, err := listenUDP(local.AddrPort().Addr().Unmap(), e.rules.Load().policy.UDPPorts)
	if err != nil {
		f.close()
		return err
	}
	back, err := net.ListenUDP("udp", nil)
	if err != nil {
		_ = front.Close()
		f.close()
		return err
	}
	s := &association{
		flow: f, engine: e, client: c, front: front, back: back, tokens: make(chan struct{}, maxLookups),
		names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{},
	}
	if from.addr.Unmap() == c.source.Addr() {
		s.port = from.port
	}
	bound, _ := front.LocalAddr().(*net.UDPAddr)
	if _, err := c.raw.Write(appendReply(nil, replyDone, announced(bound.AddrPort(), c.source.Addr()))); err != nil {
		s.close()
		return err
	}
	s.run()
	return nil
}

// listenUDP opens a socket at one of ports, or at any if there are none.
func listenUDP(at netip.Addr, ports protocol.Ports) (*net.UDPConn, error) {
	if ports == (protocol.Ports{}) {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	}
	n := int(ports.Last-ports.First) + 1
	begin := rand.IntN(n)
	for i := range n {
		port := ports.First + uint16((begin+i)%n)
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, port)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
	return nil, vpn.Errorf(vpn.Unavailable, "all UDP ports from %s are in use", ports)
}

// announced returns the address that a client is told. Where its way leads
// through a NAT before this host, that is none: it has to take the one that
// it knows the server by.
func announced(bound netip.AddrPort, client netip.Addr) netip.AddrPort {
	if bound.Addr().IsPrivate() && !client.IsPrivate() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), bound.Port())
	}
	return bound
}

// run carries datagrams until the control connection ends, or nothing has
// moved for a while.
func (s *association) run() {
	_ = s.client.raw.SetDeadline(time.Time{})
	idle := inbound.NewIdler(idleAssociation, s.moves.Load, func() { _ = s.client.raw.Close() })
	var moving sync.WaitGroup
	stop := context.AfterFunc(s.ctx, s.shut)
	moving.Go(s.upload)
	moving.Go(s.download)
	_, _ = io.Copy(io.Discard, s.client.raw) // until it ends: it has nothing more to say
	idle.Stop()
	s.cancel()
	stop()
	s.shut()
	moving.Wait()
	s.close()
	_ = s.client.Close()
}

func (s *association) shut() {
	_ = s.front.Close()
	_ = s.back.Close()
}

func (s *association) close() {
	s.shut()
	s.flow.close()
}

// upload sends on what the client sends.
func (s *association) upload() {
	in := newDatagramReader(s.front)
	defer in.release()
	for {
		b, from, err := in.next()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !s.fromClient(from) {
			continue
		}
		to, payload, ok := parseDatagram(b)
		if !ok {
			continue
		}
		if to.addr.IsValid() {
			s.send(to.addr, to.port, payload)
			continue
		}
		s.sendToName(to, payload)
	}
}

// fromClient reports whether a datagram comes from where the client is, who
// settles that with the first one.
func (s *association) fromClient(from netip.AddrPort) bool {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if from.Addr() != s.client.source.Addr() || s.port != 0 && s.port != from.Port() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.home != from {
		if s.home.IsValid() && now.Sub(s.heard) < rebindAfter {
			return false
		}
		s.home = from
	}
	s.heard = now
	return true
}

// parseDatagram takes off the header of RFC 1928, section 7. Fragments are
// dropped, as it allows.
func parseDatagram(b []byte) (target, []byte, bool) {
	if len(b) < 4 || b[2] != 0 {
		return target{}, nil, false
	}
	r := bytes.NewReader(b[3:])
	to, err := readTarget(r)
	return to, b[len(b)-r.Len():], err == nil
}

// sendToName sends to a destination that has to be looked up, once for all
// datagrams to it. Others do not wait for that.
func (s *association) sendToName(to target, payload []byte) {
	s.mu.Lock()
	a, known := s.names[to.host]
	s.mu.Unlock()
	if known {
		s.send(a, to.port, payload)
		return
	}
	select {
	case s.tokens <- struct{}{}:
	default:
		return // datagrams may be lost
	}
	payload = bytes.Clone(payload)
	go func() {
		defer func() { <-s.tokens }()
		addrs, err := s.engine.rules.Load().resolve(s.ctx, s.engine.guard, to.host)
		if err != nil {
			return
		}
		s.mu.Lock()
		if len(s.names) >= maxNames {
			clear(s.names)
		}
		s.names[to.host] = addrs[0]
		s.mu.Unlock()
		s.sendChecked(addrs[0], to.port, payload)
	}()
}

// send sends one datagram, or drops it: datagrams may be lost.
func (s *association) send(to netip.Addr, port uint16, payload []byte) {
	s.mu.Lock()
	_, named := s.peers[to.Unmap()]
	s.mu.Unlock()
	if !named {
		// The rules may know the address by a name, and are asked once.
		if _, err := s.engine.rules.Load().resolve(s.ctx, s.engine.guard, to.String()); err != nil {
			return
		}
	}
	s.sendChecked(to, port, payload)
}

// sendChecked sends to an address that the rules let users reach.
func (s *association) sendChecked(to netip.Addr, port uint16, payload []byte) {
	to = to.Unmap()
	if s.engine.rules.Load().checkPort(port) != nil || !s.engine.guard.Permits(to) || !s.Take(meter.Up, len(payload)) {
		return
	}
	s.mu.Lock()
	if len(s.peers) >= maxPeers {
		clear(s.peers)
	}
	s.peers[to] = struct{}{}
	s.mu.Unlock()
	s.moves.Add(1)
	_, _ = s.back.WriteToUDPAddrPort(payload, netip.AddrPortFrom(to, port))
}

// download passes on what those send whom the client has sent something.
func (s *association) download() {
	in := newDatagramReader(s.back)
	defer in.release()
	var head [headerSize]byte
	for {
		b, from, err := in.next()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		home, wanted := s.wanted(from.Addr().Unmap())
		if !wanted || !s.Take(meter.Down, len(b)) {
			continue
		}
		s.moves.Add(1)
		h := appendAddr(append(head[:0], 0, 0, 0), from)
		_, _ = s.front.WriteToUDPAddrPort(in.behind(h), home)
	}
}

// wanted returns where the client is, and whether somebody may answer it.
func (s *association) wanted(from netip.Addr) (netip.AddrPort, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.peers[from]
	return s.home, ok && s.home.IsValid()
}

// A datagramReader reads from a socket, and holds a buffer only while there
// is traffic.
type datagramReader struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	buf   *[datagramSize]byte
	until time.Time // it gives up the buffer
	n     int
}

func newDatagramReader(c *net.UDPConn) *datagramReader {
	raw, err := c.SyscallConn()
	if err != nil {
		raw = nil // it is closed: so will the first read say
	}
	return &datagramReader{conn: c, raw: raw}
}

// next returns the next datagram, which is valid until the next call.
func (r *datagramReader) next() ([]byte, netip.AddrPort, error) {
	for {
		if r.buf == nil {
			if err := r.conn.SetReadDeadline(time.Time{}); err != nil {
				return nil, netip.AddrPort{}, net.ErrClosed
			}
			if r.raw != nil {
				if err := waitReadable(r.raw); err != nil {
					return nil, netip.AddrPort{}, net.ErrClosed
				}
			}
			r.buf = datagramBuffers.Get().(*[datagramSize]byte)
		}
		if now := time.Now(); r.until.Sub(now) < warm/2 {
			r.until = now.Add(warm)
			_ = r.conn.SetReadDeadline(r.until)
		}
		n, from, err := r.conn.ReadFromUDPAddrPort(r.buf[headerSize:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.release()
			continue
		}
		r.n = n
		return r.buf[headerSize : headerSize+n], from, err
	}
}

// behind returns the datagram that was read last with head in front.
func (r *datagramReader) behind(head []byte) []byte {
	begin := headerSize - len(head)
	copy(r.buf[begin:], head)
	return r.buf[begin : headerSize+r.n]
}

func (r *datagramReader) release() {
	if r.buf != nil {
		datagramBuffers.Put(r.buf)
		r.buf, r.until = nil, time.Time{}
	}
}
