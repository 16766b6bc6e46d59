package shadowsocks

import (
	"net/netip"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
)

const (
	// How many connections may be open whose client has not shown a key.
	maxStrangers          = 4096
	maxStrangersPerSource = 256

	// A source that comes without a key, again and again, is tried every key
	// so many times at once, and then as often as this. Without a limit some
	// dozens of connections a second would keep a processor busy.
	trialsAtOnce = 64
	trialPause   = 250 * time.Millisecond
	maxWaiting   = 16 // that wait for their turn

	maxSources = 4096 // that are remembered
)

// sources are the networks from which strangers come, and what they are
// allowed. Clients with a key that was last used from the same address are no
// strangers: for them only such keys are tried, which costs next to nothing.
type sources struct {
	mu        sync.Mutex
	strangers int
	by        map[netip.Prefix]*source
}

type source struct {
	strangers int
	waiting   int
	turn      time.Time // of the trial after those that were allowed
}

func newSources() *sources { return &sources{by: map[netip.Prefix]*source{}} }

// enter counts a connection of a stranger, unless there are too many.
func (s *sources) enter(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.of(from)
	if s.strangers >= maxStrangers || src.strangers >= maxStrangersPerSource {
		return false
	}
	s.strangers++
	src.strangers++
	return true
}

func (s *sources) leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers--
	s.of(from).strangers--
}

// trial asks whether all keys may be tried for a client. It may have to wait
// before that; then the caller must call waited.
func (s *sources) trial(from netip.Addr) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, now := s.of(from), time.Now()
	if begin := now.Add(-trialsAtOnce * trialPause); src.turn.Before(begin) {
		src.turn = begin
	}
	wait = src.turn.Add(trialPause).Sub(now)
	if wait > 0 {
		if src.waiting >= maxWaiting {
			return 0, false
		}
		src.waiting++
	}
	src.turn = src.turn.Add(trialPause)
	return max(wait, 0), true
}

func (s *sources) waited(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(from).waiting--
}

// forgive takes back a trial that found a key.
func (s *sources) forgive(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.of(from)
	src.turn = src.turn.Add(-trialPause)
}

// of returns what is known of the source of an address. The caller holds s.mu.
func (s *sources) of(a netip.Addr) *source {
	network := inbound.SourceNetwork(a)
	src := s.by[network]
	if src == nil {
		s.makeRoom()
		src = &source{}
		s.by[network] = src
	}
	return src
}

// makeRoom keeps the memory bounded: first those go that nothing is held
// against, then any but those that have something going on, of which there
// cannot be many.
func (s *sources) makeRoom() {
	if len(s.by) < maxSources {
		return
	}
	idle := time.Now().Add(-trialsAtOnce * trialPause)
	spare := maxSources / 8
	for n, src := range s.by {
		if src.strangers == 0 && src.waiting == 0 && src.turn.Before(idle) {
			delete(s.by, n)
			spare--
		}
	}
	for n, src := range s.by {
		if spare <= 0 {
			return
		}
		if src.strangers == 0 && src.waiting == 0 {
			delete(s.by, n)
			spare--
		}
	}
}
