package wireguard

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// maxBegun is how many connections a device has begun when those of its past
// are forgotten: a phone's of some days.
const maxBegun = 4096

// A past is what a device that was cut had until then: connections that must
// not go on, though the device may be back at once. Over a TUN device nobody
// knows them; but those that began later are known by their beginnings, and
// all others are of the past. The zero past is none.
type past struct {
	over atomic.Bool // there is one

	mu    sync.Mutex
	begun map[connection]struct{} // since
}

// A connection is one of a device, which has one address of each version of IP.
type connection struct {
	port uint16 // of the device
	far  netip.AddrPort
}

// cut makes everything until now past.
func (p *past) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = map[connection]struct{}{}
	p.over.Store(true)
}

// has reports whether a connection is of the past, of which something comes
// that may be its beginning.
func (p *past) has(c connection, begins bool) bool {
	if !p.over.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, later := p.begun[c]; later || p.begun == nil {
		return false
	}
	if !begins {
		return true
	}
	p.begun[c] = struct{}{}
	if len(p.begun) == maxBegun {
		p.over.Store(false)
		p.begun = nil
	}
	return false
}
