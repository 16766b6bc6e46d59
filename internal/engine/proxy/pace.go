package proxy

import (
	"net/netip"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// maxPaced is how many users and sources are remembered.
const maxPaced = 16384

// pace holds users, and source networks, to a rate of requests. Each may make
// a period's worth at once.
type pace struct {
	mu    sync.Mutex
	rate  proxy.Rate
	fresh map[any]time.Time // by user or network: when it has its full worth again
}

func newPace() *pace { return &pace{fresh: map[any]time.Time{}} }

func (p *pace) set(r proxy.Rate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r != p.rate {
		p.rate = r
		clear(p.fresh)
	}
}

// allow counts a request, unless it is one too many: then it says how long to
// wait. A request that is refused counts for neither.
func (p *pace) allow(u vpn.UserID, from netip.Addr) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate.Requests == 0 {
		return 0, true
	}
	now := time.Now()
	if len(p.fresh) >= maxPaced {
		p.forget(now)
	}
	step := p.rate.Per / time.Duration(p.rate.Requests)
	keys := [2]any{u, inbound.SourceNetwork(from)}
	var due [2]time.Time
	for i, key := range keys {
		due[i] = p.fresh[key]
		if due[i].Before(now) {
			due[i] = now
		}
		due[i] = due[i].Add(step)
		if late := due[i].Sub(now) - p.rate.Per; late > 0 {
			wait = max(wait, late)
		}
	}
	if wait > 0 {
		return wait, false
	}
	for i, key := range keys {
		p.fresh[key] = due[i]
	}
	return 0, true
}

// forget drops those who have their full worth, and everybody if that is not
// enough. The caller holds p.mu.
func (p *pace) forget(now time.Time) {
	for key, at := range p.fresh {
		if !at.After(now) {
			delete(p.fresh, key)
		}
	}
	if len(p.fresh) >= maxPaced {
		clear(p.fresh)
	}
}
