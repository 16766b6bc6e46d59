package worker

import (
	"context"
	"net/http"
	"time"

	"vpn/internal/vpn"
)

// How long each way to end a worker may take before the next harder one. The
// first is longer than a worker's own patience with its engine.
const (
	stopTimeout      = 6 * time.Second
	exitTimeout      = 2 * time.Second
	terminateTimeout = 5 * time.Second
	killTimeout      = 5 * time.Second
)

// A stop is one attempt to end the worker in order.
type stop struct {
	over  chan struct{}
	final *vpn.Counters
	err   error
}

// Stop ends the worker in order, and by force if it does not follow. It
// returns once the process has ended, with the final counters, or with nil if
// the worker could not tell them here. A stop that has begun goes on when ctx
// ends; the next call joins it.
func (c *Client) Stop(ctx context.Context) (*vpn.Counters, error) {
	c.mu.Lock()
	if c.stop == nil {
		c.stop = &stop{over: make(chan struct{})}
		go c.end(context.WithoutCancel(ctx), c.stop)
	}
	s := c.stop
	c.mu.Unlock()
	select {
	case <-s.over:
		return s.final, s.err
	case <-ctx.Done():
		return nil, vpn.Errorf(vpn.Unavailable, "the worker is still stopping: %w", ctx.Err())
	}
}

// end goes through with s.
func (c *Client) end(ctx context.Context, s *stop) {
	defer close(s.over)
	select {
	case <-c.Done():
		return
	default:
	}
	if s.err = c.process.Resume(); s.err != nil {
		c.forget()
		return
	}
	var final vpn.Counters
	if c.call(ctx, stopTimeout, http.MethodPost, "/v1/stop", nil, &final) == nil {
		s.final = &final
		if c.ended(exitTimeout) {
			return
		}
	}
	if err := c.process.Terminate(); err == nil && c.ended(terminateTimeout) {
		return
	}
	if s.err = c.process.Kill(); s.err == nil && !c.ended(killTimeout) {
		s.err = vpn.Errorf(vpn.Unavailable, "the worker was killed and does not end")
	}
	if s.err != nil {
		c.forget()
	}
}

// forget makes the next Stop try again.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = nil
}

// Kill ends the worker at once and returns when its process has ended.
func (c *Client) Kill(ctx context.Context) error {
	if err := c.process.Kill(); err != nil {
		return err
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		return vpn.Errorf(vpn.Unavailable, "the worker was killed and does not end: %w", ctx.Err())
	}
}

// ended waits up to d for the process to end.
func (c *Client) ended(d time.Duration) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-c.Done():
		return true
	case <-late.C:
		return false
	}
}
