package client

import (
	"context"
	"net/http"

	"vpn/internal/vpn"
)

// Devices are the requests about users' credentials. A user is given by name
// or ID.
type Devices struct{ c *caller }

// Add gives a user credentials for a device.
func (d *Devices) Add(ctx context.Context, user string, in vpn.NewDevice) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, d.c, http.MethodPost, "users", user, "/devices", in)
}

// List returns a user's devices, by name.
func (d *Devices) List(ctx context.Context, user string) ([]vpn.Device, error) {
	return callOn[[]vpn.Device](ctx, d.c, http.MethodGet, "users", user, "/devices", nil)
}

// Remove takes a device's credentials away and closes its connections.
func (d *Devices) Remove(ctx context.Context, user, device string) (vpn.UserChange, error) {
	name, err := segment(device)
	if err != nil {
		return vpn.UserChange{}, err
	}
	return callOn[vpn.UserChange](ctx, d.c, http.MethodDelete, "users", user, "/devices/"+name, nil)
}

// Rotate makes credentials of a user anew.
func (d *Devices) Rotate(ctx context.Context, user string, in vpn.Rotation) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, d.c, http.MethodPost, "users", user, "/rotate", in)
}
