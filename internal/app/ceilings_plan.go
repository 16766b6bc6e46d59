package app

import "vpn/internal/vpn"

// fairTime is for how many seconds of what a user moves a part must last that
// is less than it should be.
const fairTime = 3

// A ceilingRound finds out what each of the purses is to be told.
type ceilingRound struct {
	held   []*holding // by purse; nil: not known
	tell   []bool     // who can be told something now
	first  map[vpn.UserID]uint64
	epochs []string
	purses []standing
	partly bool            // somebody is not to be told who could be
	out    [][]vpn.Ceiling // what each is to be told

	// Of the user who is looked at.
	have   []allowance // which each purse is known to hold,
	known  []bool      // if it is known
	most   []allowance // that each may hold
	shares []uint64    // of what is left, and of the rate beyond it
	paces  []uint64
}

// A standing is how a purse stands.
type standing struct {
	epoch        string
	silent, sure bool
}

// round begins with what is held now.
func (c *ceilings) round(purses []purse, target func(purse) bool) *ceilingRound {
	n := len(purses)
	r := &ceilingRound{
		held: make([]*holding, n), tell: make([]bool, n), first: c.first, epochs: make([]string, n), purses: make([]standing, n),
		out: make([][]vpn.Ceiling, n), have: make([]allowance, n), known: make([]bool, n), most: make([]allowance, n),
	}
	for i, p := range purses {
		h := c.held[p.epoch]
		r.held[i], r.epochs[i] = h, p.epoch
		r.purses[i] = standing{p.epoch, p.silent, h != nil && h.sure}
		r.tell[i] = !p.silent && h != nil && h.sure && target(p)
		r.partly = r.partly || !target(p)
	}
	return r
}

// lower finds out who has too much, and returns the users of whom not all is
// as it should be; the others it marks.
func (r *ceilingRound) lower(bs []budget) (todo []budget) {
	for k := range bs {
		b := &bs[k]
		r.look(b)
		if b.inOrder = r.fair(b); b.inOrder {
			continue
		}
		b.inOrder = true
		for i := range r.held {
			want := r.want(b, i)
			if b.inOrder = b.inOrder && r.known[i] && want == r.have[i]; !r.known[i] || !r.tell[i] {
				continue
			}
			want = allowance{min(want.bytes, r.have[i].bytes), min(want.pace, r.have[i].pace)}
			if want != r.have[i] {
				r.say(b, i, want)
			}
		}
		if !b.inOrder {
			todo = append(todo, *b)
		}
	}
	return todo
}

// raise finds out who may have more.
func (r *ceilingRound) raise(bs []budget) {
	for i := range r.out {
		r.out[i] = nil
	}
	for k := range bs {
		b := &bs[k]
		r.look(b)
		if r.fair(b) {
			continue
		}
		for i := range r.held {
			if !r.tell[i] {
				continue
			}
			have := r.have[i]
			want := r.within(r.want(b, i).or(have), b, i)
			if r.known[i] && want.bytes <= have.bytes && want.pace <= have.pace {
				continue
			}
			r.say(b, i, want)
			r.most[i] = r.most[i].or(want)
		}
	}
}

func (r *ceilingRound) say(b *budget, i int, want allowance) {
	r.out[i] = append(r.out[i], vpn.Ceiling{User: b.user, Bytes: want.bytes, Throttle: want.pace})
}

// look reads what the purses hold of a user's quota, and divides it.
func (r *ceilingRound) look(b *budget) {
	for i, h := range r.held {
		if h == nil { // whoever has not said what it holds
			r.have[i], r.known[i] = allowance{}, false
			r.most[i] = allowance{b.parts[i].count + r.first[b.user], b.pace}
			continue
		}
		r.have[i], r.known[i] = h.allowance(b.user)
		r.most[i] = r.have[i].or(h.asked[b.user])
	}
	r.shares, r.paces = b.shares(r.shares[:0]), b.paces(r.paces[:0])
}

// fair reports whether several workers have about what they should have: each
// half of it at least, or all if it would not last for some seconds, and
// together no more than is left. What is fair is left alone, or every byte
// that moves would move all the ceilings.
func (r *ceilingRound) fair(b *budget) bool {
	if len(r.held) < 2 || b.pace > 0 {
		return false
	}
	var sum uint64
	for i, h := range r.held {
		if h == nil || !h.sure {
			return false
		}
		have, share, demand := r.have[i], r.shares[i], b.parts[i].demand
		room := have.bytes - min(have.bytes, b.parts[i].count)
		scarce := room < fairTime*demand && room < share-share/16
		if !r.known[i] || have.pace > 0 || scarce || room < share/2 || share > 0 && room == 0 {
			return false
		}
		sum += min(room, vpn.MaxTraffic-sum)
	}
	return sum <= b.left
}

// want returns what worker i's part is.
func (r *ceilingRound) want(b *budget, i int) allowance {
	count, have := b.parts[i].count, r.have[i]
	want := allowance{count + r.shares[i], r.paces[i]}
	if b.pace > 0 {
		want.pace = max(want.pace, 1) // none would be one without a bound
	}
	if b.left == 0 && have.bytes <= count {
		want.bytes = have.bytes // it is reached: nothing rises with what passes beyond it
	}
	return want
}

// within returns no more of want than the other workers leave.
func (r *ceilingRound) within(want allowance, b *budget, i int) allowance {
	others := r.outstanding(b, i)
	want.bytes = min(want.bytes, b.parts[i].count+b.left-min(b.left, others.bytes))
	want.pace = min(want.pace, b.pace-min(b.pace, others.pace))
	if b.pace > 0 {
		want.pace = max(want.pace, 1)
	}
	return want
}

// outstanding returns what the workers other than i may still spend.
func (r *ceilingRound) outstanding(b *budget, i int) allowance {
	var sum allowance
	for j, spendable := range r.most {
		if j == i {
			continue
		}
		spendable.bytes -= min(spendable.bytes, b.parts[j].count)
		sum.bytes += min(spendable.bytes, vpn.MaxTraffic-sum.bytes)
		sum.pace += min(spendable.pace, vpn.MaxTraffic-sum.pace)
	}
	return sum
}
