package app

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Never more than the limit are kept, nobody keeps more than it has, and what
// was there before goes only if the limit does not even let that stay.
func TestKeptConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "workers")
		few := rapid.IntRange(0, 20)
		live, before := rapid.SliceOfN(few, n, n).Draw(t, "live"), rapid.SliceOfN(few, n, n).Draw(t, "before")
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		got := kept(live, before, limit)
		all, there, sum := 0, 0, 0
		for i := range got {
			all, there, sum = all+live[i], there+min(live[i], before[i]), sum+got[i]
			if got[i] < 0 || got[i] > live[i] {
				t.Fatalf("%v of %v are kept", got, live)
			}
		}
		if sum != min(all, limit) {
			t.Fatalf("%v of %v are kept, %d may be", got, live, limit)
		}
		for i := range got {
			if there <= limit && got[i] < min(live[i], before[i]) {
				t.Fatalf("%v of %v are kept, there were %v, %d may be", got, live, before, limit)
			}
		}
	})
}

func prefixes(names ...string) (out []netip.Prefix) {
	for _, n := range names {
		out = append(out, netip.MustParsePrefix(n+"/32"))
	}
	return out
}

// Each server is told of those on the others that may stay: with what it has
// of them itself they are never more than the limit, and the oldest.
func TestNetworksElsewhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := prefixes("203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5")
		came := rapid.Permutation([]int64{1, 2, 3, 4, 5}).Draw(t, "came")
		known := map[netip.Prefix]device{}
		for i, n := range all {
			known[n] = device{born: came[i]}
		}
		here := make([][]netip.Prefix, rapid.IntRange(1, 4).Draw(t, "workers"))
		union := map[netip.Prefix]bool{}
		for i := range here {
			here[i] = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 5, func(n netip.Prefix) netip.Prefix { return n }).Draw(t, "here")
			for _, n := range here[i] {
				union[n] = true
			}
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		var oldest []netip.Prefix
		for n := range union {
			oldest = append(oldest, n)
		}
		slices.SortFunc(oldest, func(a, b netip.Prefix) int { return int(known[a].born - known[b].born) })
		oldest = oldest[:min(limit, len(oldest))]
		for i, list := range elsewhere(here, known, limit) {
			for _, n := range oldest {
				other := slices.ContainsFunc(here, func(ns []netip.Prefix) bool { return slices.Contains(ns, n) }) &&
					(!slices.Contains(here[i], n) || on(here, n) > 1)
				if slices.Contains(list, n) != other {
					t.Fatalf("worker %d of %v is told of %v, may stay %v", i, here, list, oldest)
				}
			}
			for _, n := range list {
				if !slices.Contains(oldest, n) {
					t.Fatalf("worker %d is told of %v, may stay %v", i, list, oldest)
				}
			}
		}
	})
}

func on(here [][]netip.Prefix, n netip.Prefix) (workers int) {
	for _, ns := range here {
		if slices.Contains(ns, n) {
			workers++
		}
	}
	return workers
}

// A device that has been silent for long keeps its place while there is room,
// and makes room on other servers when there is none; when another has come
// in its place it goes, though it is older.
func TestSilentDevicesMakeRoom(t *testing.T) {
	ns := prefixes("203.0.113.1", "203.0.113.2", "203.0.113.3")
	known := map[netip.Prefix]device{ns[0]: {born: 1, silent: true}, ns[1]: {born: 2}, ns[2]: {born: 3}}
	for _, tt := range []struct {
		name  string
		limit int
		here  [][]netip.Prefix
		want  [][]netip.Prefix
	}{
		{"room", 3, [][]netip.Prefix{{ns[0]}, {ns[1]}}, [][]netip.Prefix{{ns[1]}, {ns[0]}}},
		{"no room", 2, [][]netip.Prefix{{ns[0]}, {ns[1]}}, [][]netip.Prefix{{ns[1]}, nil}},
		{"another has come", 2, [][]netip.Prefix{{ns[0]}, {ns[1], ns[2]}}, [][]netip.Prefix{{ns[1], ns[2]}, nil}},
	} {
		for i, got := range elsewhere(tt.here, known, tt.limit) {
			if !slices.Equal(got, tt.want[i]) {
				t.Errorf("%s: worker %d is told of %v, want %v", tt.name, i, got, tt.want[i])
			}
		}
	}
}
