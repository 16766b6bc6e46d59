package app

import (
	"slices"
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
		for _, s := range b.shares(nil) {
			sum += s
		}
		if sum != b.left {
			t.Fatalf("%d handed out of %d", sum, b.left)
		}
	})
}

func TestSharesFollowDemand(t *testing.T) {
	b := budget{left: 1000, parts: []part{{demand: 900}, {demand: 0}}}
	if s := b.shares(nil); s[0] < 800 || s[1] < 100 {
		t.Fatalf("shares = %v: the busy worker gets most, the idle one a beginning", s)
	}
}

// planned returns what the workers of the epochs are to be told.
func planned(c *ceilings, budgets []budget, epochs []string, raise bool) [][]vpn.Ceiling {
	var purses []purse
	for _, e := range epochs {
		purses = append(purses, purse{epoch: e})
	}
	r := c.round(purses, everyone)
	if raise {
		r.raise(budgets)
	} else {
		r.lower(budgets)
	}
	return r.out
}

// Raising a worker's ceiling never goes beyond what the others have left,
// even when its share says so.
func TestPlanTakesBackBeforeItGives(t *testing.T) {
	const u = vpn.UserID("alice")
	c := newCeilings(newLedger(nil, nil))
	c.held["a"] = &holding{allowed: map[vpn.UserID]allowance{u: {bytes: 900}}, sure: true} // has used 100 of it: 800 outstanding
	c.held["b"] = &holding{allowed: map[vpn.UserID]allowance{u: {bytes: 100}}, sure: true} // has used 0
	budgets := []budget{{user: u, left: 900, parts: []part{{count: 100}, {count: 0, demand: 1000}}}}
	epochs := []string{"a", "b"}

	if got := planned(c, budgets, epochs, true)[1]; len(got) != 0 {
		t.Fatalf("b was raised to %v while a still holds 800 of 900", got)
	}
	down := planned(c, budgets, epochs, false)[0]
	if len(down) != 1 || down[0].Bytes >= 900 {
		t.Fatalf("a is not lowered: %v", down)
	}
	c.held["a"].allowed[u] = allowance{bytes: down[0].Bytes}
	up := planned(c, budgets, epochs, true)[1]
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
	for _, e := range epochs {
		c.held[e] = &holding{allowed: map[vpn.UserID]allowance{}, sure: true}
	}
	granted := func(epoch string) allowance { return c.held[epoch].allowed[u] }
	tell := func() (sum uint64) {
		for _, raise := range []bool{false, true} {
			news := planned(c, budgets, epochs, raise)
			for i, e := range epochs {
				for _, x := range news[i] {
					c.held[e].allowed[u] = allowance{x.Bytes, x.Throttle}
				}
				if raise {
					sum += granted(e).pace
				}
			}
		}
		return sum
	}
	if sum := tell(); sum != 1000 || granted("b").pace < 800 || granted("c").pace < 50 {
		t.Fatalf("granted %v", c.held)
	}
	budgets[0].parts[1].demand, budgets[0].parts[2].demand = 0, 10
	if sum := tell(); sum != 1000 || granted("c").pace < 800 {
		t.Fatalf("after the demand has moved: %v", c.held)
	}
	// What passes beyond the quota raises no ceiling.
	budgets[0].parts[2].count = 1_000_000
	before := granted("c")
	if tell(); granted("c") != before {
		t.Fatalf("a ceiling rises from %v to %v", before, granted("c"))
	}
	budgets[0].pace = 2
	if tell(); granted("a").pace < 1 || granted("b").pace < 1 || granted("c").pace < 1 {
		t.Fatalf("parts of a tiny throttle: %v", c.held)
	}
	budgets[0].pace = 0
	if sum := tell(); sum != 0 {
		t.Fatalf("without a throttle: %v", c.held)
	}
}

// The last bytes are somebody's who wants them: two of three workers cannot
// have the one byte that is left.
func TestTheLastByteIsForWhoeverWantsIt(t *testing.T) {
	b := budget{left: 1, parts: []part{{}, {}, {demand: dryDemand}}}
	if got := b.shares(nil); !slices.Equal(got, []uint64{0, 0, 1}) {
		t.Errorf("of one byte each has %v", got)
	}
}

// What is about right stays, so that not every byte that moves moves all the
// ceilings; what is wrong does not.
func TestFairCeilingsStay(t *testing.T) {
	const u = vpn.UserID("alice")
	for _, tt := range []struct {
		name       string
		have, used [2]uint64
		left       uint64
		fair       bool
		demand     uint64 // on the first
	}{
		{"as divided", [2]uint64{500, 500}, [2]uint64{}, 1000, true, 0},
		{"used a little", [2]uint64{500, 500}, [2]uint64{100, 0}, 900, true, 0},
		{"used nearly all of it", [2]uint64{500, 500}, [2]uint64{400, 0}, 600, false, 0},
		{"the quota was lowered", [2]uint64{500, 500}, [2]uint64{}, 900, false, 0},
		{"the quota was raised", [2]uint64{500, 500}, [2]uint64{}, 5000, false, 0},
		{"one has its last byte", [2]uint64{501, 500}, [2]uint64{500, 500}, 1, true, 0},
		{"none has the last byte", [2]uint64{500, 500}, [2]uint64{500, 500}, 1, false, 0},
		{"one is slow", [2]uint64{500, 500}, [2]uint64{}, 1000, true, 100},
		{"one would soon be cut", [2]uint64{500, 500}, [2]uint64{}, 1000, false, 200},
	} {
		c := newCeilings(newLedger(nil, nil))
		b := budget{user: u, left: tt.left, parts: []part{{count: tt.used[0], demand: tt.demand}, {count: tt.used[1]}}}
		for i, name := range []string{"a", "b"} {
			c.held[name] = &holding{allowed: map[vpn.UserID]allowance{u: {bytes: tt.have[i]}}, sure: true}
		}
		r := c.round([]purse{{epoch: "a"}, {epoch: "b"}}, everyone)
		r.look(&b)
		if got := r.fair(&b); got != tt.fair {
			t.Errorf("%s: fair is %t", tt.name, got)
		}
	}
}
