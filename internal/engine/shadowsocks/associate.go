package shadowsocks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	idleAssociation = 2 * time.Minute  // what RFC 4787 asks of a NAT, at least
	idleLookup      = 17 * time.Second // of an association that only asks the DNS, RFC 5452

	portDNS = 53

	maxSalt   = 32
	maxHeader = 1 + 16 + 2 // an address in front of a datagram

	// maxAssociations is how many a key may have at one time: each takes a
	// socket, of which a process has so many only. Whoever has overheard one
	// datagram may send it again from any number of addresses.
	maxAssociations = 1024

	maxNames   = 64   // that an association remembers
	maxPeers   = 1024 // whom it has sent to
	maxLookups = 8    // at one time
)

// An association is what a client at one address sends and gets: a socket for
// all destinations.
type association struct {
	*inbound.Flow
	box    *postbox
	key    *key
	client netip.AddrPort
	back   *net.UDPConn
	ctx    context.Context //nolint:containedctx // it ends with the association
	cancel context.CancelFunc
	ending sync.Once
	moves  atomic.Uint64
	idle   *inbound.Idler
	long   atomic.Bool   // it does more than to ask the DNS
	tokens chan struct{} // one for each lookup under way

	mu    sync.Mutex
	names map[string]netip.Addr
	peers map[netip.Addr]struct{} // who may answer
}

var errTooMany = vpn.Errorf(vpn.Denied, "too many associations of one key")

// associate begins an association of the holder of a key.
func (p *postbox) associate(k *key, client netip.AddrPort) (*association, error) {
	if k.associations.Add(1) > p.most {
		k.associations.Add(-1)
		return nil, errTooMany
	}
	back, err := net.ListenUDP("udp", nil)
	if err != nil {
		k.associations.Add(-1)
		return nil, err
	}
	a := &association{
		box: p, key: k, client: client, back: back, tokens: make(chan struct{}, maxLookups),
		names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if a.Flow, err = p.open(k, client, "udp", a.end); err != nil {
		k.associations.Add(-1)
		a.end()
		return nil, err
	}
	a.idle = inbound.NewIdler(idleLookup, a.moves.Load, a.end)
	p.mu.Lock()
	p.from[client] = a
	p.mu.Unlock()
	p.flows.Go(a.run)
	return a, nil
}

// end ends the association. It may be called by anybody, at any time.
func (a *association) end() {
	a.ending.Do(func() {
		a.cancel()
		_ = a.back.Close()
	})
}

// run passes on what comes back until the association has ended.
func (a *association) run() {
	a.download()
	a.end()
	a.idle.Stop()
	a.box.mu.Lock()
	if a.box.from[a.client] == a {
		delete(a.box.from, a.client)
	}
	a.box.mu.Unlock()
	a.Close()
	a.key.associations.Add(-1)
}

// send sends on one datagram of the client, or drops it: datagrams may be
// lost.
func (a *association) send(text []byte) {
	to, payload, more, err := parseTarget(text)
	switch {
	case err != nil || more:
	case to.addr.IsValid():
		a.sendTo(to.addr, to.port, payload)
	default:
		a.sendToName(to, payload)
	}
}

// sendToName sends to a destination that has to be looked up, once for all
// datagrams to it. Others do not wait for that.
func (a *association) sendToName(to target, payload []byte) {
	a.mu.Lock()
	addr, known := a.names[to.host]
	a.mu.Unlock()
	if known {
		a.sendTo(addr, to.port, payload)
		return
	}
	select {
	case a.tokens <- struct{}{}:
	default:
		return
	}
	payload = bytes.Clone(payload)
	go func() {
		defer func() { <-a.tokens }()
		addrs, err := a.box.guard.Resolve(a.ctx, to.host)
		if err != nil {
			return
		}
		a.mu.Lock()
		if len(a.names) >= maxNames {
			clear(a.names)
		}
		a.names[to.host] = addrs[0]
		a.mu.Unlock()
		a.sendTo(addrs[0], to.port, payload)
	}()
}

func (a *association) sendTo(to netip.Addr, port uint16, payload []byte) {
	to = to.Unmap()
	if port == 0 || !a.box.guard.Permits(to) || !a.Take(meter.Up, len(payload)) {
		return
	}
	a.mu.Lock()
	if _, known := a.peers[to]; !known {
		if len(a.peers) >= maxPeers {
			clear(a.peers)
		}
		a.peers[to] = struct{}{}
	}
	a.mu.Unlock()
	a.moves.Add(1)
	if port != portDNS && a.long.CompareAndSwap(false, true) {
		a.idle.Within(idleAssociation)
	}
	_, _ = a.back.WriteToUDPAddrPort(payload, netip.AddrPortFrom(to, port))
}

// download passes on what those send whom the client has sent something.
func (a *association) download() {
	for {
		if waitReadable(a.back) != nil {
			return
		}
		if !a.downloadSome() {
			return
		}
	}
}

// warm is how long a buffer is kept for the next datagram.
const warm = 2 * time.Second

// downloadSome passes on datagrams until none comes for a moment. It returns
// false once the socket is closed.
func (a *association) downloadSome() bool {
	buf := datagramBuffers.Get().(*[datagramSize]byte)
	defer datagramBuffers.Put(buf)
	// In front of what is read is room for what is put there.
	const begin = maxSalt + maxHeader
	room := buf[begin : len(buf)-tagSize]
	var until time.Time
	for {
		if now := time.Now(); until.Sub(now) < warm/2 {
			until = now.Add(warm)
			_ = a.back.SetReadDeadline(until)
		}
		n, from, err := a.back.ReadFromUDPAddrPort(room)
		var timeout net.Error
		switch {
		case errors.Is(err, net.ErrClosed):
			return false
		case errors.As(err, &timeout) && timeout.Timeout():
			return a.back.SetReadDeadline(time.Time{}) == nil
		case err != nil:
			continue // an ICMP error of an earlier datagram
		}
		if !a.wanted(from.Addr().Unmap()) || !a.Take(meter.Down, n) {
			continue
		}
		a.moves.Add(1)
		var head [maxHeader]byte
		h := appendAddr(head[:0], from)
		text := buf[begin-len(h) : begin+n]
		copy(text, h)
		crypto := a.key.entry.CryptoKey
		sealed, err := shadowsocks.Pack(buf[begin-len(h)-crypto.SaltSize():], text, crypto)
		if err == nil {
			_, _ = a.box.conn.WriteToUDPAddrPort(sealed, a.client)
		}
	}
}

// wanted reports whether somebody may answer the client.
func (a *association) wanted(from netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.peers[from]
	return ok
}
