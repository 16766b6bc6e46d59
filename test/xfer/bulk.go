package xfer

import (
	"fmt"
	"io"
)

// Pull is [Conn.Download] for those who measure speed: as fast as it goes, and
// without hashes, which take about as much of a processor as a proxy does.
func (c *Conn) Pull(n uint64) error {
	if err := (request{op: opPull, count: n}).writeTo(c); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	if err := drain(c, n); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

// Push is [Conn.Upload] for those who measure speed. It returns when the server
// has received the last byte.
func (c *Conn) Push(n uint64) error {
	if err := (request{op: opPush, count: n}).writeTo(c); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	if err := pour(c, n); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var got [1]byte
	if _, err := io.ReadFull(c, got[:]); err != nil {
		return fmt.Errorf("receive answer: %w", err)
	}
	return nil
}

// pour writes n bytes from where they lie.
func pour(w io.Writer, n uint64) error {
	b := block()
	for n > 0 {
		k, err := w.Write(b[:min(n, uint64(len(b)))])
		if err != nil {
			return err
		}
		n -= uint64(k)
	}
	return nil
}

// drain reads n bytes and forgets them.
func drain(r io.Reader, n uint64) error {
	const size = 256 << 10
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(r, int64(n)), make([]byte, size))
	return short(got, n, err)
}
