package app

import (
	"testing"

	"pgregory.net/rapid"

	"vpn/internal/vpn"
)

func anyWants(t *rapid.T) []want {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) want {
		return want{
			held:   rapid.IntRange(0, vpn.Whole).Draw(t, "held"),
			moved:  rapid.Uint64Range(0, 1<<rapid.IntRange(0, 62).Draw(t, "size")).Draw(t, "moved"),
			hungry: rapid.Bool().Draw(t, "hungry"),
			fixed:  rapid.IntRange(0, 5).Draw(t, "fixed") == 0,
		}
	}), 1, 12).Draw(t, "wants")
}

// Whatever workers hold and say: together they never get more than the whole,
// nobody gets less than nothing, nobody who can be told is left without a
// beginning, and who keeps silent keeps what it has.
func TestDivisionIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWants(t)
		got := divide(nil, ws, rapid.Uint64Range(1, vpn.MaxTraffic).Draw(t, "rate"))
		all, kept := 0, 0
		for i, w := range ws {
			all += got[i]
			switch {
			case w.fixed:
				kept += w.held
				if got[i] != w.held {
					t.Fatalf("%d: a silent worker gets %d instead of its %d", i, got[i], w.held)
				}
			case got[i] < 0:
				t.Fatalf("%d gets %d", i, got[i])
			}
		}
		if all > max(vpn.Whole, kept) {
			t.Fatalf("together they get %d", all)
		}
		for i, w := range ws {
			if room := vpn.Whole - kept; !w.fixed && room > len(ws) && got[i] < min(floors/len(ws), room/len(ws)) && got[i] != w.held {
				t.Fatalf("%d gets %d, less than a beginning", i, got[i])
			}
		}
	})
}

// flows is a user whose flows on each worker could move so much, and who gets
// what the shares allow of it.
func poll(demand []uint64, held []int, rate uint64) []int {
	ws := make([]want, len(held))
	for i, h := range held {
		allowed := uint64(float64(rate) * float64(h) / vpn.Whole)
		ws[i] = want{held: h, moved: min(demand[i], allowed), hungry: demand[i] > allowed}
	}
	return divide(nil, ws, rate)
}

func even(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = vpn.Whole / n
	}
	return out
}

// After two polls a user whose flows could move more than the rate moves nine
// tenths of it at least, and each worker its fair part or all that it wants;
// then nothing changes any more.
func TestDivisionConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 10_000_000
		n := rapid.IntRange(2, 6).Draw(t, "workers")
		demand := rapid.SliceOfN(rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1000, 2*rate)), n, n).Draw(t, "demand")
		held := even(n)
		if rapid.Bool().Draw(t, "other demand before") {
			before := rapid.SliceOfN(rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1000, 2*rate)), n, n).Draw(t, "before")
			for range 4 {
				held = poll(before, held, rate)
			}
		}
		for range 2 {
			held = poll(demand, held, rate)
		}
		var moved, wanted uint64
		for i, h := range held {
			moved += min(demand[i], uint64(rate*float64(h)/vpn.Whole))
			wanted += demand[i]
		}
		if moved*10 < min(wanted, rate)*85/10 {
			t.Fatalf("after two polls %d pass of %d wanted: %v of %v", moved, wanted, held, demand)
		}
		for range n {
			held = poll(demand, held, rate)
		}
		moved = 0
		busy := 0
		for _, d := range demand {
			if d > 0 {
				busy++
			}
		}
		for i, h := range held {
			got := uint64(rate * float64(h) / vpn.Whole)
			moved += min(demand[i], got)
			if fair := uint64(rate) * 9 / 10 / uint64(max(busy, 1)); demand[i] > 0 && got < min(demand[i], fair) {
				t.Fatalf("worker %d has %d of %d wanted, its fair part is %d", i, got, demand[i], fair)
			}
		}
		if moved*10 < min(wanted, rate)*85/10 {
			t.Fatalf("in the end %d pass of %d wanted: %v of %v", moved, wanted, held, demand)
		}
		again := poll(demand, held, rate)
		for i := range again {
			if again[i] != held[i] {
				t.Fatalf("it goes on changing: %v, %v for %v", held, again, demand)
			}
		}
	})
}

// What one stops to use the others have after one poll; a worker that is used
// alone has nearly all.
func TestDivisionFollowsDemand(t *testing.T) {
	const rate, lots = 10_000_000, 1 << 40
	held := poll([]uint64{lots, lots, lots}, even(3), rate)
	for _, h := range held {
		if h < vpn.Whole*32/100 {
			t.Fatalf("three who want all have %v", held)
		}
	}
	held = poll([]uint64{lots, 0, lots}, held, rate)
	if held[0] < vpn.Whole*48/100 || held[2] < vpn.Whole*48/100 || held[1] == 0 {
		t.Fatalf("one has stopped: %v", held)
	}
	held = poll([]uint64{lots, 0, 0}, held, rate)
	if held[0] < vpn.Whole*96/100 {
		t.Fatalf("one is left: %v", held)
	}
	held = poll([]uint64{0, 1000, 0}, held, rate)
	if held[1] < vpn.Whole*96/100 {
		t.Fatalf("it has moved to another: %v", held)
	}
	if again := poll([]uint64{0, 0, 0}, held, rate); again[1] != held[1] {
		t.Fatalf("nobody moves anything, and yet: %v, %v", held, again)
	}
}

// A demand that goes up and down a little makes no share go up and down.
func TestDivisionIsCalm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 10_000_000
		demand := []uint64{2_000_000, 1 << 40, 1 << 40}
		held := even(3)
		for range 3 {
			held = poll(demand, held, rate)
		}
		before := held
		for range 10 {
			demand[0] = rapid.Uint64Range(1_950_000, 2_100_000).Draw(t, "demand")
			held = poll(demand, held, rate)
			for i := range held {
				if held[i] != before[i] {
					t.Fatalf("%v became %v for %v", before, held, demand)
				}
			}
		}
	})
}
