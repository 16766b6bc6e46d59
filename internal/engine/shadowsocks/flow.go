package shadowsocks

import (
	"net/netip"

	"vpn/internal/engine/inbound"
)

// open begins a flow of the holder of a key. When it has to end, end is
// called, once.
func (s *aead) open(k *key, source netip.AddrPort, network string, end func()) (*inbound.Flow, error) {
	current := func() bool { return s.users.Load().has(k) }
	return s.live.Open(s.meter, k.credential, source, network, current, end)
}
