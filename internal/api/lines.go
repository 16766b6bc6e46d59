package api

import (
	"encoding/json"
	"iter"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// This file is answers of which nobody knows the end: a JSON object a line
// (application/x-ndjson), each sent as soon as there is one.

const ndjson = "application/x-ndjson"

// lines answers with what comes, until that or the client ends.
func lines[T any](batches iter.Seq[[]T], err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", ndjson)
		hc.SetStatus(http.StatusOK)
		w := hc.BodyWriter()
		flush := flusher(w)
		if flush() != nil {
			return
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for batch := range batches {
			for _, x := range batch {
				if enc.Encode(x) != nil {
					return
				}
			}
			if flush() != nil {
				return
			}
		}
	}}, nil
}

// whole answers with a list, as operations do that cannot be followed.
func whole[T any](list []T, err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		hc.SetStatus(http.StatusOK)
		enc := json.NewEncoder(hc.BodyWriter())
		enc.SetEscapeHTML(false)
		_ = enc.Encode(orEmpty(list)) // the client may have gone
	}}, nil
}

// listOrLines describes an operation that answers with a list, or with the
// same things a line.
func listOrLines[T any](a *api, description string) map[string]*huma.Response {
	schemas := a.huma.OpenAPI().Components.Schemas
	return map[string]*huma.Response{"200": {Description: description, Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[[]T](), true, "")},
		ndjson:             {Schema: schemas.Schema(reflect.TypeFor[T](), true, "")},
	}}}
}

// onlyList describes an operation that answers with a list.
func onlyList[T any](a *api, description string) map[string]*huma.Response {
	r := listOrLines[T](a, description)
	delete(r["200"].Content, ndjson)
	return r
}

// onlyLines describes an operation that answers with things a line.
func onlyLines[T any](a *api, description string) map[string]*huma.Response {
	r := listOrLines[T](a, description)
	delete(r["200"].Content, "application/json")
	return r
}

// flusher returns what sends at once what was written to w.
func flusher(w any) func() error {
	if rw, ok := w.(http.ResponseWriter); ok {
		return http.NewResponseController(rw).Flush
	}
	return func() error { return nil }
}
