//go:build linux && e2e

package e2e

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"
)

// quantile returns the smallest sample that at least the part q of them do not
// exceed.
func quantile[T cmp.Ordered](samples []T, q float64) T {
	s := slices.Sorted(slices.Values(samples))
	return s[max(0, int(math.Ceil(q*float64(len(s))))-1)]
}

// median returns the sample in the middle; of an even number, the mean of the
// two in the middle.
func median[T float64 | time.Duration](samples []T) T {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// medianInterval returns the narrowest pair of samples, equally far from the
// ends, between which the true median lies with 95 % confidence, whatever the
// distribution. Fewer than six samples cannot give one: it returns the
// extremes then.
func medianInterval(samples []float64) (low, high float64) {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	// Each sample is below the true median with probability 1/2: the median is
	// outside of s[k] … s[n-1-k] if at most k are on one side.
	tail, choose := 0.0, 1.0
	k := 0
	for ; k < n/2; k++ {
		tail += choose * math.Pow(0.5, float64(n))
		if tail > 0.025 {
			break
		}
		choose = choose * float64(n-k) / float64(k+1)
	}
	k = max(0, k-1)
	return s[k], s[n-1-k]
}

func TestStatistics(t *testing.T) {
	samples := []float64{12, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6}
	if m := median(samples); m != 6.5 {
		t.Errorf("median %v", m)
	}
	if p := quantile(samples, 0.95); p != 12 {
		t.Errorf("95th percentile %v", p)
	}
	if p := quantile(samples, 0.5); p != 6 {
		t.Errorf("50th percentile %v", p)
	}
	// The intervals of the table of signs: 12 samples 3rd to 10th, 7 samples all, 20 samples 6th to 15th.
	if low, high := medianInterval(samples); low != 3 || high != 10 {
		t.Errorf("interval of 12: %v to %v", low, high)
	}
	if low, high := medianInterval(samples[:7]); low != 1 || high != 12 {
		t.Errorf("interval of 7: %v to %v", low, high)
	}
	var twenty []float64
	for k := range 20 {
		twenty = append(twenty, float64(k+1))
	}
	if low, high := medianInterval(twenty); low != 6 || high != 15 {
		t.Errorf("interval of 20: %v to %v", low, high)
	}
}
