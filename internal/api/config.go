package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

type configPatch struct {
	DryRun bool `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.ConfigPatch
}

func addConfig(a *api, to either[System]) {
	add(a, huma.Operation{
		OperationID: "config.show", Method: http.MethodGet, Path: "/v1/config",
		Summary: "Show the daemon's configuration, and where each value comes from",
	}, func(ctx context.Context, _ *struct{}) (*body[vpn.Configuration], error) {
		c, err := to.real.Configuration(ctx)
		c.Values = orEmpty(c.Values)
		return answer(c, err)
	})
	add(a, huma.Operation{
		OperationID: "config.update", Method: http.MethodPatch, Path: "/v1/config",
		Summary: "Change the configuration's file, if it is good then; a reload brings it into force",
	}, func(ctx context.Context, in *configPatch) (*body[vpn.ConfigChange], error) {
		c, err := to.of(in.DryRun).Configure(ctx, in.Body)
		c.Changes = orEmpty(c.Changes)
		return answer(c, err)
	})
}
