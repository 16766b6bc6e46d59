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

// fieldsOf answers with those fields of each thing in a list.
func fieldsOf[T any](list []T, paths []string) (*huma.StreamResponse, error) {
	known := fields.Of[T]()
	for _, path := range paths {
		if !slices.Contains(known, path) {
			return nil, unknownField(path, known)
		}
	}
	b, err := fields.Append(make([]byte, 0, 2+128*len(list)), list, paths)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		hc.SetHeader("Content-Length", strconv.Itoa(len(b))) // whoever reads it needs one buffer
		hc.SetStatus(http.StatusOK)
		_, _ = hc.BodyWriter().Write(b) // the client may have gone
	}}, nil
}

func unknownField(path string, known []string) error {
	err := vpn.Errorf(vpn.Invalid, "there is no field %q", path)
	if near, ok := vpn.Nearest(path, known); ok {
		return err.WithHint("did you mean %s? there is: %s", near, strings.Join(known, ", "))
	}
	return err.WithHint("there is: %s", strings.Join(known, ", "))
}
