package sip022

const (
	windowBlocks = 32
	// windowSize is how many numbers a packet may be late.
	windowSize = (windowBlocks - 1) * 64
)

// A window remembers which of the latest packet numbers have been seen, as
// RFC 6479 does. The zero value has seen none.
type window struct {
	last   uint64 // the highest
	blocks [windowBlocks]uint64
}

// fresh reports whether a packet of that number would be neither a repetition
// nor too late to tell.
func (w *window) fresh(n uint64) bool {
	switch {
	case n > w.last:
		return true
	case w.last-n >= windowSize:
		return false
	}
	return w.blocks[n/64%windowBlocks]&(1<<(n%64)) == 0
}

// add remembers a number, and reports whether it was fresh.
func (w *window) add(n uint64) bool {
	if !w.fresh(n) {
		return false
	}
	if n > w.last {
		from, to := w.last/64, n/64
		if to-from >= windowBlocks {
			w.blocks = [windowBlocks]uint64{}
		} else {
			for i := from + 1; i <= to; i++ {
				w.blocks[i%windowBlocks] = 0
			}
		}
		w.last = n
	}
	w.blocks[n/64%windowBlocks] |= 1 << (n % 64)
	return true
}
