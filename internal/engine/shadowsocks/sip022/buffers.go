package sip022

import "sync"

const (
	// smallSize is what a request is read into, with what comes along.
	smallSize = 4 << 10
	// largeSize is more than the largest chunk of a stream takes with its
	// length, its tags and the header of a reply; and more than a datagram.
	largeSize = 66 << 10
	// portionSize is how much of what a destination sends becomes one chunk.
	portionSize = maxChunkSize
)

// A buffer is one of the pools'.
type buffer struct{ b []byte }

//nolint:gochecknoglobals // a pool is the process's by nature
var (
	small = sync.Pool{New: func() any { return &buffer{make([]byte, smallSize)} }}
	large = sync.Pool{New: func() any { return &buffer{make([]byte, largeSize)} }}
)

func smallBuffer() *buffer { return small.Get().(*buffer) }
func largeBuffer() *buffer { return large.Get().(*buffer) }

// larger returns b, or a large buffer if b is a small one.
func (b *buffer) larger() *buffer {
	if len(b.b) == largeSize {
		return b
	}
	return largeBuffer()
}

// free gives b back.
func (b *buffer) free() {
	if len(b.b) == largeSize {
		large.Put(b)
	} else {
		small.Put(b)
	}
}
