package sip022

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	maxNames   = 64   // that a relay remembers
	maxPeers   = 1024 // whom it has sent to
	maxLookups = 8    // at one time
)

// A relay is a session while it lives: its flow, and its socket for all
// destinations.
type relay struct {
	session *session
	engine  *Engine
	back    *net.UDPConn
	flow    atomic.Pointer[flow]
	network netip.Prefix // the client's, when the flow was opened; guarded by session.mu
	moved   atomic.Int64 // when the last datagram passed: ns since the engine began
	lookups chan struct{}

	mu    sync.Mutex
	over  bool
	names map[string]netip.Addr
	peers map[netip.Addr]struct{} // who may answer
}

// receive reads what clients send to the server's socket, until that is closed.
// It must not wait for anything else: the socket is everybody's.
func (e *Engine) receive(sock *net.UDPConn) {
	buf := make([]byte, largeSize)
	for {
		n, from, err := sock.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if err := e.packet(sock, buf[:n], from); err != nil && !quiet(err) {
			e.log.Debug("datagram refused", slog.Any("source", from), slog.Any("err", err))
		}
	}
}

// quiet says which errors are those of strangers: everybody can send as many.
func quiet(err error) bool { return vpn.KindOf(err) != vpn.Denied }

// packet takes one datagram of a client.
func (e *Engine) packet(sock *net.UDPConn, b []byte, from netip.AddrPort) error {
	p, err := e.keys.Load().parsePacket(b)
	if err != nil {
		return err
	}
	key := sessionKey{p.user, p.session()}
	s := e.sessions.find(key)
	if s == nil {
		s = newSession(p.user, key.id)
	} else if s.repeated(p.number()) {
		return errAgain
	}
	body, err := s.aead.Open(p.sealed[:0], p.nonce(), p.sealed, nil)
	if err != nil {
		return errForged
	}
	now := e.options.now()
	to, payload, err := parseBody(body, now)
	if err != nil {
		return err
	}
	s, ok := e.sessions.add(s)
	if !ok {
		return errTooMany
	}
	r, err := e.use(s, p.number(), from, sock, now)
	if err != nil {
		return err
	}
	r.send(to, payload, now)
	return nil
}

var errTooMany = vpn.Errorf(vpn.Denied, "too many UDP sessions")

// use notes a packet of a session that has proved to be good, and returns the
// session's relay, a new one if it has none.
func (e *Engine) use(s *session, number uint64, from netip.AddrPort, sock *net.UDPConn, now time.Time) (*relay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seen.add(number) {
		return nil, errAgain
	}
	s.heard, s.home, s.via = now, from, sock
	network := networkOf(from.Addr())
	if r := s.relay; r != nil && !r.ended() {
		if r.network == network {
			return r, nil
		}
		// The client has moved to another network. It may be one too many.
		r.flow.Load().close()
		f, err := e.open(s.key.user, from, "udp", r.shut)
		if err != nil {
			r.shut()
			return nil, err
		}
		r.flow.Store(f)
		r.network = network
		return r, nil
	}
	r := &relay{session: s, engine: e, network: network, lookups: make(chan struct{}, maxLookups)}
	f, err := e.open(s.key.user, from, "udp", r.shut)
	if err != nil {
		return nil, err
	}
	r.flow.Store(f)
	if err := r.listen(); err != nil {
		f.close()
		return nil, err
	}
	r.touch(now)
	s.relay = r
	e.sessions.running.Go(r.download)
	return r, nil
}

func (r *relay) listen() error {
	back, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.back = back; r.over { // it was cut meanwhile
		_ = back.Close()
	}
	return nil
}

// shut ends the relay: its download notices.
func (r *relay) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.back != nil {
		_ = r.back.Close()
	}
}

func (r *relay) touch(now time.Time) { r.moved.Store(int64(now.Sub(r.engine.begun))) }

// expire ends the relay if nothing has moved for a while.
func (r *relay) expire(now time.Time, idle time.Duration) {
	if now.Sub(r.engine.begun)-time.Duration(r.moved.Load()) > idle {
		r.shut()
	}
}

// send sends one datagram, or drops it: datagrams may be lost.
func (r *relay) send(to target, payload []byte, now time.Time) {
	if to.name == "" {
		r.sendTo(to.addr, to.port, payload, now)
		return
	}
	r.mu.Lock()
	a, known := r.names[to.name]
	r.mu.Unlock()
	if known {
		r.sendTo(a, to.port, payload, now)
		return
	}
	select {
	case r.lookups <- struct{}{}:
	default:
		return
	}
	payload = bytes.Clone(payload)
	go func() {
		defer func() { <-r.lookups }()
		addrs, err := r.engine.guard.Resolve(r.flow.Load().ctx, to.name)
		if err != nil {
			return
		}
		r.mu.Lock()
		if len(r.names) >= maxNames || r.names == nil {
			r.names = map[string]netip.Addr{}
		}
		r.names[to.name] = addrs[0]
		r.mu.Unlock()
		r.sendTo(addrs[0], to.port, payload, now)
	}()
}

func (r *relay) sendTo(to netip.Addr, port uint16, payload []byte, now time.Time) {
	if port == 0 || !r.engine.guard.Permits(to) || !r.flow.Load().Take(meter.Up, len(payload)) {
		return
	}
	r.mu.Lock()
	if _, known := r.peers[to]; !known {
		if len(r.peers) >= maxPeers || r.peers == nil {
			r.peers = map[netip.Addr]struct{}{}
		}
		r.peers[to] = struct{}{}
	}
	r.mu.Unlock()
	r.touch(now)
	_, _ = r.back.WriteToUDPAddrPort(payload, netip.AddrPortFrom(to, port))
}

// download passes on what those send whom the client has sent something.
func (r *relay) download() {
	s := r.session
	in := newDatagramReader(r.back)
	defer in.release()
	for {
		n, from, err := in.next()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		const overhead = answerRoom - maxPadding + tagSize
		if !r.wanted(from.Addr()) || n > maxDatagram-overhead || !r.flow.Load().Take(meter.Down, n) {
			continue
		}
		now := r.engine.options.now()
		r.touch(now)
		home, via := s.back()
		_, _ = via.WriteToUDPAddrPort(s.answer(in.buf.b, n, from, now), home)
	}
	s.mu.Lock()
	if s.relay == r { // else the client was back before this one knew that it is over
		s.relay = nil
	}
	s.mu.Unlock()
	r.flow.Load().close()
}

// ended reports whether the relay was shut.
func (r *relay) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// wanted reports whether somebody may answer the client.
func (r *relay) wanted(from netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.peers[from]
	return ok
}

// networkOf returns what counts as one device: an IPv4 address, or the /64 of
// an IPv6 address.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
