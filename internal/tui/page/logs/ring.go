package logs

import (
	"bytes"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// What the ring holds at most, and how much of it goes at once.
const (
	maxLines   = 20_000
	maxBytes   = 8 << 20
	chunkLines = 512
	chunkBytes = 256 << 10
	maxText    = 16 << 10 // of one line
)

// separator stands before each field of a line. It is no text that a line
// could have, and is shown as a space.
const separator = 0

// ring is the last lines, which are numbered from 0 on, in chunks: a line is
// some bytes of its chunk's text, and no object of its own. The oldest go by
// the chunk.
type ring struct {
	chunks  []*chunk
	next    int // the number of the line to come
	bytes   int
	sources []string
	number  map[string]uint16 // of a source, in sources
	scratch []byte            // what is searched
}

type chunk struct {
	first   int
	text    []byte // the lines, each with a line feed at its end
	entries []entry
}

// entry is all of a line but its text.
type entry struct {
	at      int64 // nanoseconds since 1970
	end     uint32
	message uint32 // bytes of it
	source  uint16
	level   uint8
}

// line is one line of the ring.
type line struct {
	number  int
	at      time.Time
	level   vpn.LogLevel
	source  string
	text    string // message and fields, separators between them
	message int    // bytes of the message
}

func newRing() *ring { return &ring{number: map[string]uint16{}} }

// first is the number of the oldest line.
func (r *ring) first() int {
	if len(r.chunks) == 0 {
		return r.next
	}
	return r.chunks[0].first
}

func (r *ring) len() int { return r.next - r.first() }

// add adds a line, and forgets the oldest if there are too many.
func (r *ring) add(l vpn.LogLine) {
	c := r.last()
	from := len(c.text)
	c.text = append(c.text, cut(widget.Clean(l.Message))...)
	message := len(c.text) - from
	for _, key := range fieldsOf(l) {
		c.text = append(c.text, separator)
		c.text = append(c.text, cut(widget.Clean(key))...)
		c.text = append(c.text, '=')
		c.text = append(c.text, quote(cut(widget.Clean(l.Fields[key])))...)
		if len(c.text)-from > maxText {
			break
		}
	}
	c.text = append(c.text, '\n')
	c.entries = append(c.entries, entry{
		at: l.At.UnixNano(), end: uint32(len(c.text)), message: uint32(message), source: r.source(widget.Clean(l.Source)),
		level: uint8(max(slices.Index(vpn.LogLevels(), l.Level), 0)),
	})
	r.next++
	r.bytes += len(c.text) - from
	for r.len() > maxLines || r.bytes > maxBytes {
		r.bytes -= len(r.chunks[0].text)
		r.chunks = slices.Delete(r.chunks, 0, 1)
	}
}

// last is the chunk for the next line.
func (r *ring) last() *chunk {
	if n := len(r.chunks); n > 0 {
		c := r.chunks[n-1]
		if len(c.entries) < chunkLines && len(c.text) < chunkBytes {
			return c
		}
		c.text = slices.Clip(append([]byte(nil), c.text...)) // it grows no more
	}
	r.chunks = append(r.chunks, &chunk{first: r.next, entries: make([]entry, 0, chunkLines)})
	return r.chunks[len(r.chunks)-1]
}

func (r *ring) source(name string) uint16 {
	n, ok := r.number[name]
	if !ok && len(r.sources) < 1<<16-1 {
		n = uint16(len(r.sources))
		r.sources = append(r.sources, name)
		r.number[name] = n
	}
	return n
}

// chunkOf returns the chunk of a line that is in the ring.
func (r *ring) chunkOf(number int) *chunk {
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].first > number })
	return r.chunks[i-1]
}

func (r *ring) has(number int) bool { return number >= r.first() && number < r.next }

func (r *ring) entry(number int) entry {
	c := r.chunkOf(number)
	return c.entries[number-c.first]
}

// line returns a line that is in the ring.
func (r *ring) line(number int) line {
	c := r.chunkOf(number)
	i := number - c.first
	e := c.entries[i]
	return line{
		number: number, at: time.Unix(0, e.at), level: vpn.LogLevels()[e.level], source: r.sources[e.source],
		text: string(c.text[c.begin(i) : e.end-1]), message: int(e.message),
	}
}

func (c *chunk) begin(i int) uint32 {
	if i == 0 {
		return 0
	}
	return c.entries[i-1].end
}

// find returns the lines from a number on that q is in.
func (r *ring) find(q query, from int) []int {
	var found []int
	if q.empty() {
		return nil
	}
	for _, c := range r.chunks {
		i := max(from-c.first, 0)
		if i >= len(c.entries) {
			continue
		}
		begin := int(c.begin(i))
		r.scratch = q.fold(r.scratch[:0], c.text[begin:])
		for pos := 0; ; {
			at := bytes.Index(r.scratch[pos:], q.text)
			if at < 0 {
				break
			}
			off := uint32(begin + pos + at)
			i += sort.Search(len(c.entries)-i, func(k int) bool { return c.entries[i+k].end > off })
			found = append(found, c.first+i)
			pos = int(c.entries[i].end) - begin
		}
	}
	return found
}

func fieldsOf(l vpn.LogLine) []string {
	keys := make([]string, 0, len(l.Fields))
	for k := range l.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func cut(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// quote makes one word of a field's value.
func quote(s string) string {
	if s == "" || strings.ContainsAny(s, ` "=`) {
		return strconv.Quote(s)
	}
	return s
}

// query is what is searched for. Without a capital letter it does not matter
// whether there are capital letters in the line, of those of ASCII.
type query struct {
	text   []byte
	folded bool
}

func newQuery(s string) query {
	return query{text: []byte(s), folded: strings.ToLower(s) == s}
}

func (q query) empty() bool { return len(q.text) == 0 }

// fold appends text to to as it is compared: separators are spaces.
func (q query) fold(to, text []byte) []byte {
	at := len(to)
	to = append(to, text...)
	for i, c := range to[at:] {
		switch {
		case c == separator:
			to[at+i] = ' '
		case q.folded && c >= 'A' && c <= 'Z':
			to[at+i] = c + 'a' - 'A'
		}
	}
	return to
}

// in returns where in a line's text q is: pairs of first byte and the byte
// behind.
func (q query) in(text string) [][2]int {
	if q.empty() {
		return nil
	}
	folded := q.fold(nil, []byte(text))
	var out [][2]int
	for pos := 0; ; {
		at := bytes.Index(folded[pos:], q.text)
		if at < 0 {
			return out
		}
		out = append(out, [2]int{pos + at, pos + at + len(q.text)})
		pos += at + len(q.text)
	}
}
