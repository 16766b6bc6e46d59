package meter

import (
	"context"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"vpn/internal/vpn"
)

// world is a meter under random use, and what is true of it.
type world struct {
	m       *Meter
	grants  map[vpn.CredentialID]vpn.Grant
	flows   []*Flow
	truth   map[vpn.CredentialID]vpn.Traffic
	ceiling map[vpn.UserID]uint64

	// A ledger that adds up differences, as the control plane's does.
	seq    uint64
	last   map[vpn.CredentialID]vpn.Traffic
	ledger map[vpn.CredentialID]vpn.Traffic
}

var owners = map[vpn.CredentialID]vpn.UserID{"a1": "a", "a2": "a", "b1": "b", "b2": "b"}

func (w *world) used(u vpn.UserID) (n uint64) {
	for c, owner := range owners {
		if owner == u {
			n += w.truth[c].Total()
		}
	}
	return n
}

func (w *world) add(f *Flow, t vpn.Traffic) {
	c := f.credential.id
	w.truth[c] = w.truth[c].Add(t)
}

// room is what the model says may still pass.
func (w *world) room(f *Flow) uint64 {
	u := owners[f.credential.id]
	if !w.grants[f.credential.id].Capped {
		return vpn.MaxTraffic
	}
	return w.ceiling[u] - min(w.used(u), w.ceiling[u])
}

func (w *world) read(t *rapid.T) {
	got := w.m.Usage(w.seq)
	for _, n := range got.Counters {
		w.ledger[n.Credential] = w.ledger[n.Credential].Add(n.Since(w.last[n.Credential]))
		w.last[n.Credential] = n.Traffic
	}
	w.seq = got.Seq
	for c, want := range w.truth {
		if w.ledger[c] != want {
			t.Fatalf("the ledger has %v of %s, moved were %v", w.ledger[c], c, want)
		}
	}
}

// actions is what may happen, by name.
func (w *world) actions() map[string]func(*rapid.T) {
	flow := func(t *rapid.T) *Flow {
		if len(w.flows) == 0 {
			t.Skip("no flow")
		}
		return rapid.SampledFrom(w.flows).Draw(t, "flow")
	}
	return map[string]func(*rapid.T){
		"open": func(t *rapid.T) {
			c := rapid.SampledFrom([]vpn.CredentialID{"a1", "a2", "b1", "b2"}).Draw(t, "credential")
			if f, err := w.m.Open(c, netip.AddrPort{}, "tcp", nil); err == nil {
				w.flows = append(w.flows, f)
			} else if g, ok := w.grants[c]; ok && !g.Capped {
				t.Fatalf("open: %v", err)
			}
		},
		"wait": func(t *rapid.T) {
			f, n := flow(t), rapid.IntRange(0, 300).Draw(t, "bytes")
			room := w.room(f)
			got, err := f.Wait(context.Background(), Up, n)
			if err == nil && uint64(got) != min(uint64(n), room) {
				t.Fatalf("%d of %d passed, the ceiling left %d", got, n, room)
			}
			w.add(f, vpn.Traffic{Up: uint64(got)})
		},
		"take": func(t *rapid.T) {
			f, n := flow(t), rapid.IntRange(0, 300).Draw(t, "bytes")
			room := w.room(f)
			if f.Take(Down, n) {
				if uint64(n) > room {
					t.Fatalf("%d passed, the ceiling left %d", n, room)
				}
				w.add(f, vpn.Traffic{Down: uint64(n)})
			}
		},
		"close": func(t *rapid.T) {
			i := rapid.IntRange(0, max(len(w.flows), 1)-1).Draw(t, "i")
			if len(w.flows) == 0 {
				t.Skip("no flow")
			}
			w.flows[i].Close()
			w.flows = append(w.flows[:i], w.flows[i+1:]...)
		},
		"grants": func(t *rapid.T) {
			var all []vpn.Grant
			w.grants = map[vpn.CredentialID]vpn.Grant{}
			caps := map[vpn.UserID]bool{"a": rapid.Bool().Draw(t, "cap a"), "b": rapid.Bool().Draw(t, "cap b")}
			for _, c := range []vpn.CredentialID{"a1", "a2", "b1", "b2"} {
				if rapid.Bool().Draw(t, string(c)) {
					g := vpn.Grant{Credential: c, User: owners[c], Capped: caps[owners[c]]}
					w.grants[c] = g
					all = append(all, g)
				}
			}
			w.m.Set(all)
		},
		"ceiling": func(t *rapid.T) {
			u := rapid.SampledFrom([]vpn.UserID{"a", "b"}).Draw(t, "user")
			w.ceiling[u] = rapid.Uint64Range(0, 2000).Draw(t, "bytes")
			got, err := w.m.SetCeilings(epoch, []vpn.Ceiling{{User: u, Bytes: w.ceiling[u]}})
			if err != nil {
				t.Fatal(err)
			}
			var told uint64
			for _, n := range got {
				told += n.Total()
			}
			if told != w.used(u) {
				t.Fatalf("SetCeilings told %d, used were %d", told, w.used(u))
			}
		},
		"read":          w.read,
		"another reads": func(*rapid.T) { w.m.Usage(0) },
		"":              func(*rapid.T) {},
	}
}

// Whatever happens, in whatever order: a ledger that adds up what Usage tells
// has every byte once, and no more passes than the ceilings say.
func TestLedgerIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			m:       New(Options{Epoch: epoch}),
			grants:  map[vpn.CredentialID]vpn.Grant{},
			truth:   map[vpn.CredentialID]vpn.Traffic{},
			ceiling: map[vpn.UserID]uint64{},
			last:    map[vpn.CredentialID]vpn.Traffic{},
			ledger:  map[vpn.CredentialID]vpn.Traffic{},
		}
		defer w.m.Close()
		t.Repeat(w.actions())
		for _, f := range w.flows {
			f.Close()
		}
		w.read(t)
	})
}
