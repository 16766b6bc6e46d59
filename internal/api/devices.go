package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// Devices are the use cases about users' credentials. A user is given by name
// or ID.
type Devices interface {
	Add(ctx context.Context, user string, in vpn.NewDevice) (vpn.UserChange, error)
	Remove(ctx context.Context, user, device string) (vpn.UserChange, error)
	List(ctx context.Context, user string) ([]vpn.Device, error)
	Rotate(ctx context.Context, user string, in vpn.Rotation) (vpn.UserChange, error)
}

type newDevice struct {
	User   string `path:"user" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.NewDevice
}

type changeDevice struct {
	User   string `path:"user" doc:"name or ID"`
	Device string `path:"device" doc:"its name"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
}

type rotation struct {
	User   string `path:"user" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.Rotation
}

func addDevices(a *api, to either[Devices]) {
	add(a, huma.Operation{
		OperationID: "devices.add", Method: http.MethodPost, Path: "/v1/users/{user}/devices",
		Summary: "Give a user credentials for a device", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *newDevice) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Add(ctx, in.User, in.Body))
	})
	add(a, huma.Operation{
		OperationID: "devices.list", Method: http.MethodGet, Path: "/v1/users/{user}/devices",
		Summary: "List the devices that have credentials of their own",
	}, func(ctx context.Context, in *aUser) (*body[[]vpn.Device], error) {
		return listed(to.real.List(ctx, in.User))
	})
	add(a, huma.Operation{
		OperationID: "devices.remove", Method: http.MethodDelete, Path: "/v1/users/{user}/devices/{device}",
		Summary: "Take a device's credentials away and close its connections",
	}, func(ctx context.Context, in *changeDevice) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Remove(ctx, in.User, in.Device))
	})
	add(a, huma.Operation{
		OperationID: "users.rotate", Method: http.MethodPost, Path: "/v1/users/{user}/rotate",
		Summary: "Make a user's credentials anew",
	}, func(ctx context.Context, in *rotation) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Rotate(ctx, in.User, in.Body))
	})
}
