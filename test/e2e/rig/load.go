//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/xfer"
)

// A Load is users who move data, each on one connection that must not drop:
// 16 KiB there and back, 25 times a second. Every second one has TLS inside,
// and so is spliced.
type Load struct {
	conns    []*xfer.Conn
	patience time.Duration
	quit     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	errs     []error
}

// Load connects logins first to first+n-1 and keeps them busy until Stop.
func (c *Client) Load(t testing.TB, first, n int) *Load {
	t.Helper()
	l := &Load{quit: make(chan struct{}), conns: make([]*xfer.Conn, n), patience: 10 * time.Second}
	switch {
	case Slow():
		l.patience *= 3
	case c.Stall > 0:
		l.patience = c.Stall
	}
	var opening sync.WaitGroup
	limit := make(chan struct{}, 8)
	for k := range n {
		opening.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			conn, err := c.Open(ctx, first+k, k%2 == 1)
			if err != nil {
				l.fail(fmt.Errorf("login %d: connect: %w", first+k, err))
				return
			}
			l.conns[k] = conn
		})
	}
	opening.Wait()
	t.Cleanup(l.close)
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	for k, conn := range l.conns {
		l.wg.Go(func() {
			if err := l.run(conn); err != nil {
				l.fail(fmt.Errorf("login %d: %w", first+k, err))
			}
		})
	}
	return l
}

func (l *Load) run(conn *xfer.Conn) error {
	every := 40 * time.Millisecond
	if Slow() { // or a tunnel drowns in it
		every *= 10
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return nil
		case <-tick.C:
		}
		// A connection that only stalls is as bad as one that drops.
		if err := conn.SetDeadline(time.Now().Add(l.patience)); err != nil {
			return err
		}
		if err := conn.Echo(16 << 10); err != nil {
			return err
		}
	}
}

func (l *Load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// Err returns what has gone wrong so far.
func (l *Load) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}

// Stop ends the load between two exchanges, so that not one byte is under
// way, and returns what each user has moved. The connections stay open until
// the test ends: how a client program ends one is its own affair. It fails the
// test if a connection has dropped.
func (l *Load) Stop(t testing.TB) []vpn.Traffic {
	t.Helper()
	l.stop()
	if err := l.Err(); err != nil {
		t.Errorf("connections that nobody touched: %v", err)
	}
	moved := make([]vpn.Traffic, len(l.conns))
	for k, conn := range l.conns {
		moved[k] = vpn.Traffic{Up: conn.Sent(), Down: conn.Received()}
	}
	return moved
}

func (l *Load) stop() {
	l.mu.Lock()
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	l.mu.Unlock()
	l.wg.Wait()
}

func (l *Load) close() {
	l.stop()
	for _, conn := range l.conns {
		if conn != nil {
			conn.Close()
		}
	}
}
