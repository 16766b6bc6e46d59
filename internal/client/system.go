package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vpn/internal/vpn"
)

// System are the requests about the installation as a whole.
type System struct{ c *caller }

// Status returns the state of the installation.
func (s *System) Status(ctx context.Context) (vpn.Status, error) {
	return call[vpn.Status](ctx, s.c, http.MethodGet, "/v1/status", nil)
}

// Host returns how busy and how full the machine of the control plane is.
func (s *System) Host(ctx context.Context) (vpn.Host, error) {
	return call[vpn.Host](ctx, s.c, http.MethodGet, "/v1/host", nil)
}

// Logs returns the lines that q selects of the control plane's log and of the
// servers', merged by time.
func (s *System) Logs(ctx context.Context, q vpn.LogQuery) (*Stream[vpn.LogLine], error) {
	query := url.Values{"tail": {strconv.Itoa(q.Tail)}, "follow": {strconv.FormatBool(q.Follow)}}
	setIf(query, "level", string(q.Level))
	setIf(query, "server", q.Server)
	if !q.Since.IsZero() {
		query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	return openStream[vpn.LogLine](ctx, s.c, withValues("/v1/logs", query))
}

// Reload makes the daemon read its configuration again.
func (s *System) Reload(ctx context.Context) (vpn.Reload, error) {
	return call[vpn.Reload](ctx, s.c, http.MethodPost, "/v1/reload", nil)
}

// Upgrade makes the daemon go over to the program that is installed now. It
// returns when that was found fit; [System.Status] tells when it answers.
func (s *System) Upgrade(ctx context.Context) (vpn.Upgrade, error) {
	return call[vpn.Upgrade](ctx, s.c, http.MethodPost, "/v1/upgrade", nil)
}

// Events returns at most limit events, the newest first.
func (s *System) Events(ctx context.Context, limit int) ([]vpn.Event, error) {
	return call[[]vpn.Event](ctx, s.c, http.MethodGet, fmt.Sprintf("/v1/events?limit=%d", limit), nil)
}

// FollowEvents returns the last events, at most so many, the oldest first,
// and then what happens, until ctx or the daemon ends or the stream is
// closed. It returns once nothing that happens can be missed.
func (s *System) FollowEvents(ctx context.Context, last int) (*Stream[vpn.Event], error) {
	return openStream[vpn.Event](ctx, s.c, fmt.Sprintf("/v1/events?follow=true&limit=%d", last))
}
