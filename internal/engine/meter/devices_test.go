package meter

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A phone that has changed its network takes the place of what it was, once
// that has been silent for long enough; its old connections end.
func TestRoaming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", devices(2)))
		laptop := dial(t, m, "c", "203.0.113.1")
		old, older := dial(t, m, "c", "203.0.113.2"), dial(t, m, "c", "203.0.113.2")
		old.move(t, Up, 1)
		for range int(roamingGrace/time.Second) - 1 {
			elapse(time.Second)
			laptop.move(t, Down, 1)
		}
		if _, err := tryDial(t, m, "c", "203.0.113.3"); !errors.Is(err, errDevices) {
			t.Errorf("a third device, while two are in use: %v", err)
		}
		elapse(1100 * time.Millisecond)
		phone := dial(t, m, "c", "203.0.113.3")
		old.mustEnd(t, errMoved)
		older.mustEnd(t, errMoved)
		laptop.mustLive(t)
		phone.mustLive(t)
		if _, err := tryDial(t, m, "c", "203.0.113.2"); !errors.Is(err, errDevices) {
			t.Errorf("back at once: %v", err)
		}
		if n := m.Conns(); n != 2 {
			t.Errorf("%d flows live", n)
		}
	})
}

// Of several silent devices the one that has been so for longest goes, and
// only one.
func TestRoamingTakesTheMostSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", devices(2), connections(2)))
		a := dial(t, m, "c", "203.0.113.1")
		elapse(time.Second)
		b := dial(t, m, "c", "203.0.113.2")
		elapse(time.Second)
		a.move(t, Up, 1)
		elapse(time.Hour)
		dial(t, m, "c", "203.0.113.3").mustLive(t) // the place of a connection, too
		a.mustLive(t)
		b.mustEnd(t, errMoved)
	})
}

// Without a limit nobody has to go.
func TestNoRoamingWithoutALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", devices(3)))
		var all []*conn
		for _, from := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"} {
			all = append(all, dial(t, m, "c", from))
			elapse(time.Hour)
		}
		all = append(all, dial(t, m, "c", "203.0.113.1"))
		for _, x := range all {
			x.mustLive(t)
		}
	})
}

// The places of devices on other workers are not this one's to give away; its
// own it gives, also when they are taken by both together.
func TestRoamingBesideOtherWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", devices(2)))
		m.Allotments().SetShares(2, elsewhere(0, "203.0.113.8/32", "203.0.113.9/32"), nil)
		elapse(2 * roamingGrace)
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errDevices) {
			t.Errorf("a third device, while two are elsewhere: %v", err)
		}
		m.Allotments().SetShares(2, elsewhere(0, "203.0.113.9/32"), nil)
		old := dial(t, m, "c", "203.0.113.1")
		both := dial(t, m, "c", "203.0.113.9")
		elapse(roamingGrace + time.Second)
		if d := demand(t, m, "u"); len(d.Networks) != 2 || d.Networks[0].Silent < roamingGrace.Milliseconds() {
			t.Errorf("it tells %+v", d)
		}
		dial(t, m, "c", "203.0.113.2").mustLive(t)
		old.mustEnd(t, errMoved)
		both.mustLive(t)
	})
}
