package meter

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

func TestSetCutsWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c1", "u"), grant("c2", "u"), grant("c3", "v"))
		a, b, c := dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.1"), dial(t, m, "c3", "203.0.113.1")
		a.move(t, Up, 7)
		m.Set([]vpn.Grant{grant("c2", "u"), grant("c3", "v")})
		a.mustEnd(t, errRemoved)
		b.mustLive(t)
		c.mustLive(t)
		if _, err := tryDial(t, m, "c1", "203.0.113.1"); !errors.Is(err, errUnknown) {
			t.Errorf("Open of a removed credential: %v", err)
		}
		if got := count(m, "c1"); got != (vpn.Traffic{Up: 7}) {
			t.Errorf("the count of a removed credential is %v", got)
		}
	})
}

func TestSetCutsWhoMayNot(t *testing.T) {
	past := func(g *vpn.Grant) { g.NotAfter = time.Now().Add(-time.Second) }
	future := func(g *vpn.Grant) { g.NotBefore = time.Now().Add(time.Second) }
	for _, tt := range []struct {
		name   string
		change func(*vpn.Grant)
		want   error
	}{
		{"blocked", blocked, errBlocked},
		{"expired", past, errExpired},
		{"not yet valid", future, errEarly},
		{"capped without a ceiling", capped, errCeiling},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMeter(t, grant("c", "u"), grant("d", "v"))
				x, other := dial(t, m, "c", "203.0.113.1"), dial(t, m, "d", "203.0.113.1")
				m.Set([]vpn.Grant{grant("c", "u", tt.change), grant("d", "v")})
				x.mustEnd(t, tt.want)
				other.mustLive(t)
				if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, tt.want) {
					t.Errorf("Open = %v, want %v", err, tt.want)
				}
				m.Set([]vpn.Grant{grant("c", "u"), grant("d", "v")})
				dial(t, m, "c", "203.0.113.1").mustLive(t)
			})
		})
	}
}

func TestSetUnchangedTouchesNoFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := []vpn.Grant{
			grant("c1", "u", rates(1e6, 1e6), devices(1), connections(2), capped),
			grant("c2", "u", rates(1e6, 1e6), devices(1), connections(2), capped),
			grant("c3", "v"),
		}
		m := newMeter(t)
		setCeiling(t, m, "u", 1e9)
		m.Set(g)
		flows := []*conn{dial(t, m, "c1", "203.0.113.1"), dial(t, m, "c2", "203.0.113.1"), dial(t, m, "c3", "203.0.113.1")}
		bucket := flows[0].user.buckets[Up]
		for range 3 {
			m.Set(g)
			elapse(time.Second)
		}
		for _, x := range flows {
			x.mustLive(t)
		}
		if flows[0].user.buckets[Up] != bucket {
			t.Error("the rate began anew")
		}
	})
}

func TestDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c1", "u", devices(2)), grant("c2", "u", devices(2)))
		first := dial(t, m, "c1", "203.0.113.1")
		second := dial(t, m, "c2", "2001:db8:0:1::1")
		for _, same := range []string{"203.0.113.1", "::ffff:203.0.113.1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::"} {
			dial(t, m, "c1", same).Close()
		}
		for _, third := range []string{"203.0.113.2", "2001:db8:0:2::1", "::ffff:203.0.113.2"} {
			if _, err := tryDial(t, m, "c1", third); !errors.Is(err, errDevices) {
				t.Errorf("Open from a third device %s: %v", third, err)
			}
		}
		first.Close()
		third := dial(t, m, "c2", "203.0.113.2")
		if _, err := tryDial(t, m, "c1", "203.0.113.1"); !errors.Is(err, errDevices) {
			t.Errorf("Open from a device that had left: %v", err)
		}
		// Fewer devices from now on: the newest has to go.
		m.Set([]vpn.Grant{grant("c1", "u", devices(1)), grant("c2", "u", devices(1))})
		second.mustLive(t)
		third.mustEnd(t, errDevices)
	})
}

func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c1", "u", connections(3)), grant("c2", "u", connections(3)))
		var flows []*conn
		for _, c := range []vpn.CredentialID{"c1", "c2", "c1"} {
			flows = append(flows, dial(t, m, c, "203.0.113.1"))
		}
		if _, err := tryDial(t, m, "c2", "203.0.113.1"); !errors.Is(err, errConnections) {
			t.Errorf("a fourth flow: %v", err)
		}
		if m.Conns() != 3 {
			t.Errorf("Conns = %d, want 3", m.Conns())
		}
		m.Set([]vpn.Grant{grant("c1", "u", connections(1)), grant("c2", "u", connections(1))})
		flows[0].mustLive(t)
		flows[1].mustEnd(t, errConnections)
		flows[2].mustEnd(t, errConnections)
		for _, x := range flows {
			x.Close()
			x.Close()
		}
		if m.Conns() != 0 {
			t.Errorf("Conns = %d, want 0", m.Conns())
		}
		dial(t, m, "c2", "203.0.113.1")
	})
}

// A flow whose credential goes in the same breath takes no other's place.
func TestRemovedFlowTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("old", "u"), grant("new", "u"))
		old, young := dial(t, m, "old", "203.0.113.1"), dial(t, m, "new", "203.0.113.2")
		m.Set([]vpn.Grant{grant("new", "u", connections(1), devices(1))})
		old.mustEnd(t, errRemoved)
		young.mustLive(t)
	})
}

func TestGrantMovesNoCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"))
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Up, 9)
		m.Set([]vpn.Grant{grant("c", "thief")})
		x.mustEnd(t, errRemoved)
		if _, err := tryDial(t, m, "c", "203.0.113.1"); !errors.Is(err, errUnknown) {
			t.Errorf("Open: %v", err)
		}
		for _, n := range setCeiling(t, m, "thief", 5) {
			t.Errorf("the thief was counted %v", n)
		}
	})
}

func TestCutMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u"))
		var f *Flow
		done := make(chan struct{})
		f, err := m.Open("c", dial(t, m, "c", "203.0.113.1").source, "udp", func(error) {
			f.Close()
			m.Usage(0)
			m.Sessions()
			m.Set(nil)
			close(done)
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Kick("u")
		<-done
	})
}
