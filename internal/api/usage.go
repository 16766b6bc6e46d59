package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// Usage are the use cases about what is and was moved.
type Usage interface {
	History(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error)
	Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error)
	Sessions(ctx context.Context, f vpn.SessionFilter) ([]vpn.Session, error)
}

type historyQuery struct {
	Since  time.Time     `query:"since" required:"true" doc:"from then on"`
	Until  time.Time     `query:"until" doc:"until then; left out: until now"`
	Step   int64         `query:"step" minimum:"0" maximum:"31622400" doc:"seconds that are told together, in whole five minutes, or less than that of the last minutes; 0: all of it"`
	By     vpn.HistoryBy `query:"by" doc:"whose traffic is told apart: user, server or protocol"`
	User   string        `query:"user" doc:"only this user's, by name or ID"`
	Server string        `query:"server" doc:"only over this server, by name or ID"`
}

type ratesQuery struct {
	Since  time.Time     `query:"since" doc:"later samples only; left out: all that are kept"`
	By     vpn.HistoryBy `query:"by" doc:"whose speed is told apart: user, server or protocol"`
	User   string        `query:"user" doc:"only this user's, by name or ID"`
	Server string        `query:"server" doc:"only over this server, by name or ID"`
}

type sessionFilter struct {
	User   string `query:"user" doc:"only this user's, by name or ID"`
	Server string `query:"server" doc:"only on this server, by name or ID"`
}

func addUsage(a *api, usage Usage) {
	add(a, huma.Operation{
		OperationID: "usage.history", Method: http.MethodGet, Path: "/v1/usage", Summary: "Get what was moved over time",
	}, func(ctx context.Context, in *historyQuery) (*body[vpn.History], error) {
		return answer(usage.History(ctx, vpn.HistoryQuery{
			Since: in.Since, Until: in.Until, Step: time.Duration(in.Step) * time.Second, By: in.By, User: in.User, Server: in.Server,
		}))
	})
	add(a, huma.Operation{
		OperationID: "usage.rates", Method: http.MethodGet, Path: "/v1/rates", Summary: "Get how fast things were moved in each of the last seconds",
	}, func(ctx context.Context, in *ratesQuery) (*body[vpn.Rates], error) {
		r, err := usage.Rates(ctx, vpn.RatesQuery{Since: in.Since, By: in.By, User: in.User, Server: in.Server})
		r.Points = orEmpty(r.Points)
		return answer(r, err)
	})
	add(a, huma.Operation{
		OperationID: "usage.sessions", Method: http.MethodGet, Path: "/v1/sessions", Summary: "List the live connections of all servers",
	}, func(ctx context.Context, in *sessionFilter) (*body[[]vpn.Session], error) {
		return listed(usage.Sessions(ctx, vpn.SessionFilter{User: in.User, Server: in.Server}))
	})
}
