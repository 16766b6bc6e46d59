package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// Servers are the use cases about servers. A server is given by name or ID.
type Servers interface {
	Create(ctx context.Context, in vpn.NewServer) (vpn.ServerChange, error)
	List(ctx context.Context) ([]vpn.ServerInfo, error)
	Show(ctx context.Context, server string) (vpn.ServerDetail, error)
	Update(ctx context.Context, server string, p vpn.ServerPatch) (vpn.ServerChange, error)
	Start(ctx context.Context, server string) (vpn.ServerChange, error)
	Stop(ctx context.Context, server string) (vpn.ServerChange, error)
	Restart(ctx context.Context, server string) (vpn.ServerChange, error)
	Delete(ctx context.Context, server string) (vpn.ServerChange, error)

	// Logs returns text that may be closed twice, and while it is read.
	Logs(ctx context.Context, server string, follow bool, tail int, since time.Time) (io.ReadCloser, error)
}

// aServer is a request about one server.
type aServer struct {
	Server string `path:"server" doc:"name or ID"`
}

// changeServer is a request that changes one.
type changeServer struct {
	Server string `path:"server" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
}

type newServer struct {
	DryRun bool `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.NewServer
}

type serverPatch struct {
	Server string `path:"server" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.ServerPatch
}

type serverLogs struct {
	Server string `path:"server" doc:"name or ID"`
	Follow bool   `query:"follow" doc:"go on with what is logged from now on"`
	Tail   int    `query:"tail" minimum:"0" default:"100" doc:"begin with so many of the last lines"`

	Since time.Time `query:"since" doc:"not older"`
}

func addServers(a *api, to either[Servers]) {
	servers := to.real
	add(a, huma.Operation{
		OperationID: "servers.create", Method: http.MethodPost, Path: "/v1/servers",
		Summary: "Create a server, give every user access and start it", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *newServer) (*body[vpn.ServerChange], error) {
		return answer(to.of(in.DryRun).Create(ctx, in.Body))
	})
	add(a, huma.Operation{
		OperationID: "servers.list", Method: http.MethodGet, Path: "/v1/servers", Summary: "List the servers",
	}, func(ctx context.Context, _ *struct{}) (*body[[]vpn.ServerInfo], error) {
		return listed(servers.List(ctx))
	})
	add(a, huma.Operation{
		OperationID: "servers.show", Method: http.MethodGet, Path: "/v1/servers/{server}",
		Summary: "Show a server, with its live sessions",
	}, func(ctx context.Context, in *aServer) (*body[vpn.ServerDetail], error) {
		d, err := servers.Show(ctx, in.Server)
		d.Sessions = orEmpty(d.Sessions)
		return answer(d, err)
	})
	add(a, huma.Operation{
		OperationID: "servers.update", Method: http.MethodPatch, Path: "/v1/servers/{server}",
		Summary: "Change the fields and settings of a server that are given, or say what that would mean",
	}, func(ctx context.Context, in *serverPatch) (*body[vpn.ServerChange], error) {
		return answer(to.of(in.DryRun).Update(ctx, in.Server, in.Body))
	})
	addServerVerb(a, "start", "Start a server", either[serverVerb]{to.real.Start, to.dry.Start})
	addServerVerb(a, "stop", "Stop a server, connections included", either[serverVerb]{to.real.Stop, to.dry.Stop})
	addServerVerb(a, "restart", "Stop a server and start it", either[serverVerb]{to.real.Restart, to.dry.Restart})
	add(a, huma.Operation{
		OperationID: "servers.delete", Method: http.MethodDelete, Path: "/v1/servers/{server}",
		Summary: "Stop a server and delete it",
	}, func(ctx context.Context, in *changeServer) (*body[vpn.ServerChange], error) {
		return answer(to.of(in.DryRun).Delete(ctx, in.Server))
	})
	addServerLogs(a, servers)
}

type serverVerb func(context.Context, string) (vpn.ServerChange, error)

func addServerVerb(a *api, verb, summary string, to either[serverVerb]) {
	add(a, huma.Operation{
		OperationID: "servers." + verb, Method: http.MethodPost, Path: "/v1/servers/{server}/" + verb,
		Summary: summary,
	}, func(ctx context.Context, in *changeServer) (*body[vpn.ServerChange], error) {
		return answer(to.of(in.DryRun)(ctx, in.Server))
	})
}

func addServerLogs(a *api, servers Servers) {
	add(a, huma.Operation{
		OperationID: "servers.logs", Method: http.MethodGet, Path: "/v1/servers/{server}/logs",
		Summary: "Read the log of a server's worker",
		Responses: map[string]*huma.Response{"200": {
			Description: "Lines of text",
			Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, func(ctx context.Context, in *serverLogs) (*huma.StreamResponse, error) {
		logs, err := servers.Logs(ctx, in.Server, in.Follow, in.Tail, in.Since)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { stream(hc, logs) }}, nil
	})
}

// stream sends what src gives as soon as it gives it, until src ends or the
// client goes. It closes src.
func stream(hc huma.Context, src io.ReadCloser) {
	defer src.Close()
	stop := context.AfterFunc(hc.Context(), func() { _ = src.Close() })
	defer stop()

	hc.SetHeader("Content-Type", "text/plain; charset=utf-8")
	hc.SetStatus(http.StatusOK)
	w := hc.BodyWriter()
	flush := flusher(w)
	if err := flush(); err != nil {
		return
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			if flush() != nil {
				return
			}
		}
		if err != nil {
			return // a log has no trailer in which a read error could be told
		}
	}
}
