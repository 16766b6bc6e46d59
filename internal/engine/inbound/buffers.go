package inbound

import "sync"

// Buffers lends buffers of one size.
type Buffers struct{ pool sync.Pool }

// NewBuffers returns buffers of a size, of which it holds none yet.
func NewBuffers(size int) *Buffers {
	return &Buffers{sync.Pool{New: func() any {
		b := make([]byte, size)
		return &b
	}}}
}

// Borrow returns a buffer, and how to give it back.
func (p *Buffers) Borrow() (b []byte, release func()) {
	buf := p.pool.Get().(*[]byte)
	return *buf, func() { p.pool.Put(buf) }
}
