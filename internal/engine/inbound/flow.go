package inbound

import (
	"net/netip"
	"sync"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// A Flow is what one client does on a user's account, until it is closed.
type Flow struct {
	*meter.Flow
	leave func()
	once  sync.Once
}

// Open begins a flow of the holder of a credential. When it has to end, end is
// called, once; it must not block, and may be called before Open returns.
//
// current reports whether what the client has shown to get here still counts.
// It is asked once the registry would tell of a change: none is missed between
// the look at a password or key and the flow.
func (r *Registry) Open(m *meter.Meter, c vpn.CredentialID, source netip.AddrPort, network string, current func() bool, end func()) (*Flow, error) {
	end = sync.OnceFunc(end)
	leave, ok := r.Enter(c, end)
	if !ok {
		return nil, vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	if !current() {
		leave()
		return nil, vpn.Errorf(vpn.Denied, "the key has been changed")
	}
	f, err := m.Open(c, source, network, func(error) { end() })
	if err != nil {
		leave()
		return nil, err
	}
	return &Flow{Flow: f, leave: leave}, nil
}

// Close ends the flow; it may be called more than once.
func (f *Flow) Close() {
	f.once.Do(func() {
		f.Flow.Close()
		f.leave()
	})
}
