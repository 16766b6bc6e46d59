package firewall

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// registers are those of one rule's expressions. What was never loaded is not
// known.
type registers struct {
	value, known [64]byte
	source       int // where the source address was loaded to, from its first byte; -1: nowhere
}

// place returns the offset of a register: there are four of 16 bytes, which
// are sixteen of 4 bytes, too.
func place(register uint32) (int, bool) {
	switch {
	case register >= 1 && register <= 4:
		return int(register-1) * 16, true
	case register >= 8 && register < 24:
		return int(register-8) * 4, true
	}
	return 0, false
}

func (x *registers) load(register uint32, p partial) {
	at, ok := place(register)
	if !ok {
		return
	}
	n := copy(x.value[at:], p.value)
	copy(x.known[at:], p.known)
	for ; n%4 != 0 && at+n < len(x.value); n++ { // the kernel clears the rest of the word
		x.value[at+n], x.known[at+n] = 0, 0xff
	}
	if x.source == at {
		x.source = -1
	}
}

func (x *registers) get(register uint32, n int) partial {
	at, ok := place(register)
	if !ok || at+n > len(x.value) {
		return unknown(n)
	}
	return partial{x.value[at : at+n], x.known[at : at+n]}
}

// blank reports whether nothing is known of what was loaded.
func (x *registers) blank(register uint32, n int) bool {
	for _, k := range x.get(register, min(n, len(x.value))).known {
		if k != 0 {
			return false
		}
	}
	return true
}

func data(as attributes, kind uint16) []byte { return as.nest(kind)[unix.NFTA_DATA_VALUE] }

func verdictOf(as attributes) verdict {
	return verdict{
		code:  int32(as.number(unix.NFTA_VERDICT_CODE)), //nolint:gosec // it is signed
		chain: as.text(unix.NFTA_VERDICT_CHAIN),
	}
}

func (x *registers) immediate(as attributes) (answer, []verdict) {
	nest := as.nest(unix.NFTA_IMMEDIATE_DATA)
	if nest.has(unix.NFTA_DATA_VERDICT) {
		return yes, []verdict{verdictOf(nest.nest(unix.NFTA_DATA_VERDICT))}
	}
	x.load(as.number(unix.NFTA_IMMEDIATE_DREG), certain(nest[unix.NFTA_DATA_VALUE]...))
	return yes, nil
}

func (x *registers) compute(name string, as attributes) answer {
	switch name {
	case "cmp":
		want := data(as, unix.NFTA_CMP_DATA)
		register := as.number(unix.NFTA_CMP_SREG)
		got := x.get(register, len(want))
		if at, ok := place(register); ok && at == x.source && loopback(want) {
			got = certain(make([]byte, len(want))...) // strangers do not come from there
		}
		return got.compare(as.number(unix.NFTA_CMP_OP), want)
	case "range":
		from, to := data(as, unix.NFTA_RANGE_FROM_DATA), data(as, unix.NFTA_RANGE_TO_DATA)
		got := x.get(as.number(unix.NFTA_RANGE_SREG), len(from))
		if !got.whole() || len(from) != len(to) {
			return maybe
		}
		within := answerOf(bytes.Compare(got.value, from) >= 0 && bytes.Compare(got.value, to) <= 0)
		if as.number(unix.NFTA_RANGE_OP) != 0 {
			return within.not()
		}
		return within
	case "bitwise":
		x.bitwise(as)
	case "byteorder":
		x.byteorder(as)
	}
	return yes
}

// loopback reports whether an address, or the beginning of one, is on this
// host's inside.
func loopback(b []byte) bool {
	if len(b) > 4 {
		return bytes.Equal(b, []byte{15: 1})
	}
	return len(b) > 0 && b[0] == 127
}

func (p partial) whole() bool {
	for _, k := range p.known {
		if k != 0xff {
			return false
		}
	}
	return true
}

// equals compares as far as the bits are known.
func (p partial) equals(b []byte) answer {
	if len(b) != len(p.value) {
		return maybe
	}
	for i, k := range p.known {
		if (p.value[i]^b[i])&k != 0 {
			return no
		}
	}
	if p.whole() {
		return yes
	}
	return maybe
}

func (p partial) compare(op uint32, with []byte) answer {
	switch op {
	case unix.NFT_CMP_EQ:
		return p.equals(with)
	case unix.NFT_CMP_NEQ:
		return p.equals(with).not()
	}
	if !p.whole() {
		return maybe
	}
	c := bytes.Compare(p.value, with)
	switch op {
	case unix.NFT_CMP_LT:
		return answerOf(c < 0)
	case unix.NFT_CMP_LTE:
		return answerOf(c <= 0)
	case unix.NFT_CMP_GT:
		return answerOf(c > 0)
	case unix.NFT_CMP_GTE:
		return answerOf(c >= 0)
	}
	return maybe
}

// bitwise keeps the bits of a mask, and flips those of another.
func (x *registers) bitwise(as attributes) {
	const attrOp = 6 // NFTA_BITWISE_OP; 0 and absent mean mask and xor
	n := int(as.number(unix.NFTA_BITWISE_LEN))
	mask, xor := data(as, unix.NFTA_BITWISE_MASK), data(as, unix.NFTA_BITWISE_XOR)
	from, to := as.number(unix.NFTA_BITWISE_SREG), as.number(unix.NFTA_BITWISE_DREG)
	if n > len(x.value) {
		return
	}
	out := unknown(n)
	if as.number(attrOp) == 0 && len(mask) == n && len(xor) == n {
		in := x.get(from, n)
		for i := range n {
			out.value[i] = in.value[i]&mask[i] ^ xor[i]
			out.known[i] = in.known[i] | ^mask[i]
		}
	}
	at, ok := place(from)
	ofSource := ok && at == x.source
	x.load(to, out)
	if ofSource {
		x.source, _ = place(to)
	}
}

// byteorder turns numbers between the host's order and the network's.
func (x *registers) byteorder(as attributes) {
	n, size := int(as.number(unix.NFTA_BYTEORDER_LEN)), int(as.number(unix.NFTA_BYTEORDER_SIZE))
	if n > len(x.value) || size == 0 || n%size != 0 {
		return
	}
	in, out := x.get(as.number(unix.NFTA_BYTEORDER_SREG), n), unknown(n)
	var one [2]byte
	binary.NativeEndian.PutUint16(one[:], 1)
	for i := range n {
		from := i
		if one[0] == 1 {
			from = i/size*size + size - 1 - i%size
		}
		out.value[i], out.known[i] = in.value[from], in.known[from]
	}
	x.load(as.number(unix.NFTA_BYTEORDER_DREG), out)
}

func (w *walker) lookup(c *chain, x *registers, as attributes) (answer, []verdict) {
	key := setKey{c.family, c.table, as.text(unix.NFTA_LOOKUP_SET)}
	register := as.number(unix.NFTA_LOOKUP_SREG)
	if !as.has(unix.NFTA_LOOKUP_DREG) && x.blank(register, w.kinds[key].keyLen) {
		return maybe, nil // a list of sources, perhaps a long one, is not worth to be read
	}
	s := w.set(key)
	if !as.has(unix.NFTA_LOOKUP_DREG) {
		found, _ := s.find(x, register)
		if as.number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
			found = found.not()
		}
		return found, nil
	}
	found, e := s.find(x, register)
	to := as.number(unix.NFTA_LOOKUP_DREG)
	switch {
	case found == no:
		return no, nil
	case to != 0: // a map of values
		x.load(to, unknown(16))
		return found, nil
	case found == yes && e.verdict != nil:
		return yes, []verdict{verdictOf(e.verdict)}
	}
	var all []verdict
	for _, e := range s.elements {
		if e.verdict != nil {
			all = append(all, verdictOf(e.verdict))
		}
	}
	if s.unknown || s.fallback != nil {
		all = append(all, verdict{code: unsure})
	}
	return maybe, all
}

// find looks for what is in a register; with yes comes the element.
func (s *set) find(x *registers, register uint32) (answer, *element) {
	if s.unknown {
		return maybe, nil
	}
	found, at := no, (*element)(nil)
	for i := range s.elements {
		e := &s.elements[i]
		key := x.get(register, len(e.key))
		if s.interval {
			if !key.whole() {
				return maybe, nil
			}
			if bytes.Compare(e.key, key.value) > 0 {
				break // they are in order
			}
			if found, at = yes, e; e.end {
				found, at = no, nil
			}
			continue
		}
		switch key.equals(e.key) {
		case yes:
			return yes, e
		case maybe:
			found = maybe
		}
	}
	if found == no && s.fallback != nil {
		return yes, s.fallback
	}
	return found, at
}
