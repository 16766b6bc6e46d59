// Package fields is JSON of which somebody wants a few fields only, both ways:
// it writes those fields of a list's values, and reads what it has written. A
// list of 10,000 users takes a fraction of the time that encoding/json needs
// for it. What is left has the shape that it has in the whole.
//
// It is JSON as [json.Marshal] writes it, and no other: what Read does not know
// at sight, it leaves to [json.Unmarshal]. It knows no type of ours.
package fields

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Of lists the paths of all fields of T, such as limits.quota.
func Of[T any]() []string { return pathsIn(reflect.TypeFor[T](), "") }

// A Writer makes a list of T's: of each the fields that it was made for. Its
// methods must not be called concurrently.
type Writer[T any] struct {
	plan plan
	full [][]byte // chunks: one text that grows would be copied many times
	last []byte
}

const chunk = 64 << 10

// NewWriter returns a writer of the fields that paths lead to, of which each
// must be in [Of]; no paths are all fields.
func NewWriter[T any](paths []string) *Writer[T] {
	return &Writer[T]{plan: planOf(reflect.TypeFor[T](), paths), last: []byte{'['}}
}

// Add adds v to the list.
func (w *Writer[T]) Add(v *T) error {
	if len(w.last) > chunk {
		w.full, w.last = append(w.full, w.last), make([]byte, 0, chunk+chunk/8)
	}
	b := w.last
	if len(w.full) > 0 || len(b) > 1 {
		b = append(b, ',')
	}
	b, err := w.plan.append(b, reflect.ValueOf(v).Elem())
	if err != nil {
		return err
	}
	w.last = b
	return nil
}

// End ends the list and returns it, in parts that follow each other.
func (w *Writer[T]) End() [][]byte {
	return append(w.full, append(w.last, "]\n"...))
}

// A plan is how values of one type are written and read: fields of an object
// or, if it has none, the value.
type plan struct {
	fields []planned
	typ    reflect.Type
	own    bool // the type says itself what it is in JSON
}

type planned struct {
	key   string // quoted, with its colon
	index []int
	omit  func(reflect.Value) bool // nil: it is there always
	value plan
}

// planOf returns the plan of the fields that paths lead to; no paths are all.
func planOf(t reflect.Type, paths []string) plan {
	p := plan{typ: t, own: marshals(t)}
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
			p.fields = append(p.fields, planned{
				key: strconv.Quote(f.key) + ":", index: f.index, omit: f.omit, value: planOf(f.typ, parts),
			})
		}
	}
	return p
}

// append writes v, which can be addressed.
func (p *plan) append(b []byte, v reflect.Value) ([]byte, error) {
	if p.fields == nil {
		return p.leaf(b, v)
	}
	b = append(b, '{')
	begin := len(b)
	for i := range p.fields {
		f := &p.fields[i]
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
func (p *plan) leaf(b []byte, v reflect.Value) ([]byte, error) {
	if t, ok := v.Addr().Interface().(*time.Time); ok && t.Year() >= 0 && t.Year() <= 9999 {
		return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
	}
	if !p.own {
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

// pathsIn lists every path in t.
func pathsIn(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range jsonFields(t, nil) {
		out = append(append(out, prefix+f.key), pathsIn(f.typ, prefix+f.key+".")...)
	}
	return out
}
