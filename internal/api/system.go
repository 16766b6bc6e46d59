package api

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// System are the use cases about the installation as a whole.
type System interface {
	Status(ctx context.Context) (vpn.Status, error)
	Host(ctx context.Context) (vpn.Host, error)
	Events(ctx context.Context, limit int) ([]vpn.Event, error)
	FollowEvents(ctx context.Context, last int) (iter.Seq[[]vpn.Event], error)
	Logs(ctx context.Context, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error)
	Configuration(ctx context.Context) (vpn.Configuration, error)
	Configure(ctx context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error)
	Reload(ctx context.Context) (vpn.Reload, error)
	Upgrade(ctx context.Context) (vpn.Upgrade, error)
}

type someEvents struct {
	Limit  int  `query:"limit" minimum:"0" maximum:"10000" default:"100" doc:"at most so many"`
	Follow bool `query:"follow" doc:"begin with the last of them, the oldest first, and go on with what happens from now on: a JSON object a line"`
}

type logQuery struct {
	Follow bool         `query:"follow" doc:"go on with what is logged from now on"`
	Tail   int          `query:"tail" minimum:"0" maximum:"100000" default:"100" doc:"begin with so many of the last lines that are selected"`
	Level  vpn.LogLevel `query:"level" doc:"only what weighs as much at least: debug, info, warn or error"`
	Server string       `query:"server" doc:"only this server's, by name or ID, or: control plane"`
	Since  time.Time    `query:"since" doc:"not older"`
}

type reload struct {
	DryRun bool `query:"dry_run" doc:"check everything and answer, but change nothing"`
}

func addSystem(a *api, to either[System]) {
	system := to.real
	add(a, huma.Operation{
		OperationID: "system.status", Method: http.MethodGet, Path: "/v1/status",
		Summary: "Show the state of the installation",
	}, func(ctx context.Context, _ *struct{}) (*body[vpn.Status], error) {
		s, err := system.Status(ctx)
		s.Servers = orEmpty(s.Servers)
		if s.Users == nil {
			s.Users = map[vpn.UserStatus]int{}
		}
		return answer(s, err)
	})
	add(a, huma.Operation{
		OperationID: "system.host", Method: http.MethodGet, Path: "/v1/host",
		Summary: "Show how busy and how full the machine is",
	}, func(ctx context.Context, _ *struct{}) (*body[vpn.Host], error) {
		return answer(system.Host(ctx))
	})
	add(a, huma.Operation{
		OperationID: "system.events", Method: http.MethodGet, Path: "/v1/events",
		Summary:   "List what was changed, the newest first, or follow it",
		Responses: listOrLines[vpn.Event](a, "What was changed; followed, also what happens by itself, which is not kept"),
	}, func(ctx context.Context, in *someEvents) (*huma.StreamResponse, error) {
		if in.Follow {
			return lines(system.FollowEvents(ctx, in.Limit))
		}
		if in.Limit < 1 {
			return nil, vpn.Errorf(vpn.Invalid, "query parameter \"limit\": expected number >= 1").WithHint("GET /openapi.json describes every request")
		}
		return whole(system.Events(ctx, in.Limit))
	})
	add(a, huma.Operation{
		OperationID: "system.logs", Method: http.MethodGet, Path: "/v1/logs",
		Summary:   "Read the logs of the control plane and of all servers, merged by time",
		Responses: onlyLines[vpn.LogLine](a, "Lines, the oldest first"),
	}, func(ctx context.Context, in *logQuery) (*huma.StreamResponse, error) {
		return lines(system.Logs(ctx, vpn.LogQuery{Follow: in.Follow, Tail: in.Tail, Level: in.Level, Server: in.Server, Since: in.Since}))
	})
	add(a, huma.Operation{
		OperationID: "system.reload", Method: http.MethodPost, Path: "/v1/reload",
		Summary: "Read the configuration again",
	}, func(ctx context.Context, in *reload) (*body[vpn.Reload], error) {
		r, err := to.of(in.DryRun).Reload(ctx)
		r.Changed = orEmpty(r.Changed)
		return answer(r, err)
	})
	add(a, huma.Operation{
		OperationID: "system.upgrade", Method: http.MethodPost, Path: "/v1/upgrade",
		Summary:       "Go over to the program that is installed now, if it can take over; the next answer is its own",
		DefaultStatus: http.StatusAccepted,
	}, func(ctx context.Context, _ *struct{}) (*body[vpn.Upgrade], error) {
		return answer(system.Upgrade(ctx))
	})
}
