package shadowsocks

import (
	"bytes"
	"container/list"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/vpn"
)

// maxQueued is how many datagrams wait whose key is not known yet.
const maxQueued = 64

// A postbox takes the datagrams that come to one socket. Which key opens those
// of a client is known from the first one on; keys are tried beside, so that
// nobody else's wait for it.
//
// The library's own server of datagrams is not used: of its goroutines, one
// that panics would end the worker, and it looks names up while datagrams wait.
type postbox struct {
	*aead
	door *door
	conn *net.UDPConn

	mu   sync.Mutex
	from map[netip.AddrPort]*association
}

// A letter is a datagram whose key is not known yet.
type letter struct {
	sealed []byte
	from   netip.AddrPort
}

// packets returns what serves the socket of a door.
func (s *aead) packets(d *door) func(*net.UDPConn) {
	return func(conn *net.UDPConn) {
		p := &postbox{aead: s, door: d, conn: conn, from: map[netip.AddrPort]*association{}}
		letters := make(chan letter, maxQueued)
		var opening sync.WaitGroup
		opening.Go(func() {
			plain := make([]byte, datagramSize)
			for l := range letters {
				p.introduce(l, plain)
			}
		})
		p.receive(letters)
		close(letters)
		opening.Wait()
		p.mu.Lock()
		left := make([]*association, 0, len(p.from))
		for _, a := range p.from {
			left = append(left, a)
		}
		p.mu.Unlock()
		for _, a := range left {
			a.end()
		}
	}
}

// receive takes datagrams until the socket is closed.
func (p *postbox) receive(letters chan<- letter) {
	buf, plain := make([]byte, datagramSize), make([]byte, datagramSize)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if a := p.association(from); a != nil {
			if text, err := shadowsocks.Unpack(plain[:0], buf[:n], a.key.entry.CryptoKey); err == nil {
				a.send(text)
				continue
			}
		}
		select {
		case letters <- letter{bytes.Clone(buf[:n]), from}:
		default: // datagrams may be lost
		}
	}
}

func (p *postbox) association(from netip.AddrPort) *association {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.from[from]
}

// introduce finds the key of a datagram and begins an association with it.
func (p *postbox) introduce(l letter, plain []byte) {
	old := p.association(l.from)
	if old != nil { // it has begun while the datagram waited
		if text, err := shadowsocks.Unpack(plain[:0], l.sealed, old.key.entry.CryptoKey); err == nil {
			old.send(text)
			return
		}
	}
	k, text := p.find(l, plain)
	if k == nil {
		return
	}
	if old != nil { // another client has come to the address
		old.end()
	}
	a, err := p.associate(k, l.from)
	if err != nil {
		p.log.Debug("flow refused", slog.Any("source", l.from), slog.Any("err", err))
		return
	}
	a.send(text)
}

// find tries keys. Of those that an address has not used, it tries so many
// times only, since addresses can be forged.
func (p *postbox) find(l letter, plain []byte) (*key, []byte) {
	from := l.from.Addr()
	k, text := p.try(knownKeys{p.door.ring}.SnapshotForClientIP(from), l, plain)
	if k != nil {
		return k, text
	}
	switch wait, ok := p.datagrams.trial(from); {
	case !ok:
		return nil, nil
	case wait > 0:
		p.datagrams.waited(from)
		p.datagrams.forgive(from)
		return nil, nil
	}
	if k, text = p.try(p.door.ring.SnapshotForClientIP(from), l, plain); k != nil {
		p.datagrams.forgive(from)
	}
	return k, text
}

func (p *postbox) try(keys []*list.Element, l letter, plain []byte) (*key, []byte) {
	for _, e := range keys {
		entry := e.Value.(*service.CipherEntry)
		text, err := shadowsocks.Unpack(plain[:0], l.sealed, entry.CryptoKey)
		if err != nil {
			continue
		}
		p.door.ring.MarkUsedByClientIP(e, l.from.Addr())
		return p.door.ring.get(vpn.CredentialID(entry.ID)), text
	}
	return nil, nil
}
