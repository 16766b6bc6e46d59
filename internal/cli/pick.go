package cli

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

// This file is --json FIELDS: which fields a type has in JSON, and a document
// of which only some are left.

// A selection is the fields that are wanted of an object; one without any
// wants the whole.
type selection map[string]selection

// pickFields reads --json.
func pickFields(p *program, cmd *cobra.Command, outputGiven bool) error {
	if p.shape == nil {
		return vpn.Errorf(vpn.Invalid, "%s has no JSON", cmd.CommandPath()).WithHint("leave --json out")
	}
	if outputGiven && p.global.output != "json" && p.global.output != "yaml" {
		return vpn.Errorf(vpn.Invalid, "--json and -o %s exclude each other", p.global.output).WithHint("leave one of them out")
	}
	if !outputGiven {
		p.global.output = "json"
	}
	p.picked = selection{}
	for path := range strings.SplitSeq(p.global.fields, ",") {
		path = strings.TrimSpace(path)
		if !hasField(p.shape, path) {
			known := fieldPaths(p.shape, "")
			err := vpn.Errorf(vpn.Invalid, "%s has no field %q", cmd.CommandPath(), path)
			if near, ok := vpn.Nearest(path, known); ok {
				return err.WithHint("did you mean %s? there is: %s", near, strings.Join(known, ", "))
			}
			return err.WithHint("there is: %s", strings.Join(known, ", "))
		}
		at := p.picked
		for key := range strings.SplitSeq(path, ".") {
			if at[key] == nil {
				at[key] = selection{}
			}
			at = at[key]
		}
	}
	return nil
}

// whichFields answers --json without a value.
func whichFields(p *program, cmd *cobra.Command) error {
	err := vpn.Errorf(vpn.Invalid, "--json needs a value")
	shape := p.shapes[cmd]
	if shape == nil {
		return err
	}
	return err.WithHint("choose of: %s", strings.Join(fieldPaths(shape(cmd.Flags().Args()), ""), ", "))
}

// A jsonField is a field of a struct as encoding/json names it.
type jsonField struct {
	key string
	typ reflect.Type
}

// jsonFields returns the fields of t, or nil if t is no object that names
// them.
func jsonFields(t reflect.Type) []jsonField {
	if t.Kind() != reflect.Struct || marshals(t) {
		return nil
	}
	var out []jsonField
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && key == "":
			out = append(out, jsonFields(element(f.Type))...)
		case f.IsExported() && key != "-":
			if key == "" {
				key = f.Name
			}
			out = append(out, jsonField{key, f.Type})
		}
	}
	return out
}

// marshals reports whether t decides for itself what it is in JSON.
func marshals(t reflect.Type) bool {
	for _, i := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// element returns what a list or a pointer is of.
func element(t reflect.Type) reflect.Type {
	for (t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer) && !marshals(t) {
		t = t.Elem()
	}
	return t
}

// open reports whether t is an object of which the type does not say what is
// in it.
func open(t reflect.Type) bool {
	return t.Kind() == reflect.Map || t == reflect.TypeFor[json.RawMessage]()
}

// hasField reports whether path leads to something in t.
func hasField(t reflect.Type, path string) bool {
	key, rest, more := strings.Cut(path, ".")
	t = element(t)
	if open(t) && key != "" {
		return !more || t.Kind() != reflect.Map || hasField(t.Elem(), rest)
	}
	for _, f := range jsonFields(t) {
		if f.key == key {
			return !more || hasField(f.typ, rest)
		}
	}
	return false
}

// fieldPaths lists every path in t.
func fieldPaths(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range jsonFields(element(t)) {
		out = append(out, prefix+f.key)
		out = append(out, fieldPaths(f.typ, prefix+f.key+".")...)
	}
	return out
}

// pick returns what want wants of doc, which is a t. What is wanted is there
// in the result: left out of doc because it is zero, it is zero.
func pick(doc any, t reflect.Type, want selection) any {
	if len(want) == 0 {
		return doc
	}
	switch doc := doc.(type) {
	case sequence:
		out := make(sequence, 0, len(doc))
		for _, x := range doc {
			out = append(out, pick(x, t, want))
		}
		return out
	case object:
		return pickOf(doc, element(t), want)
	}
	return doc
}

func pickOf(doc object, t reflect.Type, want selection) object {
	out := object{}
	if open(t) {
		for _, m := range doc {
			if sub, ok := want[m.key]; ok {
				elem := t
				if t.Kind() == reflect.Map {
					elem = t.Elem()
				}
				out = append(out, member{m.key, pick(m.value, elem, sub)})
			}
		}
		return out
	}
	for _, f := range jsonFields(t) {
		sub, ok := want[f.key]
		if !ok {
			continue
		}
		value, there := doc.get(f.key)
		if !there {
			value = zero(f.typ)
		}
		out = append(out, member{f.key, pick(value, f.typ, sub)})
	}
	return out
}

// zero is what a field holds that was left out.
func zero(t reflect.Type) any {
	switch {
	case marshals(t):
		return json.RawMessage("null")
	case t.Kind() == reflect.Slice:
		return sequence{}
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return object{}
	}
	b, err := json.Marshal(reflect.Zero(t).Interface())
	if err != nil {
		return json.RawMessage("null")
	}
	return json.RawMessage(b)
}
