package meter

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// kernel is a socket pair that moves bytes at a rate, unseen.
type kernel struct {
	since  time.Time
	rate   uint64 // bytes per second down
	closed bool
	reads  int
}

func (k *kernel) read() vpn.Traffic {
	k.reads++
	if k.closed {
		return vpn.Traffic{}
	}
	return vpn.Traffic{Up: 1, Down: uint64(time.Since(k.since).Seconds() * float64(k.rate))}
}

func TestSpliceIsCountedLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"))
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Down, 1000)
		if !x.MaySplice() {
			t.Fatal("a user without a rate limit may not splice")
		}
		k := &kernel{since: time.Now(), rate: 1e6}
		x.Splice(k.read)
		x.move(t, Up, 10)
		elapse(2 * time.Second)
		want := vpn.Traffic{Up: 11, Down: 2_001_000}
		if got := count(m, "c"); got != want {
			t.Errorf("Usage = %v, want %v", got, want)
		}
		if got := m.Sessions()[0].Traffic; got != want {
			t.Errorf("Sessions = %v, want %v", got, want)
		}
		// A total that falls takes nothing back, and does not count again.
		k.closed = true
		count(m, "c")
		k.closed = false
		if got := count(m, "c"); got != want {
			t.Errorf("after a total that fell: %v, want %v", got, want)
		}
		elapse(time.Second)
		x.Close()
		reads := k.reads
		want.Down += 1e6
		if got := count(m, "c"); got != want {
			t.Errorf("after Close: %v, want %v", got, want)
		}
		x.poll() // the ticker may have taken note of the flow just before
		if k.reads != reads {
			t.Error("polled after Close")
		}
	})
}

func TestSpliceAfterCloseIsIgnored(t *testing.T) {
	m := newMeter(t, grant("c", "u"))
	x := dial(t, m, "c", "203.0.113.1")
	x.Close()
	if x.MaySplice() {
		t.Error("a closed flow may splice")
	}
	x.Splice(func() vpn.Traffic { return vpn.Traffic{Up: 1} })
	if got := count(m, "c"); got != (vpn.Traffic{}) {
		t.Errorf("counted %v", got)
	}
}

func TestSpliceTwice(t *testing.T) {
	m := newMeter(t, grant("c", "u"))
	x := dial(t, m, "c", "203.0.113.1")
	x.Splice(func() vpn.Traffic { return vpn.Traffic{Up: 100} })
	x.Splice(func() vpn.Traffic { return vpn.Traffic{Up: 20} })
	if got := count(m, "c").Up; got != 120 {
		t.Errorf("counted %d, want 120", got)
	}
}

func TestSplicedUserMeetsTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", capped))
		setCeiling(t, m, "u", 10e6)
		x, y := dial(t, m, "c", "203.0.113.1"), dial(t, m, "c", "203.0.113.1")
		k := &kernel{since: time.Now(), rate: 1e6}
		x.Splice(k.read)
		elapse(9900 * time.Millisecond)
		x.mustLive(t)
		elapse(250 * time.Millisecond)
		x.mustEnd(t, errCeiling)
		y.mustEnd(t, errCeiling)
		x.Close()
		if got := count(m, "c").Down; got > 10.2e6 {
			t.Errorf("used %d", got)
		}
	})
}

func TestLoweredCeilingReadsTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", capped))
		setCeiling(t, m, "u", 1e9)
		x := dial(t, m, "c", "203.0.113.1")
		var moved atomic.Uint64
		x.Splice(func() vpn.Traffic { return vpn.Traffic{Down: moved.Load()} })
		moved.Store(500)
		if got := setCeiling(t, m, "u", 400)[0].Down; got != 500 {
			t.Errorf("told %d, want 500", got)
		}
		x.mustEnd(t, errCeiling)
	})
}

func TestRateLimitEndsSplicing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"), grant("d", "v"))
		spliced, plain, other := dial(t, m, "c", "203.0.113.1"), dial(t, m, "c", "203.0.113.1"), dial(t, m, "d", "203.0.113.1")
		spliced.Splice(func() vpn.Traffic { return vpn.Traffic{} })
		other.Splice(func() vpn.Traffic { return vpn.Traffic{} })
		limited := []vpn.Grant{grant("c", "u", rates(0, 1e6)), grant("d", "v")}
		m.Set(limited)
		spliced.mustEnd(t, errRate)
		plain.mustLive(t)
		other.mustLive(t)
		if plain.MaySplice() {
			t.Error("a user with a rate limit may splice")
		}
		m.Set([]vpn.Grant{grant("c", "u", rates(5, 2e6)), grant("d", "v")})
		plain.mustLive(t)

		// The limit came between the engine's question and its deed.
		late := dial(t, m, "c", "203.0.113.1")
		late.Splice(func() vpn.Traffic { return vpn.Traffic{} })
		late.mustEnd(t, errRate)
	})
}
