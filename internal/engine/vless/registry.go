package vless

import (
	"runtime/debug"
	"sync"

	"vpn/internal/vpn"
)

// A registry knows everything that lives in an engine, connections of
// strangers and flows of users alike, and how to end it.
type registry struct {
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

func newRegistry() *registry {
	return &registry{memory: reclaimer{free: debug.FreeOSMemory}, entries: map[*entry]struct{}{}}
}

// enter adds something that end ends. The caller calls leave when it has
// ended. Nothing enters a closed registry.
func (r *registry) enter(c vpn.CredentialID, end func()) (leave func(), ok bool) {
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

// end ends what belongs to the credentials.
func (r *registry) end(credentials map[vpn.CredentialID]bool) {
	if len(credentials) == 0 {
		return
	}
	for _, en := range r.list() {
		if credentials[en.credential] {
			en.end()
		}
	}
}

// close ends everything, and waits until it has left.
func (r *registry) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, en := range r.list() {
		en.end()
	}
	r.running.Wait()
	r.memory.stop()
}

func (r *registry) list() []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := make([]*entry, 0, len(r.entries))
	for en := range r.entries {
		l = append(l, en)
	}
	return l
}
