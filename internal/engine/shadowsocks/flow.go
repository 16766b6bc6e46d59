package shadowsocks

import (
	"net/netip"
	"sync"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// A flow is what one client does on a user's account, until it is closed.
type flow struct {
	*meter.Flow
	leave func()
	once  sync.Once
}

// open begins a flow of the holder of a key. When it has to end, end is
// called, once.
func (s *aead) open(k *key, source netip.AddrPort, network string, end func()) (*flow, error) {
	end = sync.OnceFunc(end)
	leave, ok := s.live.Enter(k.credential, end)
	if !ok {
		return nil, vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	f := &flow{leave: leave}
	var err error
	// The key may have been taken away since it was found. From here on the
	// registry would tell.
	if !s.users.Load().has(k) {
		err = vpn.Errorf(vpn.Denied, "the password has been changed")
	} else {
		f.Flow, err = s.meter.Open(k.credential, source, network, func(error) { end() })
	}
	if err != nil {
		leave()
		return nil, err
	}
	return f, nil
}

func (f *flow) close() {
	f.once.Do(func() {
		f.Flow.Close()
		f.leave()
	})
}
