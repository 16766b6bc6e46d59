// Package xfer moves bytes between a test's client and a server of its own
// beyond the proxy, at a chosen pace, and checks every one of them. Tests and
// benchmarks use the same traffic, so their numbers can be compared.
//
// It knows nothing of the product: a connection is whatever the caller dialed.
//
// A request is an operation, a count and a pace:
//
//	echo      the client sends count bytes, the server returns each as it comes
//	download  the server sends count bytes and their SHA-256
//	upload    the client sends count bytes, the server answers with the SHA-256 of what came
//	pull      the server sends count bytes, of which nobody makes a hash
//	push      the client sends count bytes, the server answers with one byte
package xfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	opEcho     = 'E'
	opDownload = 'D'
	opUpload   = 'U'
	opPull     = 'R'
	opPush     = 'W'
)

// request is what a client sends first. Its size, and the trailer's, count as
// payload like all else.
type request struct {
	op    byte
	count uint64
	rate  uint64 // bytes per second for what the server sends; 0: as fast as it goes
}

const requestSize = 17

func (r request) writeTo(w io.Writer) error {
	b := append(make([]byte, 0, requestSize), r.op)
	b = binary.BigEndian.AppendUint64(b, r.count)
	b = binary.BigEndian.AppendUint64(b, r.rate)
	_, err := w.Write(b)
	return err
}

func readRequest(r io.Reader) (request, error) {
	var b [requestSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return request{}, err
	}
	q := request{op: b[0], count: binary.BigEndian.Uint64(b[1:]), rate: binary.BigEndian.Uint64(b[9:])}
	switch q.op {
	case opEcho, opDownload, opUpload, opPull, opPush:
		return q, nil
	}
	return request{}, fmt.Errorf("unknown operation %q", q.op)
}

// block is what streams are made of. Its length is a prime, so that a piece
// lost, doubled or moved changes the hash.
//
//nolint:gochecknoglobals // a constant, for which the language has no literal
var block = sync.OnceValue(func() []byte {
	b := make([]byte, 1048573)
	src := rand.NewChaCha8([32]byte{'x', 'f', 'e', 'r'})
	_, _ = src.Read(b)
	return b
})

// stream yields the first n bytes of the endless repetition of block.
type stream struct {
	left uint64
	at   int
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	b := block()
	n := copy(p[:min(uint64(len(p)), s.left)], b[s.at:])
	s.at = (s.at + n) % len(b)
	s.left -= uint64(n)
	return n, nil
}

// send copies r to w at no more than rate bytes per second, in even steps of
// 10 ms; a rate of 0 is no limit.
func send(ctx context.Context, w io.Writer, r io.Reader, rate uint64) error {
	if rate == 0 {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, 128<<10))
		return err
	}
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	start, sent := time.Now(), int64(0)
	for {
		// What is due by now, so that a late tick is made up for.
		due := int64(float64(rate)*(time.Since(start)+step).Seconds()) - sent
		n, err := io.CopyN(w, r, due)
		sent += n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
