package protocol

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"strings"

	"vpn/internal/vpn"
)

// DecodeSettings reads a settings object strictly into the struct that into
// points to: a key that the struct does not have, letter case included, one
// that comes twice and a value of another type are errors of kind
// [vpn.Invalid]. Nothing at all and null are an empty object. No error shows
// a value.
func DecodeSettings(raw json.RawMessage, into any) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	values, order, ok := splitObject(raw)
	if !ok {
		return vpn.Errorf(vpn.Invalid, "the settings are not one JSON object, each key once").
			WithHint(`write them like {"key": "value"}`)
	}
	fields, known := fieldsByKey(reflect.ValueOf(into).Elem())
	for _, key := range order {
		field, ok := fields[key]
		if !ok {
			return vpn.Unknown("setting", key, known)
		}
		if json.Unmarshal(values[key], field.Addr().Interface()) != nil {
			return vpn.Errorf(vpn.Invalid, "setting %s has a value of the wrong type", key).
				WithHint("%s is %s", key, typeName(field.Type()))
		}
	}
	return nil
}

// splitObject returns the values of a JSON object and its keys in their
// order; ok is false if raw is anything else, or a key comes twice.
func splitObject(raw []byte) (values map[string]json.RawMessage, order []string, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, false
	}
	values = map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		key, isText := token.(string)
		if err != nil || !isText {
			return nil, nil, false
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, nil, false
		}
		if _, twice := values[key]; twice {
			return nil, nil, false
		}
		values[key] = value
		order = append(order, key)
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, nil, false
	}
	_, err := dec.Token()
	return values, order, err == io.EOF
}

func fieldsByKey(v reflect.Value) (map[string]reflect.Value, []string) {
	fields := map[string]reflect.Value{}
	var known []string
	for f, value := range v.Fields() {
		if f.Anonymous {
			within, keys := fieldsByKey(value)
			maps.Copy(fields, within)
			known = append(known, keys...)
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[key] = value
		known = append(known, key)
	}
	return fields, known
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of " + typeName(t.Elem())
	case reflect.Map:
		return "an object"
	}
	return "a number"
}
