package proxy

import (
	"net/netip"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/vpn"
)

const (
	firstPause  = 250 * time.Millisecond // after a wrong password; it doubles
	longPause   = 8 * time.Second
	forgiven    = 10 * time.Minute // without another one
	maxGuessers = 4096             // sources that are remembered
	maxRegulars = 4096             // and those who gave a right password
	maxWaiting  = 8                // attempts of one source that wait for their turn
)

// patience is what slows those down who guess passwords. After a wrong one,
// all attempts of its source take turns, further and further apart; whoever
// gave a right one from there before is spared, and so a guesser, or a device
// with an old password, does not lock out the neighbours behind one address.
type patience struct {
	over  chan struct{} // closed: nobody waits any more
	first time.Duration // pause

	mu       sync.Mutex
	guessers map[netip.Prefix]*guesser
	regulars map[regular]struct{}
}

type guesser struct {
	failures int
	waiting  int
	turn     time.Time // of the attempt after those that wait
	last     time.Time // failure
}

// A regular has given a right password from a source.
type regular struct {
	source     netip.Prefix
	credential vpn.CredentialID
}

func newPatience() *patience {
	return &patience{over: make(chan struct{}), first: firstPause, guessers: map[netip.Prefix]*guesser{}, regulars: map[regular]struct{}{}}
}

// judge returns a if it is not nil, once it is its turn. It returns nil for a
// password that is wrong, not before that takes effect, and for more attempts
// than there is patience for.
func (p *patience) judge(source netip.Addr, a *account) *account {
	network := inbound.SourceNetwork(source)
	pause, ok := p.queue(network, a)
	if !ok {
		return nil
	}
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.over:
			a = nil
		}
		p.waited(network)
	}
	return a
}

// queue says how long an attempt has to wait.
func (p *patience) queue(network netip.Prefix, a *account) (pause time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	g := p.guessers[network]
	if g != nil && g.waiting == 0 && now.Sub(g.last) > forgiven {
		delete(p.guessers, network)
		g = nil
	}
	switch {
	case a != nil && (g == nil || p.isRegular(network, a)):
		p.welcome(network, a)
		return 0, true
	case g == nil:
		p.makeRoom(now)
		g = &guesser{turn: now}
		p.guessers[network] = g
	case g.waiting >= maxWaiting:
		return 0, false
	}
	if a == nil {
		g.failures++
		g.last = now
	} else {
		p.welcome(network, a)
	}
	step := min(p.first<<min(g.failures-1, 10), longPause)
	if g.turn.Before(now) {
		g.turn = now
	}
	g.turn = g.turn.Add(step)
	g.waiting++
	return g.turn.Sub(now), true
}

func (p *patience) isRegular(source netip.Prefix, a *account) bool {
	_, is := p.regulars[regular{source, a.credential}]
	return is
}

// welcome remembers who gave a right password. The caller holds p.mu.
func (p *patience) welcome(source netip.Prefix, a *account) {
	r := regular{source, a.credential}
	if _, is := p.regulars[r]; is {
		return
	}
	spare := 0
	if len(p.regulars) >= maxRegulars {
		spare = maxRegulars / 8
	}
	for old := range p.regulars { // anybody: to be forgotten costs one turn, while somebody guesses
		if spare == 0 {
			break
		}
		delete(p.regulars, old)
		spare--
	}
	p.regulars[r] = struct{}{}
}

func (p *patience) waited(network netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guessers[network]; g != nil {
		g.waiting--
	}
}

// makeRoom keeps the memory bounded. The caller holds p.mu.
func (p *patience) makeRoom(now time.Time) {
	if len(p.guessers) < maxGuessers {
		return
	}
	spare := maxGuessers / 8
	for n, g := range p.guessers {
		if g.waiting == 0 && now.Sub(g.last) > forgiven {
			delete(p.guessers, n)
			spare--
		}
	}
	for n := range p.guessers { // anybody, lest a guesser with many addresses picks whom
		if spare <= 0 {
			return
		}
		delete(p.guessers, n)
		spare--
	}
}
