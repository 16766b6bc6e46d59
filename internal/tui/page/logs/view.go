package logs

import (
	"slices"
	"sort"

	"vpn/internal/vpn"
)

// view is which lines of the ring are shown, which of them are matches, and
// where one is among them. It keeps numbers of lines, so that it loses its
// place neither when lines come nor when the oldest go.
type view struct {
	ring   *ring
	level  vpn.LogLevel // the least; empty: all
	source string       // whose; empty: all
	query  query
	only   bool // only matches are shown

	kept   []int // lines that level and source let through
	found  []int // those of them that query is in
	judged int   // lines before this were

	at     int // the line under the cursor
	top    int // the first on the screen
	follow bool
	left   int // when it stopped to follow, the line that was to come
}

// keeps reports whether level and source let a line through.
func (v *view) keeps(e entry) bool {
	if v.level != "" && !vpn.LogLevels()[e.level].AtLeast(v.level) {
		return false
	}
	return v.source == "" || v.ring.sources[e.source] == v.source
}

// judge looks at the lines that came, and forgets those that went.
func (v *view) judge() {
	first := v.ring.first()
	v.kept = v.kept[sort.SearchInts(v.kept, first):]
	v.found = v.found[sort.SearchInts(v.found, first):]
	from := max(v.judged, first)
	for _, c := range v.ring.chunks {
		for i := max(from-c.first, 0); i < len(c.entries); i++ {
			if v.keeps(c.entries[i]) {
				v.kept = append(v.kept, c.first+i)
			}
		}
	}
	v.search(from)
	v.judged = v.ring.next
	v.settle()
}

// search looks for the query in the lines from a number on.
func (v *view) search(from int) {
	for _, n := range v.ring.find(v.query, from) {
		if v.keeps(v.ring.entry(n)) {
			v.found = append(v.found, n)
		}
	}
}

// look sets what is searched for. If it is not where the cursor is, the
// cursor goes to the last before it, or else to the next.
func (v *view) look(text string) {
	v.query = newQuery(text)
	v.found = v.found[:0]
	v.search(v.ring.first())
	if len(v.found) == 0 {
		v.only = v.only && text != ""
		v.settle()
		return
	}
	if i, ok := slices.BinarySearch(v.found, v.at); !ok {
		v.put(v.found[max(i-1, 0)])
	}
}

// filter sets whose lines, and of which weight, are shown.
func (v *view) filter(level vpn.LogLevel, source string) {
	v.level, v.source = level, source
	v.kept, v.found, v.judged = nil, nil, 0
	v.judge()
}

// shown is the lines that can be on the screen.
func (v *view) shown() []int {
	if v.only && !v.query.empty() {
		return v.found
	}
	return v.kept
}

// index returns where a line, or the next that is shown, is among them.
func (v *view) index(number int) int {
	return max(min(sort.SearchInts(v.shown(), number), len(v.shown())-1), 0)
}

// settle keeps the cursor on a line that is shown.
func (v *view) settle() {
	s := v.shown()
	switch {
	case len(s) == 0:
		v.at = v.ring.next
	case v.follow:
		v.at = s[len(s)-1]
	default:
		v.at = s[v.index(v.at)]
	}
}

// put puts the cursor on a line. It follows no more if that is not the last.
func (v *view) put(number int) {
	s := v.shown()
	if len(s) == 0 {
		return
	}
	v.at = number
	v.at = s[v.index(number)]
	if v.at != s[len(s)-1] {
		v.pause()
	}
}

func (v *view) pause() {
	if v.follow {
		v.follow, v.left = false, v.ring.next
	}
}

// goOn goes to the last line and follows from there.
func (v *view) goOn() {
	v.follow = true
	v.settle()
}

// move moves the cursor by d lines. Downwards from the last it follows again.
func (v *view) move(d int) {
	s := v.shown()
	if len(s) == 0 {
		return
	}
	i := v.index(v.at) + d
	if d > 0 && i >= len(s)-1 {
		v.goOn()
		return
	}
	v.put(s[max(i, 0)])
}

// match goes to the next match, or to the one before, round and round.
func (v *view) match(d int) {
	if len(v.found) == 0 {
		return
	}
	i, ok := slices.BinarySearch(v.found, v.at)
	switch {
	case d < 0:
		i--
	case ok:
		i++
	}
	v.put(v.found[(i+len(v.found))%len(v.found)])
}

// rank returns which of the matches is the last one up to the cursor, from 1
// on.
func (v *view) rank() int { return sort.SearchInts(v.found, v.at+1) }

// below returns how many lines came since it stopped to follow.
func (v *view) below() int {
	if v.follow {
		return 0
	}
	s := v.shown()
	return len(s) - sort.SearchInts(s, v.left)
}
