package wireguard

import (
	"runtime/debug"
	"testing"
)

// The garbage collector aims at so much for each device, and at no more than it
// was told to at first: a small machine's worker has less. (docs/benchmarks.md
// has what that comes to under load.)
func TestMemoryLimit(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	limits := func(s *sweeper, devices int) int64 {
		s.limitMemory(devices)
		return debug.SetMemoryLimit(-1)
	}
	debug.SetMemoryLimit(1 << 40)
	large := new(sweeper)
	for devices, want := range map[int]int64{0: memoryBase, 1000: memoryBase + 1000*memoryPerPeer} {
		if got := limits(large, devices); got != want {
			t.Errorf("with %d devices it is %d, want %d", devices, got, want)
		}
	}
	const little = 100 << 20
	debug.SetMemoryLimit(little)
	small := new(sweeper)
	for _, devices := range []int{0, 1000, 10} {
		if got := limits(small, devices); got != little {
			t.Errorf("with %d devices on a small machine it is %d, want %d", devices, got, little)
		}
	}
}
