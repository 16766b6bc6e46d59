package sip022

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The window says what a memory of everything would say, but that it takes
// what is too late for seen.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := map[uint64]bool{}
		var last uint64
		at := rapid.SampledFrom([]uint64{0, 1, windowSize, 1 << 32, math.MaxUint64 - 3*windowSize}).Draw(t, "begin")
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			n := at + rapid.Uint64Range(0, 2*windowSize).Draw(t, "n")
			if rapid.Bool().Draw(t, "on") {
				at = max(at, n-min(n, windowSize))
			}
			want := !seen[n] && (n > last || last-n < windowSize)
			if got := w.fresh(n); got != want {
				t.Fatalf("fresh(%d) is %v, the last was %d", n, got, last)
			}
			if got := w.add(n); got != want {
				t.Fatalf("add(%d) is %v, the last was %d", n, got, last)
			}
			if want {
				seen[n] = true
				last = max(last, n)
			}
		}
	})
}

func TestWindowAtTheEnds(t *testing.T) {
	var w window
	for _, n := range []uint64{0, 1, math.MaxUint64, math.MaxUint64 - 1, math.MaxUint64 - windowSize + 1} {
		if !w.add(n) {
			t.Errorf("%d is refused", n)
		}
		if w.add(n) {
			t.Errorf("%d is taken twice", n)
		}
	}
	for _, n := range []uint64{0, 1, math.MaxUint64 - windowSize} {
		if w.fresh(n) {
			t.Errorf("%d is taken though it is too late to tell", n)
		}
	}
}
