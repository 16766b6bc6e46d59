package proxy

import (
	"net/netip"
	"sync"

	"vpn/internal/engine/inbound"
)

// How many connections may be open whose client has not shown who it is. A
// browser opens some dozens ahead of need.
const (
	maxStrangers          = 4096
	maxStrangersPerSource = 512
)

// strangers are the connections of those who have not shown who they are.
// Each costs memory, and the machine may be small.
type strangers struct {
	mu    sync.Mutex
	total int
	by    map[netip.Prefix]int
}

func newStrangers() *strangers { return &strangers{by: map[netip.Prefix]int{}} }

// enter counts one, unless there are too many.
func (s *strangers) enter(from netip.Addr) bool {
	network := inbound.SourceNetwork(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= maxStrangers || s.by[network] >= maxStrangersPerSource {
		return false
	}
	s.total++
	s.by[network]++
	return true
}

func (s *strangers) leave(from netip.Addr) {
	network := inbound.SourceNetwork(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.by[network]--; s.by[network] == 0 {
		delete(s.by, network)
	}
}
