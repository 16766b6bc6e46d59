package wireguard

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/engine/meter"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// A peer is one credential: a device.
type peer struct {
	credential vpn.CredentialID
	secret     vpn.Secret
	public     wireguard.Key
	preshared  wireguard.Key
	four, six  netip.Addr

	flow  atomic.Pointer[meter.Flow] // nil: none is open
	flows atomic.Int64               // of it in user space: streams and datagram associations

	past     past
	openings openings
	passage  atomic.Value // over a TUN device, once it has a packet
	refused  atomic.Int64 // until when nobody need ask again, in nanoseconds since 1970
	denied   atomic.Bool  // it was for good when it was refused last

	mu      sync.Mutex
	gone    bool           // no longer granted
	source  netip.AddrPort // of flow
	stirred time.Time      // when it was last known to be there
}

// peers are all that there are. They are replaced, never changed; what stays
// of an old set in a new one is the same *peer.
type peers struct {
	byID   map[vpn.CredentialID]*peer
	byKey  map[wireguard.Key]*peer
	byAddr map[netip.Addr]*peer
}

// plan returns the peers that grants make, and those of ps that are not among
// them. It changes nothing.
func (ps *peers) plan(grants []vpn.Grant, n wireguard.Network) (next *peers, gone []*peer, err error) {
	next = &peers{
		byID:   make(map[vpn.CredentialID]*peer, len(grants)),
		byKey:  make(map[wireguard.Key]*peer, len(grants)),
		byAddr: make(map[netip.Addr]*peer, 2*len(grants)),
	}
	for i := range grants {
		g := &grants[i]
		p := ps.byID[g.Credential]
		four, six, ok := n.Device(g.Slot)
		if !ok {
			return nil, nil, vpn.Errorf(vpn.Invalid, "the subnet has no address for credential %s", g.Credential).
				WithHint("there are addresses for %d devices", n.Seats())
		}
		if p == nil || !p.secret.Equal(g.Secret) || p.four != four || p.six != six {
			k, err := wireguard.ParseSecret(g.Secret)
			if err != nil {
				return nil, nil, err
			}
			p = &peer{
				credential: g.Credential, secret: g.Secret,
				public: k.PrivateKey.Public(), preshared: k.PresharedKey, four: four, six: six,
			}
		}
		for other, what := range map[*peer]string{next.byKey[p.public]: "key", next.byAddr[four]: "address"} {
			if other != nil {
				return nil, nil, vpn.Errorf(vpn.Invalid, "credentials %s and %s have the same %s", other.credential, g.Credential, what).
					WithHint("rotate one of them")
			}
		}
		next.byID[g.Credential], next.byKey[p.public], next.byAddr[four], next.byAddr[six] = p, p, p, p
	}
	for id, p := range ps.byID {
		if next.byID[id] != p {
			gone = append(gone, p)
		}
	}
	return next, gone, nil
}

// all returns the peers in no order.
func (ps *peers) all() []*peer {
	out := make([]*peer, 0, len(ps.byID))
	for _, p := range ps.byID {
		out = append(out, p)
	}
	return out
}

func (ps *peers) credentials() map[vpn.CredentialID]bool {
	out := make(map[vpn.CredentialID]bool, len(ps.byID))
	for id := range ps.byID {
		out[id] = true
	}
	return out
}

// missing returns the peers that are not in old.
func (ps *peers) missing(old *peers) []*peer {
	var out []*peer
	for id, p := range ps.byID {
		if old.byID[id] != p {
			out = append(out, p)
		}
	}
	return out
}

// without returns ps with nobody at the addresses of others.
func (ps *peers) without(others []*peer) *peers {
	out := &peers{byID: ps.byID, byKey: ps.byKey, byAddr: maps.Clone(ps.byAddr)}
	for _, p := range others {
		delete(out.byAddr, p.four)
		delete(out.byAddr, p.six)
	}
	return out
}

// describe writes peers as wireguard-go reads them.
func describe(ps []*peer) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "public_key=%s\npreshared_key=%s\nreplace_allowed_ips=true\nallowed_ip=%s/32\nallowed_ip=%s/128\n",
			hexed(p.public), hexed(p.preshared), p.four, p.six)
	}
	return b.String()
}

func hexed(k wireguard.Key) string { return hex.EncodeToString(k[:]) }

// pass passes on what wireguard-go says, of strangers among others, if somebody
// wants to know. It names peers by the ends of their public keys.
func (e *Engine) pass(format string, args ...any) {
	if ctx := context.Background(); e.log.Enabled(ctx, slog.LevelDebug) {
		e.log.LogAttrs(ctx, slog.LevelDebug, "wireguard-go", slog.String("says", fmt.Sprintf(format, args...)))
	}
}

// open returns the peer's flow. Where there is none, one is opened: the device
// has come, or has come back.
func (e *Engine) open(p *peer) (*meter.Flow, error) {
	if f := p.flow.Load(); f != nil {
		return f, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flow.Load(); f != nil {
		return f, nil
	}
	if p.gone {
		return nil, vpn.Errorf(vpn.Denied, "the device is not known here")
	}
	source := e.sweep.sourceOf(p)
	if !source.IsValid() {
		return nil, vpn.Errorf(vpn.Unavailable, "the device has not been heard of")
	}
	f, err := e.admit(p, source)
	if err == nil {
		p.stirred = time.Now()
	}
	return f, err
}

// admit opens a flow from a source. The caller holds p.mu.
func (e *Engine) admit(p *peer, source netip.AddrPort) (*meter.Flow, error) {
	var f *meter.Flow
	cut := make(chan struct{})
	opened, err := e.meter.Open(p.credential, source, "ip", func(error) {
		<-cut // until f is known
		p.past.cut()
		p.flow.CompareAndSwap(f, nil)
		e.part(p)
		e.live.End(map[vpn.CredentialID]bool{p.credential: true})
	})
	f = opened
	if err == nil {
		p.flow.Store(f)
		p.source = source
	}
	close(cut)
	return f, err
}

// move makes the peer's flow one from another source, whose limits may keep
// it out. The caller holds p.mu.
func (e *Engine) move(p *peer, source netip.AddrPort) {
	f := p.flow.Swap(nil)
	if f == nil {
		return
	}
	f.Close() // or it would be one device more
	if _, err := e.admit(p, source); err != nil {
		p.past.cut()
		e.part(p)
		e.live.End(map[vpn.CredentialID]bool{p.credential: true})
	}
}

// A parter tells a device that the connections which it had are over.
type parter interface{ part(p *peer) }

// part has a device told, where that is not done by the end itself.
func (e *Engine) part(p *peer) {
	if c := e.way.Load(); c != nil {
		if d, ok := c.Device.(parter); ok {
			d.part(p)
		}
	}
}

// close ends the peer's flow, for good, and reports whether there was one.
func (p *peer) close() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	had := p.flow.Load() != nil
	p.rest()
	return had
}

// rest ends the peer's flow until it is heard of again. The caller holds p.mu.
func (p *peer) rest() {
	if f := p.flow.Swap(nil); f != nil {
		f.Close()
	}
}
