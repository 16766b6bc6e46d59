package client

import (
	"context"
	"net/http"

	"vpn/internal/vpn"
)

// Config are the requests about the daemon's configuration.
type Config struct{ c *caller }

// Show returns what is in force, and where each value comes from.
func (c *Config) Show(ctx context.Context) (vpn.Configuration, error) {
	return call[vpn.Configuration](ctx, c.c, http.MethodGet, "/v1/config", nil)
}

// Update changes the configuration's file. [System.Reload] brings it into
// force.
func (c *Config) Update(ctx context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	return call[vpn.ConfigChange](ctx, c.c, http.MethodPatch, "/v1/config", p)
}
