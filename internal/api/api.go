// Package api is the REST face of package app: it decodes a request strictly,
// calls one use case and encodes the answer. There is one file per noun, and
// the OpenAPI document follows from the same Go types.
//
// It decides nothing: who may ask and what is allowed is package app's
// business, and who asks has been put into the context before.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Config is what the API stands in front of. Every field must be set.
type Config struct {
	Users   Users
	Devices Devices
	Servers Servers
	Usage   Usage
	System  System
	DryRun  DryRun
	Log     *slog.Logger
	Version string // of the product, as the OpenAPI document names it
}

// DryRun are the same use cases, of which nothing is kept: they answer a
// change that is asked for with dry_run=true.
type DryRun struct {
	Users   Users
	Devices Devices
	Servers Servers
	System  System
}

// either picks between use cases that change something and those that only
// say what they would. Every operation that changes something has the
// parameter; one that has not refuses it, so that no dry run is ever real.
type either[T any] struct{ real, dry T }

func (e either[T]) of(dry bool) T {
	if dry {
		return e.dry
	}
	return e.real
}

// Handler serves the API. It answers every request, whatever it holds, with
// JSON, a log's text or an RFC 9457 problem; it never panics.
func Handler(c Config) http.Handler {
	configure()
	mux := http.NewServeMux()
	doc := newDocument(c.Version)
	a := &api{
		huma: humago.New(mux, huma.Config{
			OpenAPI: doc,
			Formats: map[string]huma.Format{
				"application/json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
				"json":             {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
			},
			DefaultFormat:                "application/json",
			RejectUnknownQueryParameters: true,
		}),
		log: c.Log,
	}
	addUsers(a, either[Users]{c.Users, c.DryRun.Users})
	addDevices(a, either[Devices]{c.Devices, c.DryRun.Devices})
	addServers(a, either[Servers]{c.Servers, c.DryRun.Servers})
	addUsage(a, c.Usage)
	addSystem(a, either[System]{c.System, c.DryRun.System})
	addConfig(a, either[System]{c.System, c.DryRun.System})
	mux.HandleFunc("GET /openapi.json", serveDocument(doc))
	return a.guard(mux)
}

type api struct {
	huma huma.API
	log  *slog.Logger
}

// body is the shape in which huma wants a request or an answer.
type body[T any] struct{ Body T }

// add adds one operation. What use returns as an error becomes a problem.
func add[I, O any](a *api, op huma.Operation, use func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := use(ctx, in)
		if err != nil {
			return nil, a.refuse(ctx, op.OperationID, err)
		}
		return out, nil
	})
}

// answer wraps what a use case returned.
func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{v}, nil
}

// listed is answer for a list.
func listed[T any](v []T, err error) (*body[[]T], error) { return answer(orEmpty(v), err) }

// orEmpty returns v as a list that is never null on the wire.
func orEmpty[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// guard answers what no operation does: paths and methods that there are not,
// and bugs.
func (a *api) guard(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) || r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the client has gone: nobody to answer
			}
			a.log.ErrorContext(r.Context(), "request panicked",
				slog.String("path", r.URL.Path), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			newProblem(errPanicked).write(w)
		}()
		defer drain(w, r.Body)
		r = r.WithContext(r.Context()) // a copy, whose body nobody else closes
		r.Body = io.NopCloser(r.Body)
		if _, pattern := mux.Handler(r); pattern == "" {
			mux.ServeHTTP(&unrouted{ResponseWriter: w, r: r}, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

const (
	maxDrain  = 16 << 20
	drainTime = 5 * time.Second
)

// drain reads what is left of a request that was refused before its end. A
// client that is still sending would find its connection closed, and never
// learn why.
func drain(w http.ResponseWriter, body io.Reader) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // in process there is none
	_, _ = io.CopyN(io.Discard, body, maxDrain)
}

func newDocument(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       "vpn",
			Version:     version,
			Description: "Users and servers of one installation. Whoever can open the socket may do everything.",
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
		},
	}
}

// serveDocument encodes doc when it is first asked for: a command that runs
// in process never needs it.
func serveDocument(doc *huma.OpenAPI) http.HandlerFunc {
	encode := sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(doc, "", "  ") })
	return func(w http.ResponseWriter, _ *http.Request) {
		b, err := encode()
		if err != nil {
			panic(fmt.Sprintf("encode OpenAPI document: %v", err))
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(append(b, '\n'))
	}
}
