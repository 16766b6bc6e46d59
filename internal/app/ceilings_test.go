package app

import (
	"testing"

	"pgregory.net/rapid"

	"vpn/internal/vpn"
)

// What is handed out is what is left, to the byte, however it was used.
func TestSharesAreWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := budget{
			left: rapid.Uint64Range(0, vpn.MaxTraffic).Draw(t, "left"),
			parts: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) part {
				return part{demand: rapid.Uint64Range(0, 1<<40).Draw(t, "demand")}
			}), 1, 8).Draw(t, "parts"),
		}
		var sum uint64
		for _, s := range b.shares() {
			sum += s
		}
		if sum != b.left {
			t.Fatalf("%d handed out of %d", sum, b.left)
		}
	})
}

func TestSharesFollowDemand(t *testing.T) {
	b := budget{left: 1000, parts: []part{{demand: 900}, {demand: 0}}}
	if s := b.shares(); s[0] < 800 || s[1] < 100 {
		t.Fatalf("shares = %v: the busy worker gets most, the idle one a beginning", s)
	}
}

// Raising a worker's ceiling never goes beyond what the others have left,
// even when its share says so.
func TestPlanTakesBackBeforeItGives(t *testing.T) {
	const u = vpn.UserID("alice")
	c := newCeilings(newLedger(nil, nil))
	c.granted["a"] = map[vpn.UserID]allowance{u: {bytes: 900}} // has used 100 of it: 800 outstanding
	c.granted["b"] = map[vpn.UserID]allowance{u: {bytes: 100}} // has used 0
	budgets := []budget{{user: u, left: 900, parts: []part{{count: 100}, {count: 0, demand: 1000}}}}
	epochs := []string{"a", "b"}

	if got := c.plan(budgets, epochs, 1, true); len(got) != 0 {
		t.Fatalf("b was raised to %v while a still holds 800 of 900", got)
	}
	down := c.plan(budgets, epochs, 0, false)
	if len(down) != 1 || down[0].Bytes >= 900 {
		t.Fatalf("a is not lowered: %v", down)
	}
	c.granted["a"][u] = allowance{bytes: down[0].Bytes}
	up := c.plan(budgets, epochs, 1, true)
	if len(up) != 1 {
		t.Fatalf("b is not raised: %v", up)
	}
	if outstanding := (down[0].Bytes - 100) + up[0].Bytes; outstanding > 900 {
		t.Fatalf("%d outstanding of 900", outstanding)
	}
}

// The parts of a throttle are the throttle, to the byte, and follow demand;
// nobody's is none, which would be one without a bound.
func TestPacesAreTheThrottle(t *testing.T) {
	const u = vpn.UserID("alice")
	c := newCeilings(newLedger(nil, nil))
	epochs := []string{"a", "b", "c"}
	budgets := []budget{{user: u, pace: 1000, parts: []part{{count: 100}, {count: 5, demand: 1000}, {}}}}
	tell := func() (sum uint64) {
		for _, raise := range []bool{false, true} {
			for i, e := range epochs {
				for _, x := range c.plan(budgets, epochs, i, raise) {
					if c.granted[e] == nil {
						c.granted[e] = map[vpn.UserID]allowance{}
					}
					c.granted[e][u] = allowance{x.Bytes, x.Throttle}
				}
				if raise {
					sum += c.granted[e][u].pace
				}
			}
		}
		return sum
	}
	if sum := tell(); sum != 1000 || c.granted["b"][u].pace < 800 || c.granted["c"][u].pace < 50 {
		t.Fatalf("granted %v", c.granted)
	}
	budgets[0].parts[1].demand, budgets[0].parts[2].demand = 0, 10
	if sum := tell(); sum != 1000 || c.granted["c"][u].pace < 800 {
		t.Fatalf("after the demand has moved: %v", c.granted)
	}
	// What passes beyond the quota raises no ceiling.
	budgets[0].parts[2].count = 1_000_000
	before := c.granted["c"][u]
	if tell(); c.granted["c"][u] != before {
		t.Fatalf("a ceiling rises from %v to %v", before, c.granted["c"][u])
	}
	budgets[0].pace = 2
	if tell(); c.granted["a"][u].pace < 1 || c.granted["b"][u].pace < 1 || c.granted["c"][u].pace < 1 {
		t.Fatalf("parts of a tiny throttle: %v", c.granted)
	}
	budgets[0].pace = 0
	if sum := tell(); sum != 0 {
		t.Fatalf("without a throttle: %v", c.granted)
	}
}
