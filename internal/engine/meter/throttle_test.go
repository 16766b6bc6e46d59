package meter

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

func throttle(rate uint64) func(*vpn.Grant) {
	return func(g *vpn.Grant) { g.Capped, g.Throttle = true, rate }
}

// Beyond the ceiling bytes pass at the throttle, both ways and all flows
// together, and no connection ends.
func TestThrottleBeyondTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1_000_000
		m := newMeter(t, grant("c1", "u", throttle(rate)), grant("c2", "u", throttle(rate)), grant("d", "v"))
		setCeiling(t, m, "u", 100)
		a, b := dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.2")
		a.move(t, Up, 60)
		if n, err := b.Wait(t.Context(), Down, 64<<10); n != 40 || err != nil {
			t.Errorf("Wait = %d, %v; want the last 40", n, err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		var moved atomic.Int64
		for _, x := range []*conn{a, b, dial(t, m, "c1", "203.0.113.3")} {
			go pump(ctx, x, Up, 16<<10, &moved)
			go pump(ctx, x, Down, 16<<10, &moved)
		}
		<-ctx.Done()
		synctest.Wait()
		within(t, "all flows", moved.Load()-minBurst, 10*rate, 0.01)
		a.mustLive(t)
		b.mustLive(t)
		if got := count(m, "c1").Add(count(m, "c2")).Total(); got != uint64(moved.Load())+100 {
			t.Errorf("%d bytes were counted of %d", got, moved.Load()+100)
		}
	})
}

// Whoever waits in the throttle goes on at once when more is granted, and is
// cut when there is no throttle any more.
func TestThrottleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", throttle(1000))) // a part of the burst takes 16 s
		setCeiling(t, m, "u", 10)
		x := dial(t, m, "c", "203.0.113.1")
		var moved atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		go pump(ctx, x, Down, 16<<10, &moved)
		elapse(time.Minute)
		before := moved.Load()
		setCeiling(t, m, "u", 10_000_000)
		elapse(100 * time.Millisecond)
		if moved.Load() < before+1_000_000 {
			t.Errorf("only %d bytes have passed since more was granted", moved.Load()-before)
		}
		stop()
		synctest.Wait()
		x.mustLive(t)

		setCeiling(t, m, "u", 0)
		x.mustLive(t)
		m.Set([]vpn.Grant{grant("c", "u", capped)})
		x.mustEnd(t, errCeiling)
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errCeiling) {
			t.Errorf("Open beyond the ceiling: %v", err)
		}
		m.Set([]vpn.Grant{grant("c", "u", throttle(1000))})
		dial(t, m, "c", "203.0.113.1").mustLive(t)
	})
}

func TestThrottleOfDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 100_000
		m := newMeter(t, grant("c", "u", throttle(rate)))
		setCeiling(t, m, "u", 1500)
		x := dial(t, m, "c", "203.0.113.1")
		passed := 0
		for range 20_000 { // ten times the rate
			if x.Take(Down, 1000) {
				passed += 1000
			}
			elapse(time.Millisecond)
		}
		within(t, "datagrams", int64(passed)-minBurst-minBurst/2, 20*rate, 0.03)
		x.mustLive(t)
	})
}

// The part that a ceiling names is this worker's; a part beyond the throttle
// is no more than the throttle.
func TestThrottleInParts(t *testing.T) {
	for part, want := range map[uint64]float64{0: 1e6, 250_000: 250_000, 5e6: 1e6} {
		synctest.Test(t, func(t *testing.T) {
			m := newMeter(t, grant("c", "u", throttle(1e6)))
			if _, err := m.SetCeilings(epoch, []vpn.Ceiling{{User: "u", Throttle: part}}); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			var moved atomic.Int64
			go pump(ctx, dial(t, m, "c", "203.0.113.1"), Down, 16<<10, &moved)
			<-ctx.Done()
			synctest.Wait()
			within(t, "one flow", moved.Load()-minBurst, 10*want, 0.02)
		})
	}
}
