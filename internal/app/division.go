package app

import (
	"math"
	"math/bits"
	"slices"

	"vpn/internal/vpn"
)

// A want is one worker's part in a user's rate, in one direction: what it has
// of [vpn.Whole], and what it did with that in the last second.
type want struct {
	held   int
	moved  uint64 // bytes per second
	hungry bool   // the rate was waited for: it would take more
	fixed  bool   // it cannot be told anything now, and keeps what it has
}

const (
	// floors is what all workers together have at least, evenly, so that a
	// flow can begin anywhere; headroom is how much more than it uses a worker
	// has that does not wait; a change of less than a slight part is none.
	floors   = vpn.Whole / 20
	headroom = 8
	slight   = 32
)

// divide divides a rate, in bytes per second, among workers, in parts of
// [vpn.Whole]: each has a floor, and what it uses and a little more; those
// who would take more than that divide the rest evenly. The sum is never more
// than Whole, unless those who are fixed hold more, and what is fine is left
// as it is. The parts are put into room, if they fit.
func divide(room []int, ws []want, rate uint64) []int {
	out := room[:0]
	total, free := vpn.Whole, 0
	for i := range ws {
		w := &ws[i]
		out = append(out, w.held)
		if w.fixed {
			total -= w.held
		} else {
			free++
		}
	}
	total = max(total, 0)
	if free == 0 || fine(ws, rate, total) {
		return out
	}
	floor := min(floors/len(ws), total/free)
	goal := make([]int, len(ws)) // beyond the floor
	rest := total - free*floor
	for i, w := range ws {
		if w.fixed {
			continue
		}
		out[i] = floor
		goal[i] = max(w.goal(rate)-floor, 0)
	}
	rest = fill(ws, out, goal, rest)
	// Nobody waits: what is left is for whoever uses any, or for all.
	users := 0
	for _, w := range ws {
		if w.live() && !w.fixed {
			users++
		}
	}
	heirs := users
	if users == 0 {
		heirs = free
	}
	for i, w := range ws {
		if !w.fixed && (w.live() || users == 0) {
			out[i] += rest / heirs
		}
	}
	if alike(ws, out) && sum(ws) <= total {
		for i, w := range ws {
			out[i] = w.held
		}
	}
	return out
}

// fill gives each worker what is missing to its goal, the least first, as far
// as rest goes, and returns what is left of that.
func fill(ws []want, out, goal []int, rest int) int {
	var open []int
	for i, w := range ws {
		if !w.fixed && goal[i] > 0 {
			open = append(open, i)
		}
	}
	slices.SortStableFunc(open, func(a, b int) int { return goal[a] - goal[b] })
	for k, i := range open {
		got := min(goal[i], rest/(len(open)-k))
		out[i] += got
		rest -= got
	}
	return rest
}

// fine reports whether nobody waits, everybody has what it needs, and idle
// workers hold hardly more than their floors.
func fine(ws []want, rate uint64, total int) bool {
	busy, idle := 0, true
	for _, w := range ws {
		if w.fixed {
			continue
		}
		if w.hungry || w.held < min(w.need(rate), total) || w.held <= 0 {
			return false
		}
		if w.live() {
			busy += w.held
			idle = false
		}
	}
	return sum(ws) <= total && (idle || busy >= total-total/10)
}

func sum(ws []want) (n int) {
	for _, w := range ws {
		if !w.fixed {
			n += w.held
		}
	}
	return n
}

func alike(ws []want, out []int) bool {
	for i, w := range ws {
		if d := out[i] - w.held; d > out[i]/slight || -d > out[i]/slight {
			return false
		}
	}
	return true
}

func (w want) live() bool { return w.hungry || w.moved > 0 }

// used returns how much of the rate passed here.
func (w want) used(rate uint64) int {
	if rate == 0 || w.moved >= rate {
		return vpn.Whole
	}
	hi, lo := bits.Mul64(w.moved, vpn.Whole)
	n, _ := bits.Div64(hi, lo, rate)
	return int(n)
}

// need is what w must have in order not to wait.
func (w want) need(rate uint64) int {
	n := w.used(rate)
	return n + n/headroom/2
}

// goal is what w should have, if there is enough.
func (w want) goal(rate uint64) int {
	if w.hungry {
		return math.MaxInt32
	}
	n := w.used(rate)
	if w.held >= w.need(rate) && w.held <= n+2*n/headroom {
		return w.held // near enough
	}
	return n + n/headroom
}
