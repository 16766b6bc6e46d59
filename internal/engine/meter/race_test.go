package meter

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// Everything at once: every byte that passed is counted once, every flow is
// cut at most once, and nothing is left behind.
func TestEverythingAtOnce(t *testing.T) {
	all := []vpn.Grant{
		grant("a1", "a"), grant("a2", "a"),
		grant("b1", "b", capped, rates(1<<30, 1<<30)), grant("b2", "b", capped, rates(1<<30, 1<<30)),
		grant("c1", "c", devices(2), connections(5)),
	}
	m := newMeter(t, all...)
	setCeiling(t, m, "b", 1<<50)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	var passed atomic.Uint64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				live(ctx, t, m, all[(i+rand.IntN(2))%len(all)].Credential, &passed)
			}
		})
	}
	disturb := []func(){
		func() { m.Kick("a") },
		func() { m.Set(all[1:]) },
		func() { m.Set(all) },
		func() { m.Usage(0) },
		func() { m.Usage(m.Usage(0).Seq) },
		func() { m.Sessions() },
		func() {
			m.Usage(0)
			m.Allotments().Shares()
			m.Allotments().Ceilings()
			m.Allotments().Retired()
		},
		func() {
			m.Allotments().SetShares(rand.IntN(4), []vpn.Share{{User: "b", Up: vpn.Whole, Down: rand.IntN(vpn.Whole)}, {User: "c", Connections: rand.IntN(4)}}, []vpn.UserID{"a"})
		},
		func() { _, _ = m.SetCeilings(epoch, []vpn.Ceiling{{User: "b", Bytes: rand.Uint64N(1 << 30)}}) },
	}
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				disturb[rand.IntN(len(disturb))]()
			}
		})
	}
	wg.Wait()
	m.Set(all) // those that are retired come back, with their counts
	var counted uint64
	for _, n := range m.Usage(0).Counters {
		counted += n.Total()
		if n.Conns != 0 {
			t.Errorf("%s still has %d flows", n.Credential, n.Conns)
		}
	}
	if counted != passed.Load() || counted == 0 {
		t.Errorf("%d bytes passed, %d were counted", passed.Load(), counted)
	}
	if m.Conns() != 0 || len(m.Sessions()) != 0 {
		t.Errorf("left behind: %d flows", m.Conns())
	}
	for _, u := range m.users {
		if len(u.flows) != 0 || len(u.networks) != 0 {
			t.Errorf("user %s still has %d flows from %d networks", u.id, len(u.flows), len(u.networks))
		}
	}
}

// live is one flow from its beginning to its end.
func live(ctx context.Context, t *testing.T, m *Meter, c vpn.CredentialID, passed *atomic.Uint64) {
	var cuts atomic.Int32
	source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(rand.IntN(4))}), 1)
	f, err := m.Open(c, source, "tcp", func(error) {
		if cuts.Add(1) > 1 {
			t.Error("cut twice")
		}
	})
	if err != nil {
		return
	}
	defer f.Close()
	for range rand.IntN(100) {
		n, err := f.Wait(ctx, Up, 1+rand.IntN(5000))
		passed.Add(uint64(n))
		if f.Take(Down, 1400) {
			passed.Add(1400)
		}
		if err != nil {
			return
		}
	}
}
