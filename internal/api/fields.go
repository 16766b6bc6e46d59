package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/fields"
	"vpn/internal/vpn"
)

// This file is answers of which a client wants some fields only.

// fieldsOf answers with those fields of each thing that each has.
func fieldsOf[T any](each func(func(*T) error) error, paths []string) (*huma.StreamResponse, error) {
	known := fields.Of[T]()
	for _, path := range paths {
		if !slices.Contains(known, path) {
			return nil, unknownField(path, known)
		}
	}
	w := fields.NewWriter[T](paths)
	if err := each(w.Add); err != nil {
		return nil, err
	}
	parts, length := w.End(), 0
	for _, b := range parts {
		length += len(b)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		hc.SetHeader("Content-Length", strconv.Itoa(length)) // whoever reads it needs one buffer
		hc.SetStatus(http.StatusOK)
		for _, b := range parts {
			if _, err := hc.BodyWriter().Write(b); err != nil {
				return // the client has gone
			}
		}
	}}, nil
}

func unknownField(path string, known []string) error {
	err := vpn.Errorf(vpn.Invalid, "there is no field %q", path)
	if near, ok := vpn.Nearest(path, known); ok {
		return err.WithHint("did you mean %s? there is: %s", near, strings.Join(known, ", "))
	}
	return err.WithHint("there is: %s", strings.Join(known, ", "))
}
