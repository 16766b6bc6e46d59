package worker

import (
	"context"
	"net/http"

	"vpn/internal/vpn"
)

// SetCeilings sets the named users' ceilings and returns their counters
// afterwards. For another epoch than the worker's, and if its turn is not the
// next one, it fails with kind [vpn.Conflict].
func (c *Client) SetCeilings(ctx context.Context, epoch string, cs vpn.Ceilings) (vpn.Counters, error) {
	var out vpn.Counters
	err := c.call(ctx, callTimeout, http.MethodPut, "/v1/ceilings", wireCeilings{epoch, cs}, &out)
	return out, err
}

// Ceilings returns the ceilings that the worker holds.
func (c *Client) Ceilings(ctx context.Context) (vpn.Ceilings, error) {
	var out vpn.Ceilings
	err := c.call(ctx, callTimeout, http.MethodGet, "/v1/ceilings", nil, &out)
	return out, err
}

// SetShares says what of shared limits the named users may use. It fails as
// SetCeilings does.
func (c *Client) SetShares(ctx context.Context, epoch string, s vpn.Shares) error {
	return c.call(ctx, callTimeout, http.MethodPut, "/v1/shares", wireShares{epoch, s}, nil)
}

// Shares returns the shares that the worker holds.
func (c *Client) Shares(ctx context.Context) (vpn.Shares, error) {
	var out vpn.Shares
	err := c.call(ctx, callTimeout, http.MethodGet, "/v1/shares", nil, &out)
	return out, err
}
