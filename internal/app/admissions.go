package app

import (
	"cmp"
	"net/netip"
	"slices"
)

// A device is a source network of a user.
type device struct {
	born   int64 // when it came
	silent bool  // for so long that another may take its place
}

// elsewhere returns, for each worker, which networks count against a user's
// devices there because they are on others. here are the networks on each
// worker, what is known of them, and limit how many there may be. Of too many
// those stay that are in use, the oldest first: a newer one is in nobody's
// list, and whoever has it has to cut it, as there is no room for it beside
// its list. When there are as many as may be, the silent ones are in no list
// either, so that another server lets in who comes in their place.
func elsewhere(here [][]netip.Prefix, known map[netip.Prefix]device, limit int) [][]netip.Prefix {
	on := map[netip.Prefix][]int{}
	for i, networks := range here {
		for _, n := range networks {
			on[n] = append(on[n], i)
		}
	}
	admitted := make([]netip.Prefix, 0, len(on))
	for n := range on {
		admitted = append(admitted, n)
	}
	slices.SortFunc(admitted, func(a, b netip.Prefix) int {
		x, y := known[a], known[b]
		if x.silent != y.silent {
			if x.silent {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(x.born, y.born), a.Compare(b))
	})
	if len(admitted) >= limit {
		admitted = slices.DeleteFunc(admitted[:limit], func(n netip.Prefix) bool { return known[n].silent })
	}
	slices.SortFunc(admitted, netip.Prefix.Compare)
	out := make([][]netip.Prefix, len(here))
	for i := range here {
		for _, n := range admitted {
			if len(on[n]) > 1 || on[n][0] != i {
				out[i] = append(out[i], n)
			}
		}
	}
	return out
}

// kept returns how many of a user's connections each worker may keep, live
// being how many there are and before how many it was allowed when it was
// last looked at. Of too many those have to go that have come since then.
func kept(live, before []int, limit int) []int {
	out := make([]int, len(live))
	total, sum := 0, 0
	for i, n := range live {
		total += n
		out[i] = min(n, before[i])
		sum += out[i]
	}
	if limit == 0 || total <= limit {
		return slices.Clone(live)
	}
	for ; sum < limit; sum++ { // room for some of the new
		i := 0
		for j := range live {
			if live[j]-out[j] > live[i]-out[i] {
				i = j
			}
		}
		out[i]++
	}
	for ; sum > limit; sum-- { // the limit has become less
		i := 0
		for j := range out {
			if out[j] > out[i] {
				i = j
			}
		}
		out[i]--
	}
	return out
}
