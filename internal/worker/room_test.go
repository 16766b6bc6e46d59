package worker

import (
	"math"
	"testing"
)

func TestRoom(t *testing.T) {
	const small = 512 << 20 / 10 * 6 // of a small machine's memory, what a worker may use
	for _, tt := range []struct {
		descriptors, memory uint64
		want                int
	}{
		{1024, small, 240},
		{1 << 20, small, 4915},
		{1 << 20, math.MaxInt64, 262128},
		{math.MaxUint64, math.MaxInt64, 1 << 20},
		{10, 1 << 20, leastRoom},
	} {
		if got := room(tt.descriptors, tt.memory); got != tt.want {
			t.Errorf("with %d descriptors and %d bytes there is room for %d, want %d", tt.descriptors, tt.memory, got, tt.want)
		}
	}
}
