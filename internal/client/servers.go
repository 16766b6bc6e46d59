package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vpn/internal/vpn"
)

// Servers are the requests about servers. A server is given by name or ID.
type Servers struct{ c *caller }

// Create makes a server, gives every user access and starts it.
func (s *Servers) Create(ctx context.Context, in vpn.NewServer) (vpn.ServerChange, error) {
	return call[vpn.ServerChange](ctx, s.c, http.MethodPost, "/v1/servers", in)
}

// List returns the servers, by name.
func (s *Servers) List(ctx context.Context) ([]vpn.ServerInfo, error) {
	return call[[]vpn.ServerInfo](ctx, s.c, http.MethodGet, "/v1/servers", nil)
}

// Show returns one server with its live sessions.
func (s *Servers) Show(ctx context.Context, server string) (vpn.ServerDetail, error) {
	return callOn[vpn.ServerDetail](ctx, s.c, http.MethodGet, "servers", server, "", nil)
}

// Update changes the fields that are set in p or, with its DryRun, says what
// that would mean.
func (s *Servers) Update(ctx context.Context, server string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	return callOn[vpn.ServerChange](ctx, s.c, http.MethodPatch, "servers", server, "", p)
}

// Start starts a server.
func (s *Servers) Start(ctx context.Context, server string) (vpn.ServerChange, error) {
	return callOn[vpn.ServerChange](ctx, s.c, http.MethodPost, "servers", server, "/start", nil)
}

// Stop stops a server, connections included.
func (s *Servers) Stop(ctx context.Context, server string) (vpn.ServerChange, error) {
	return callOn[vpn.ServerChange](ctx, s.c, http.MethodPost, "servers", server, "/stop", nil)
}

// Restart stops a server and starts it.
func (s *Servers) Restart(ctx context.Context, server string) (vpn.ServerChange, error) {
	return callOn[vpn.ServerChange](ctx, s.c, http.MethodPost, "servers", server, "/restart", nil)
}

// Delete stops a server and deletes it.
func (s *Servers) Delete(ctx context.Context, server string) (vpn.ServerChange, error) {
	return callOn[vpn.ServerChange](ctx, s.c, http.MethodDelete, "servers", server, "", nil)
}

// Logs returns the last tail lines of what a server has logged since then, and
// with follow what is logged from now on, until ctx ends or it is closed.
func (s *Servers) Logs(ctx context.Context, server string, follow bool, tail int, since time.Time) (io.ReadCloser, error) {
	query := url.Values{"tail": {strconv.Itoa(tail)}, "follow": {strconv.FormatBool(follow)}}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	path, err := pathOf("servers", server, withValues("/logs", query))
	if err != nil {
		return nil, err
	}
	return s.c.open(ctx, http.MethodGet, path, nil)
}
