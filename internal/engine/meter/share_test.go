package meter

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// moves says how much a user moves down in two seconds, after the burst.
func moves(t *testing.T, x *conn) int64 {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var moved atomic.Int64
	go pump(ctx, x, Down, 16<<10, &moved)
	elapse(time.Second)
	before := moved.Load()
	elapse(2 * time.Second)
	return moved.Load() - before
}

// A worker uses its part of a rate: an even one until it is told another, all
// when there is no other worker. The parts follow the rate.
func TestShareOfARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(0, 900_000)))
		x := dial(t, m, "c", "203.0.113.1")
		within(t, "alone", moves(t, x), 1_800_000, 0.05)
		m.Allotments().SetShares(3, nil, nil)
		within(t, "one of three", moves(t, x), 600_000, 0.05)
		m.Allotments().SetShares(3, []vpn.Share{{User: "u", Up: 1, Down: vpn.Whole / 2}}, nil)
		within(t, "with a share", moves(t, x), 900_000, 0.05)
		m.Set([]vpn.Grant{grant("c", "u", rates(0, 1_800_000))})
		within(t, "with a share of twice as much", moves(t, x), 1_800_000, 0.05)
		m.Allotments().SetShares(3, nil, []vpn.UserID{"u", "nobody"})
		within(t, "even again", moves(t, x), 1_200_000, 0.05)
		m.Allotments().SetShares(1, nil, nil)
		within(t, "alone again", moves(t, x), 3_600_000, 0.05)
		m.Allotments().SetShares(2, []vpn.Share{{User: "u"}}, nil)
		x.move(t, Down, 1) // a share of nothing is slow, and not without a limit
		m.Set([]vpn.Grant{grant("c", "u")})
		begin := time.Now()
		x.move(t, Down, 1<<30)
		if d := time.Since(begin); d != 0 {
			t.Errorf("without a limit there is nothing to share: it took %v", d)
		}
	})
}

// A share may be told before the grant, as a new worker is.
func TestAShareComesBeforeItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t)
		m.Allotments().SetShares(2, []vpn.Share{{User: "u", Up: 10, Down: vpn.Whole / 10}}, nil)
		m.Set([]vpn.Grant{grant("c", "u", rates(0, 1_000_000))})
		within(t, "with a share", moves(t, dial(t, m, "c", "203.0.113.1")), 200_000, 0.05)
		if workers, shares := m.Allotments().Shares(); workers != 2 || len(shares) != 1 || shares[0].User != "u" || shares[0].Down != vpn.Whole/10 {
			t.Errorf("it holds %d, %+v", workers, shares)
		}
	})
}

func demand(t *testing.T, m *Meter, u vpn.UserID) vpn.Demand {
	t.Helper()
	for _, d := range m.Usage(0).Demands {
		if d.User == u {
			return d
		}
	}
	t.Fatalf("nothing is told of %s", u)
	return vpn.Demand{}
}

// How long a user waited says whether the rate is what holds it up: streams
// and datagrams alike.
func TestDemandTellsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(500_000, 1_000_000)), grant("d", "v"))
		x := dial(t, m, "c", "203.0.113.1")
		dial(t, m, "d", "203.0.113.2")
		if d := m.Usage(0).Demands; d != nil {
			t.Fatalf("alone, it tells %+v", d)
		}
		m.Allotments().SetShares(2, nil, nil)
		if d := m.Usage(0).Demands; len(d) != 1 {
			t.Fatalf("of users without shared limits, too: %+v", d)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		// Half of what the worker's part allows: nobody waits.
		for range 100 {
			if n, err := x.Wait(ctx, Down, 2500); n != 2500 || err != nil {
				t.Fatal(n, err)
			}
			elapse(10 * time.Millisecond)
		}
		if d := demand(t, m, "u"); d.WaitDown > 50 || d.Down != 250_000 || d.RateDown != 1_000_000 || d.RateUp != 500_000 || d.Conns != 1 {
			t.Errorf("at half its part: %+v", d)
		}
		before := demand(t, m, "u")
		var moved atomic.Int64
		for range 4 {
			go pump(ctx, x, Down, 16<<10, &moved)
		}
		elapse(2 * time.Second)
		if d := demand(t, m, "u"); d.WaitDown-before.WaitDown < 1500 || d.WaitDown-before.WaitDown > 2000 || d.WaitUp != 0 {
			t.Errorf("of 2 s at its part it waited %d ms down and %d ms up", d.WaitDown-before.WaitDown, d.WaitUp)
		}
		for range 2000 { // 1.4 MB/s where 250 kB/s pass
			x.Take(Up, 1400)
			elapse(time.Millisecond)
		}
		if d := demand(t, m, "u"); d.WaitUp < 1000 {
			t.Errorf("datagrams were dropped for 2 s and waited %d ms", d.WaitUp)
		}
		x.Close()
		if d := m.Usage(0).Demands; len(d) != 0 {
			t.Errorf("nobody is live, and it tells %+v", d)
		}
	})
}

func elsewhere(conns int, networks ...string) []vpn.Share {
	s := vpn.Share{User: "u", Up: 1, Down: 1, Connections: conns}
	for _, n := range networks {
		s.Networks = append(s.Networks, netip.MustParsePrefix(n))
	}
	return []vpn.Share{s}
}

// Devices on other workers take up room; those that are there as well take
// none, and of too many the one that came last has to go, with all its flows:
// not the one whose flows are young.
func TestDevicesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", devices(2)))
		m.Allotments().SetShares(3, elsewhere(0, "203.0.113.9/32"), nil)
		first := dial(t, m, "c", "203.0.113.1")
		if _, err := tryDial(t, m, "c", "203.0.113.2"); !errors.Is(err, errDevices) {
			t.Errorf("a third device: %v", err)
		}
		known := dial(t, m, "c", "203.0.113.9")
		known.Close()
		m.Allotments().SetShares(3, elsewhere(0), nil)
		old := first
		elapse(time.Second)
		second := dial(t, m, "c", "2001:db8::1")
		elapse(time.Second)
		first = dial(t, m, "c", "203.0.113.1") // the same device, a younger flow
		old.Close()
		if d := demand(t, m, "u"); len(d.Networks) != 2 || d.Devices != 2 {
			t.Fatalf("it tells %+v", d)
		}
		for _, n := range demand(t, m, "u").Networks {
			want := map[bool]time.Duration{true: 2 * time.Second, false: time.Second}[n.Network.Addr().Is4()]
			if age := time.Since(time.UnixMilli(n.Since)); age != want {
				t.Errorf("network %v is %v old, want %v", n.Network, age, want)
			}
		}
		more := dial(t, m, "c", "2001:db8::2")
		m.Allotments().SetShares(3, elsewhere(0, "203.0.113.9/32"), nil)
		first.mustLive(t)
		second.mustEnd(t, errDevices)
		more.mustEnd(t, errDevices)
		m.Allotments().SetShares(3, elsewhere(0, "203.0.113.9/32", "203.0.113.8/32"), nil)
		first.mustEnd(t, errDevices)
		m.Allotments().SetShares(1, nil, nil) // no other worker: what is said of them counts no more
		dial(t, m, "c", "203.0.113.1")
		dial(t, m, "c", "203.0.113.2")
	})
}

// Connections on other workers take up room, and of too many the newest go.
func TestConnectionsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", connections(4)))
		m.Allotments().SetShares(2, elsewhere(2), nil)
		first, second := dial(t, m, "c", "203.0.113.1"), dial(t, m, "c", "203.0.113.1")
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errConnections) {
			t.Errorf("a fifth connection: %v", err)
		}
		m.Allotments().SetShares(2, elsewhere(3), nil)
		first.mustLive(t)
		second.mustEnd(t, errConnections)
		m.Allotments().SetShares(2, elsewhere(1), nil)
		second = dial(t, m, "c", "203.0.113.1")
		third := dial(t, m, "c", "203.0.113.1")
		m.Set([]vpn.Grant{grant("c", "u", connections(3))})
		first.mustLive(t)
		second.mustLive(t)
		third.mustEnd(t, errConnections)
	})
}

// Whoever runs into a ceiling is told of for a while, so that a worker which
// has none of the last bytes gets them.
func TestDemandTellsWhoIsDry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", capped))
		m.Allotments().SetShares(2, nil, nil)
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errCeiling) {
			t.Fatal(err)
		}
		if d := demand(t, m, "u"); !d.Dry {
			t.Errorf("after a refusal it tells %+v", d)
		}
		elapse(dryTime)
		if d := m.Usage(0).Demands; len(d) != 0 {
			t.Errorf("long after it tells %+v", d)
		}
		setCeiling(t, m, "u", 10)
		x := dial(t, m, "c", "203.0.113.1")
		if d := m.Usage(0).Demands; len(d) != 0 {
			t.Errorf("with room it tells %+v", d)
		}
		x.move(t, Up, 10)
		if d := demand(t, m, "u"); !d.Dry {
			t.Errorf("after the last byte it tells %+v", d)
		}
	})
}

// What was allotted, and what of it was used by credentials that are gone, is
// told to whoever takes over.
func TestHoldingsAreTold(t *testing.T) {
	m := newMeter(t, grant("old", "u", capped), grant("new", "u", capped), grant("d", "v"))
	setCeiling(t, m, "u", 1000)
	dial(t, m, "old", "203.0.113.1").move(t, Up, 300)
	m.Set([]vpn.Grant{grant("new", "u", capped), grant("d", "v")})
	m.Usage(m.Usage(0).Seq) // acknowledged: it is not in the usage any more
	if c := m.Allotments().Ceilings(); len(c) != 1 || c[0] != (vpn.Ceiling{User: "u", Bytes: 1000}) {
		t.Errorf("ceilings are %+v", c)
	}
	if r := m.Allotments().Retired(); len(r) != 1 || r[0].Credential != "old" || r[0].Up != 300 {
		t.Errorf("retired are %+v", r)
	}
}
