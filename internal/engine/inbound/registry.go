package inbound

import (
	"runtime/debug"
	"sync"

	"vpn/internal/vpn"
)

// A Registry knows everything that lives in an engine, connections of
// strangers and flows of users alike, and how to end it. Its methods may be called concurrently.
type Registry struct {
	memory  reclaimer
	running sync.WaitGroup // one for each entry

	mu      sync.Mutex
	closed  bool
	entries map[*entry]struct{}
}

type entry struct {
	credential vpn.CredentialID // empty: not known yet
	end        func()           // must not block
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{memory: reclaimer{free: debug.FreeOSMemory}, entries: map[*entry]struct{}{}}
}

// Enter adds something that end ends; c is empty while nobody knows whose it is.
// end must not block. The caller calls leave when it has
// ended. Nothing enters a closed registry.
func (r *Registry) Enter(c vpn.CredentialID, end func()) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	en := &entry{c, end}
	r.entries[en] = struct{}{}
	r.running.Add(1)
	r.memory.grown(len(r.entries))
	return func() {
		r.mu.Lock()
		delete(r.entries, en)
		r.memory.shrunk(len(r.entries))
		r.mu.Unlock()
		r.running.Done()
	}, true
}

// End ends what belongs to the credentials.
func (r *Registry) End(credentials map[vpn.CredentialID]bool) {
	if len(credentials) == 0 {
		return
	}
	for _, en := range r.list() {
		if credentials[en.credential] {
			en.end()
		}
	}
}

// Close ends everything, and waits until it has left.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, en := range r.list() {
		en.end()
	}
	r.running.Wait()
	r.memory.stop()
}

func (r *Registry) list() []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := make([]*entry, 0, len(r.entries))
	for en := range r.entries {
		l = append(l, en)
	}
	return l
}
