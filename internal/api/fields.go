package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// This file is answers of which a client wants some fields only: a list of
// 10,000 users is encoded and decoded in a fraction of the time that all
// fields take. What is left has the shape that it has in the whole.

// fieldsOf answers with those fields of each thing in a list.
func fieldsOf[T any](list []T, fields []string) (*huma.StreamResponse, error) {
	t := reflect.TypeFor[T]()
	known := fieldPaths(t, "")
	for _, path := range fields {
		if !slices.Contains(known, path) {
			return nil, unknownField(path, known)
		}
	}
	w := newFieldWriter(t, fields)
	b := make([]byte, 0, 2+128*len(list))
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = w.append(b, reflect.ValueOf(&list[i]).Elem()); err != nil {
			return nil, err
		}
	}
	b = append(b, "]\n"...)
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
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

// A fieldWriter writes values of one type: fields of an object or, if it has
// none, the value.
type fieldWriter struct {
	fields []writtenField
	own    bool // the type says itself what it is in JSON
}

type writtenField struct {
	key   string // quoted, with its colon
	index []int
	omit  func(reflect.Value) bool // nil: it is there always
	value fieldWriter
}

// newFieldWriter returns a writer of the fields that paths lead to, such as
// limits.quota; no paths are all of it.
func newFieldWriter(t reflect.Type, paths []string) fieldWriter {
	w := fieldWriter{own: marshals(t)}
	for _, f := range jsonFields(t, nil) {
		var parts []string
		for _, path := range paths {
			if rest, ok := strings.CutPrefix(path, f.key+"."); ok {
				parts = append(parts, rest)
			}
		}
		whole := len(paths) == 0 || slices.Contains(paths, f.key)
		if whole {
			parts = nil
		}
		if whole || len(parts) > 0 {
			w.fields = append(w.fields, writtenField{
				key: strconv.Quote(f.key) + ":", index: f.index, omit: f.omit, value: newFieldWriter(f.typ, parts),
			})
		}
	}
	return w
}

// append writes v, which can be addressed.
func (w *fieldWriter) append(b []byte, v reflect.Value) ([]byte, error) {
	if w.fields == nil {
		return w.leaf(b, v)
	}
	b = append(b, '{')
	begin := len(b)
	for i := range w.fields {
		f := &w.fields[i]
		value := v.FieldByIndex(f.index)
		if f.omit != nil && f.omit(value) {
			continue
		}
		if len(b) > begin {
			b = append(b, ',')
		}
		b = append(b, f.key...)
		var err error
		if b, err = f.value.append(b, value); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// leaf writes v as [json.Marshal] does, the usual kinds without it.
func (w *fieldWriter) leaf(b []byte, v reflect.Value) ([]byte, error) {
	if t, ok := v.Addr().Interface().(*time.Time); ok && t.Year() >= 0 && t.Year() <= 9999 {
		return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
	}
	if !w.own {
		switch v.Kind() {
		case reflect.String:
			if s := v.String(); isPlain(s) {
				return append(append(append(b, '"'), s...), '"'), nil
			}
		case reflect.Bool:
			return strconv.AppendBool(b, v.Bool()), nil
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			return strconv.AppendInt(b, v.Int(), 10), nil
		case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			return strconv.AppendUint(b, v.Uint(), 10), nil
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return nil, fmt.Errorf("encode a field: %w", err)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...), nil
}

// isPlain reports whether nothing in s has to be escaped.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// A jsonField is a field of a struct as encoding/json names it.
type jsonField struct {
	key   string
	typ   reflect.Type
	index []int
	omit  func(reflect.Value) bool
}

// jsonFields returns the fields of t, those of embedded structs among them, or
// nil if t decides for itself what it is in JSON or is no struct.
func jsonFields(t reflect.Type, at []int) []jsonField {
	if t.Kind() != reflect.Struct || marshals(t) {
		return nil
	}
	var out []jsonField
	for f := range t.Fields() {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(slices.Clone(at), f.Index...)
		switch {
		case f.Anonymous && key == "":
			out = append(out, jsonFields(f.Type, index)...)
		case f.IsExported() && key != "-":
			if key == "" {
				key = f.Name
			}
			out = append(out, jsonField{key, f.Type, index, omission(options)})
		}
	}
	return out
}

// omission returns when a field is left out.
func omission(options string) func(reflect.Value) bool {
	for o := range strings.SplitSeq(options, ",") {
		switch o {
		case "omitzero":
			return func(v reflect.Value) bool {
				if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
					return z.IsZero()
				}
				return v.IsZero()
			}
		case "omitempty":
			return func(v reflect.Value) bool {
				switch v.Kind() {
				case reflect.Slice, reflect.Map, reflect.String:
					return v.Len() == 0
				case reflect.Struct:
					return false
				}
				return v.IsZero()
			}
		}
	}
	return nil
}

func marshals(t reflect.Type) bool {
	for _, i := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// fieldPaths lists every path in t.
func fieldPaths(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range jsonFields(t, nil) {
		out = append(append(out, prefix+f.key), fieldPaths(f.typ, prefix+f.key+".")...)
	}
	return out
}
