package xfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Conn is the client's end of a connection to a [Server]. One request at a
// time; the counts may be read meanwhile.
type Conn struct {
	net.Conn // what requests travel on
	raw      net.Conn

	received, sent atomic.Uint64
}

// NewConn returns a client on raw. With a config it speaks TLS inside.
func NewConn(raw net.Conn, config *tls.Config) *Conn {
	c := &Conn{raw: raw}
	c.Conn = &counted{Conn: raw, received: &c.received, sent: &c.sent}
	if config != nil {
		c.Conn = tls.Client(c.Conn, config)
	}
	return c
}

// Sent returns the bytes that were written to the connection, those of TLS
// included: the payload from the user.
func (c *Conn) Sent() uint64 { return c.sent.Load() }

// Received returns the bytes that were read from the connection.
func (c *Conn) Received() uint64 { return c.received.Load() }

// Echo sends n bytes and fails unless each comes back.
func (c *Conn) Echo(n int) error {
	if err := (request{op: opEcho, count: uint64(n)}).writeTo(c); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	sent := make([]byte, n)
	_, _ = io.ReadFull(&stream{left: uint64(n)}, sent)
	// A large echo fills the buffers both ways, so both ends must move.
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- err
	}()
	got := make([]byte, n)
	_, err := io.ReadFull(c, got)
	if err != nil {
		_ = c.Close() // or the writer may wait for ever
	}
	if werr := <-failed; werr != nil {
		return fmt.Errorf("send: %w", werr)
	}
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if !bytes.Equal(sent, got) {
		return errors.New("what came back differs from what was sent")
	}
	return nil
}

// Warm exchanges a few small records, as every real application does. Without
// them Vision does not find the boundary at which it may splice.
func (c *Conn) Warm() error {
	for range 3 {
		if err := c.Echo(1); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

// Download receives n bytes that the server sends at rate bytes per second (0:
// as fast as it can) and fails unless their hash is the server's and the one
// they should have.
func (c *Conn) Download(n, rate uint64) error {
	if err := (request{op: opDownload, count: n, rate: rate}).writeTo(c); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	sum := sha256.New()
	got, err := io.CopyBuffer(struct{ io.Writer }{sum}, io.LimitReader(c, int64(n)), make([]byte, 128<<10))
	if err := short(got, n, err); err != nil {
		return fmt.Errorf("receive after %d of %d bytes: %w", got, n, err)
	}
	return c.compare(n, sum.Sum(nil))
}

// Upload sends n bytes at rate bytes per second (0: as fast as it can) and
// fails unless the server has received just these.
func (c *Conn) Upload(ctx context.Context, n, rate uint64) error {
	if err := (request{op: opUpload, count: n}).writeTo(c); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	sum := sha256.New()
	if err := send(ctx, c, io.TeeReader(&stream{left: n}, sum), rate); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return c.compare(n, sum.Sum(nil))
}

// compare reads the server's hash of n bytes and holds it against ours, and
// ours against the one that the stream has.
func (c *Conn) compare(n uint64, ours []byte) error {
	theirs := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c, theirs); err != nil {
		return fmt.Errorf("receive hash: %w", err)
	}
	want := sha256.New()
	_, _ = io.Copy(want, &stream{left: n})
	if !bytes.Equal(ours, theirs) || !bytes.Equal(ours, want.Sum(nil)) {
		return fmt.Errorf("%d bytes arrived changed", n)
	}
	return nil
}

// Close ends the connection without a word of TLS. If no request is in flight,
// [Conn.Sent] and [Conn.Received] are then to the byte what the server has
// received and sent.
func (c *Conn) Close() error { return c.raw.Close() }

// Ended waits until the other side ends an idle connection, at most for d, and
// reports whether it did.
func (c *Conn) Ended(d time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(d))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// counted counts what passes through a connection.
type counted struct {
	net.Conn
	received, sent *atomic.Uint64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(uint64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(uint64(n))
	return n, err
}
