package vpn_test

import (
	"math"
	"testing"

	"vpn/internal/vpn"
)

func TestTrafficAddAndTotal(t *testing.T) {
	const most = vpn.MaxTraffic
	for _, c := range []struct {
		a, b, want vpn.Traffic
		total      uint64
	}{
		{vpn.Traffic{}, vpn.Traffic{}, vpn.Traffic{}, 0},
		{vpn.Traffic{Up: 1, Down: 2}, vpn.Traffic{Up: 10, Down: 20}, vpn.Traffic{Up: 11, Down: 22}, 33},
		{vpn.Traffic{Up: most}, vpn.Traffic{Up: 1}, vpn.Traffic{Up: most}, most},
		{vpn.Traffic{Up: most, Down: most}, vpn.Traffic{}, vpn.Traffic{Up: most, Down: most}, most},
		{vpn.Traffic{Up: math.MaxUint64}, vpn.Traffic{Up: 2}, vpn.Traffic{Up: most}, most}, // wraps around
		{vpn.Traffic{Up: math.MaxUint64}, vpn.Traffic{}, vpn.Traffic{Up: most}, most},
	} {
		if got := c.a.Add(c.b); got != c.want || got.Total() != c.total {
			t.Errorf("%v + %v = %v, total %d; want %v, total %d", c.a, c.b, got, got.Total(), c.want, c.total)
		}
	}
}

func TestTrafficSince(t *testing.T) {
	for _, c := range []struct{ now, before, want vpn.Traffic }{
		{vpn.Traffic{Up: 5, Down: 7}, vpn.Traffic{Up: 2, Down: 7}, vpn.Traffic{Up: 3}},
		{vpn.Traffic{Up: 5, Down: 7}, vpn.Traffic{}, vpn.Traffic{Up: 5, Down: 7}},
		{vpn.Traffic{Up: 1, Down: 9}, vpn.Traffic{Up: 2, Down: 7}, vpn.Traffic{Down: 2}}, // one direction fell
	} {
		if got := c.now.Since(c.before); got != c.want {
			t.Errorf("%v since %v = %v, want %v", c.now, c.before, got, c.want)
		}
	}
}

func TestRateAdd(t *testing.T) {
	if got := (vpn.Rate{Up: 1, Down: 2}).Add(vpn.Rate{Up: 3, Down: 4}); got != (vpn.Rate{Up: 4, Down: 6}) {
		t.Errorf("got %v", got)
	}
}
