package protocol

import (
	"reflect"
	"strings"
)

// A Field is one setting that a person may give. It becomes a flag
// (--server-name), a key of the API's settings object (server_names) and a
// line of a form.
type Field struct {
	Key  string // as in JSON: server_names
	Help string
	List bool // may be given several times
	Bool bool

	Choices []string // all that it may be, or what it mostly is; for completion
}

// Flag returns the name of the command line's flag. What a list holds is
// given one at a time, so its flag is singular.
func (f Field) Flag() string {
	flag := strings.ReplaceAll(f.Key, "_", "-")
	if f.List {
		flag = strings.TrimSuffix(flag, "s")
	}
	return flag
}

// FieldsOf reads the fields off a settings struct: those with a help tag.
// A setting is a string, a bool or a list of strings.
func FieldsOf(settings any) []Field {
	var out []Field
	for f := range reflect.TypeOf(settings).Fields() {
		help := f.Tag.Get("help")
		if help == "" {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, Field{
			Key:  key,
			Help: help,
			List: f.Type.Kind() == reflect.Slice,
			Bool: f.Type.Kind() == reflect.Bool,
		})
		if choices := f.Tag.Get("choices"); choices != "" {
			out[len(out)-1].Choices = strings.Split(choices, ",")
		}
	}
	return out
}
