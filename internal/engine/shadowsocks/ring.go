package shadowsocks

import (
	"container/list"
	"net/netip"
	"sync"

	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/vpn"
)

// A ring holds the keys of one port, in the order in which they are tried: for
// an address those that were last used from there, then the others, of each
// the latest first. It implements [service.CipherList]; that of the library
// can only be replaced as a whole.
type ring struct {
	mu   sync.Mutex
	all  *list.List // of *service.CipherEntry
	keys map[vpn.CredentialID]*ringed
	from map[netip.Addr]*list.List // of the elements of all that were last used there
}

type ringed struct {
	key  *key
	at   *list.Element // in all
	last netip.Addr    // where it was used,
	near *list.Element // in the list of there
}

var _ service.CipherList = (*ring)(nil)

func newRing() *ring {
	return &ring{all: list.New(), keys: map[vpn.CredentialID]*ringed{}, from: map[netip.Addr]*list.List{}}
}

// set makes keys those of the ring. What stays keeps its place.
func (r *ring) set(keys map[vpn.CredentialID]*key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, k := range r.keys {
		if keys[id] != k.key {
			r.all.Remove(k.at)
			r.forget(k)
			delete(r.keys, id)
		}
	}
	for id, k := range keys {
		if r.keys[id] == nil {
			r.keys[id] = &ringed{key: k, at: r.all.PushBack(&k.entry)}
		}
	}
}

// forget drops from where a key was used. The caller holds r.mu.
func (r *ring) forget(k *ringed) {
	if k.near == nil {
		return
	}
	here := r.from[k.last]
	if here.Remove(k.near); here.Len() == 0 {
		delete(r.from, k.last)
	}
	k.near = nil
}

// get returns the key of a credential, or nil.
func (r *ring) get(id vpn.CredentialID) *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.keys[id]; k != nil {
		return k.key
	}
	return nil
}

// SnapshotForClientIP implements [service.CipherList].
func (r *ring) SnapshotForClientIP(a netip.Addr) []*list.Element {
	a = a.Unmap()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.known(make([]*list.Element, 0, r.all.Len()), a, r.all.Len())
	some := len(out) > 0
	for e := r.all.Front(); e != nil; e = e.Next() {
		if some && r.keys[vpn.CredentialID(e.Value.(*service.CipherEntry).ID)].last == a {
			continue
		}
		out = append(out, e)
	}
	return out
}

// known appends the keys that were last used from an address, but no more than
// most. The caller holds r.mu.
func (r *ring) known(out []*list.Element, a netip.Addr, most int) []*list.Element {
	here := r.from[a]
	if here == nil {
		return out
	}
	for e := here.Front(); e != nil && len(out) < most; e = e.Next() {
		out = append(out, e.Value.(*list.Element))
	}
	return out
}

// MarkUsedByClientIP implements [service.CipherList].
func (r *ring) MarkUsedByClientIP(e *list.Element, a netip.Addr) {
	a = a.Unmap()
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.keys[vpn.CredentialID(e.Value.(*service.CipherEntry).ID)]
	if k == nil || k.at != e {
		return // it was taken away meanwhile
	}
	r.all.MoveToFront(e)
	if k.near != nil && k.last == a {
		r.from[a].MoveToFront(k.near)
		return
	}
	r.forget(k)
	if r.from[a] == nil {
		r.from[a] = list.New()
	}
	k.last, k.near = a, r.from[a].PushFront(e)
}

// Update implements [service.CipherList], and is not called: see set.
func (r *ring) Update(*list.List) {}

// knownKeys are the keys of a ring that an address has used.
type knownKeys struct{ *ring }

// maxKnown is how many of them are tried.
const maxKnown = 64

// SnapshotForClientIP implements [service.CipherList].
func (k knownKeys) SnapshotForClientIP(a netip.Addr) []*list.Element {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ring.known(nil, a.Unmap(), maxKnown)
}
