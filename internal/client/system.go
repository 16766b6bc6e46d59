package client

import (
	"context"
	"fmt"
	"net/http"

	"vpn/internal/vpn"
)

// System are the requests about the installation as a whole.
type System struct{ c *caller }

// Status returns the state of the installation.
func (s *System) Status(ctx context.Context) (vpn.Status, error) {
	return call[vpn.Status](ctx, s.c, http.MethodGet, "/v1/status", nil)
}

// Events returns at most limit events, the newest first.
func (s *System) Events(ctx context.Context, limit int) ([]vpn.Event, error) {
	return call[[]vpn.Event](ctx, s.c, http.MethodGet, fmt.Sprintf("/v1/events?limit=%d", limit), nil)
}
