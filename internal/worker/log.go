package worker

import (
	"context"
	"errors"
	"net/http"

	"vpn/internal/vpn"
)

// adjustable is what changes how the worker logs; nil: nothing does.
type adjustable func(vpn.Logging) error

func (set adjustable) putLog(r *http.Request) (any, error) {
	var in vpn.Logging
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if set == nil {
		return nil, vpn.Errorf(vpn.Invalid, "this worker's log cannot be changed")
	}
	return struct{}{}, set(in)
}

// SetLog changes how the worker logs, from now on and until its end. What the
// worker does not know is refused with kind [vpn.Invalid]. One of an earlier
// version, which logs as it always does, is no error.
func (c *Client) SetLog(ctx context.Context, l vpn.Logging) error {
	err := c.call(ctx, callTimeout, http.MethodPut, "/v1/log", l, nil)
	if errors.Is(err, errUnknownCall) {
		return nil
	}
	return err
}
