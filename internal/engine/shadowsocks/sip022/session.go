package sip022

import (
	"crypto/cipher"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/vpn"
)

const (
	// idleSession is how long the socket of a silent session stays open: what
	// RFC 4787 asks of a NAT, at least.
	idleSession = 2 * time.Minute

	maxSessions        = 8192
	maxSessionsPerUser = 1024
)

// A sessionKey names a session. Its ID is the client's choice, so that it says
// something only beside whose it is.
type sessionKey struct {
	user *user
	id   sessionID
}

// A session is what a client's packets of one session ID belong to. It is
// remembered for longer than its packets are good for, so that none of them
// comes twice; while it is used it has a relay.
type session struct {
	key   sessionKey
	aead  cipher.AEAD // of the client's packets
	reply struct {
		id    sessionID
		aead  cipher.AEAD
		block cipher.Block
		sent  atomic.Uint64 // packets
	}

	mu    sync.Mutex
	seen  window
	heard time.Time      // from the client
	home  netip.AddrPort // where from, last
	via   *net.UDPConn   // and by which socket
	relay *relay         // nil: nothing lives
}

func newSession(u *user, id sessionID) *session {
	s := &session{key: sessionKey{u, id}, aead: newAEAD(sessionPurpose.subkey(u.key, id[:]))}
	return s
}

// begin prepares s for answers. That is put off until a packet has proved to
// be the user's.
func (s *session) begin() {
	_, _ = rand.Read(s.reply.id[:]) // never fails
	s.reply.aead = newAEAD(sessionPurpose.subkey(s.key.user.key, s.reply.id[:]))
	s.reply.block = newBlock(s.key.user.key)
}

// repeated reports whether a packet of that number can be dropped unopened.
func (s *session) repeated(number uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.seen.fresh(number)
}

// back returns where answers go.
func (s *session) back() (home netip.AddrPort, via *net.UDPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home, s.via
}

// sessions are all that are remembered.
type sessions struct {
	running sync.WaitGroup // one for each relay

	mu  sync.Mutex
	all map[sessionKey]*session
	by  map[*user]int
}

func newSessions() *sessions {
	return &sessions{all: map[sessionKey]*session{}, by: map[*user]int{}}
}

func (t *sessions) find(k sessionKey) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[k]
}

// add remembers s, unless there are too many; it returns the one that was
// there before, if there was.
func (t *sessions) add(s *session) (*session, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.all[s.key]; other != nil {
		return other, true
	}
	if len(t.all) >= maxSessions || t.by[s.key.user] >= maxSessionsPerUser {
		return nil, false
	}
	s.begin()
	t.all[s.key] = s
	t.by[s.key.user]++
	return s, true
}

// remove forgets s. The caller holds t.mu.
func (t *sessions) remove(s *session) {
	delete(t.all, s.key)
	if t.by[s.key.user]--; t.by[s.key.user] == 0 {
		delete(t.by, s.key.user)
	}
}

// forget drops the sessions of keys that are good for nothing any more. Their
// relays have been ended.
func (t *sessions) forget(gone map[vpn.CredentialID]bool) {
	if len(gone) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, s := range t.all {
		if gone[k.user.credential] {
			t.remove(s)
		}
	}
}

// sweep ends the relays that have been silent for a while, and forgets the
// sessions whose packets are too old to be repeated.
func (t *sessions) sweep(now time.Time, idle time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.all {
		s.mu.Lock()
		switch {
		case s.relay != nil:
			s.relay.expire(now, idle)
		case now.Sub(s.heard) > rememberFor:
			t.remove(s)
		}
		s.mu.Unlock()
	}
}
