package sip022

import (
	"sync"
	"time"

	"vpn/internal/vpn"
)

const (
	// rememberFor is how long a salt, and the packet numbers of a session, are
	// remembered at least: the 60 s of SIP022, twice maxSkew, and the part of
	// a second that timestamps do not show.
	rememberFor = 2*maxSkew + time.Second

	maxSalts        = 1 << 18 // in rememberFor; each takes some 40 bytes
	maxSaltsPerUser = 1 << 15
)

// A salt is one of maxKeySize bytes, or a shorter one with zeros behind it.
type salt [maxKeySize]byte

// salts are those of the requests that came lately. None comes twice. They are
// kept exactly, in two halves that take turns: one is filled, the other kept
// until the first has been filled for long enough.
type salts struct {
	mu    sync.Mutex
	new   map[salt]struct{}
	old   map[salt]struct{}
	by    map[vpn.CredentialID]int // how many are new
	since time.Time                // that new is filled
}

// add remembers the salt of a request that has proved to be a user's. It
// reports false if it was there before, and if there are too many to remember:
// then the request may be a repetition.
func (p *salts) add(c vpn.CredentialID, s salt, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	if _, again := p.new[s]; again {
		return false
	}
	if _, again := p.old[s]; again {
		return false
	}
	if len(p.new) >= maxSalts || p.by[c] >= maxSaltsPerUser {
		return false
	}
	if p.new == nil {
		p.new, p.by = map[salt]struct{}{}, map[vpn.CredentialID]int{}
	}
	p.new[s] = struct{}{}
	p.by[c]++
	return true
}

// sweep lets go of what need not be remembered any more.
func (p *salts) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
}

func (p *salts) turn(now time.Time) {
	if p.since.IsZero() {
		p.since = now
	}
	if now.Sub(p.since) < rememberFor {
		return
	}
	p.old, p.new, p.by = p.new, nil, nil
	p.since = now
}
