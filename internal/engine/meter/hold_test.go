package meter

import (
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

func held(since time.Time, valid time.Duration, used ...time.Time) func(*vpn.Grant) {
	return func(g *vpn.Grant) {
		g.Hold = vpn.Hold{ValidFor: vpn.Seconds(valid / time.Second), HeldSince: since}
		if len(used) > 0 {
			g.Hold.FirstUsedAt = used[0]
		}
	}
}

func mustReport(t *testing.T, m *Meter, want ...vpn.FirstUse) {
	t.Helper()
	if diff := gocmp.Diff(want, m.Usage(0).FirstUses); diff != "" {
		t.Errorf("first uses (-want +got):\n%s", diff)
	}
}

// The time begins with the first flow of any credential, and the worker by
// itself ends it; the use is told until the grants know of it.
func TestHoldBeginsWithTheFirstFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().UTC()
		m := newMeter(t, grant("c1", "u", held(since, time.Hour)), grant("c2", "u", held(since, time.Hour)))
		elapse(10 * 24 * time.Hour)
		mustReport(t, m)
		first := time.Now().UTC()
		x := dial(t, m, "c1", "203.0.113.1")
		elapse(30 * time.Minute)
		y := dial(t, m, "c2", "203.0.113.2")
		want := vpn.FirstUse{User: "u", Held: since, At: first}
		mustReport(t, m, want)
		mustReport(t, m, want)
		elapse(29 * time.Minute)
		x.mustLive(t)
		y.mustLive(t)
		elapse(time.Minute + tick)
		x.mustEnd(t, errExpired)
		y.mustEnd(t, errExpired)
		if _, err := tryDial(t, m, "c2", "203.0.113.1"); err != errExpired { //nolint:errorlint // the very one
			t.Errorf("Open after the end: %v", err)
		}
		mustReport(t, m, want)
		m.Set([]vpn.Grant{grant("c1", "u", held(since, time.Hour, first))})
		mustReport(t, m)
	})
}

// Of several workers' first uses the earliest counts, on each of them.
func TestHoldThatBeganElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().UTC()
		m := newMeter(t, grant("c", "u", held(since, time.Hour)))
		elapse(time.Minute)
		x := dial(t, m, "c", "203.0.113.1")
		here := time.Now().UTC()
		m.Set([]vpn.Grant{grant("c", "u", held(since, time.Hour, here.Add(time.Second)))})
		mustReport(t, m, vpn.FirstUse{User: "u", Held: since, At: here}) // it was here before
		m.Set([]vpn.Grant{grant("c", "u", held(since, time.Hour, here.Add(-30*time.Second)))})
		mustReport(t, m)
		elapse(time.Hour - 30*time.Second - tick)
		x.mustLive(t)
		elapse(2 * tick)
		x.mustEnd(t, errExpired)
	})
}

// A new hold begins anew: with the next flow, or at once for who is connected.
func TestHoldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().UTC()
		m := newMeter(t, grant("c", "u", held(since, time.Hour)), grant("idle", "v", held(since, time.Hour)))
		dial(t, m, "idle", "203.0.113.1").Close()
		x := dial(t, m, "c", "203.0.113.1")
		elapse(50 * time.Minute)
		again := time.Now().UTC()
		m.Set([]vpn.Grant{grant("c", "u", held(again, time.Hour)), grant("idle", "v", held(again, time.Hour))})
		mustReport(t, m, vpn.FirstUse{User: "u", Held: again, At: again})
		elapse(59 * time.Minute)
		x.mustLive(t)
		elapse(2 * time.Minute)
		x.mustEnd(t, errExpired)
		dial(t, m, "idle", "203.0.113.1").mustLive(t)

		m.Set([]vpn.Grant{grant("c", "u"), grant("idle", "v")})
		mustReport(t, m)
		dial(t, m, "c", "203.0.113.1").mustLive(t)
	})
}

// An end that the grant names holds besides.
func TestHoldBesideAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		m := newMeter(t, grant("c", "u", held(now, time.Hour), func(g *vpn.Grant) { g.NotAfter = now.Add(time.Minute) }))
		x := dial(t, m, "c", "203.0.113.1")
		elapse(time.Minute + tick)
		x.mustEnd(t, errExpired)
	})
}
