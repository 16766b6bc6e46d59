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
	File bool // a person names a file that holds it

	Choices []string // all that it may be, or what it mostly is; for completion and forms
	Others  bool     // it may be something else than its choices
}

// Flag returns the name of the command line's flag. What a list holds is
// given one at a time, so its flag is singular; the S of DNS is no plural.
func (f Field) Flag() string {
	flag := strings.ReplaceAll(f.Key, "_", "-")
	if f.List && !strings.HasSuffix(flag, "dns") {
		flag = strings.TrimSuffix(flag, "s")
	}
	return flag
}

// FieldsOf reads the fields off a settings struct: those with a help tag.
// A setting is a string, a bool or a list of strings; those of an embedded
// struct are the struct's own. One whose tag says file is what a file holds.
func FieldsOf(settings any) []Field { return fieldsOf(reflect.TypeOf(settings)) }

func fieldsOf(t reflect.Type) []Field {
	var out []Field
	for f := range t.Fields() {
		if f.Anonymous {
			out = append(out, fieldsOf(f.Type)...)
			continue
		}
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
			File: f.Tag.Get("file") != "",
		})
		if choices := f.Tag.Get("choices"); choices != "" {
			out[len(out)-1].Choices = strings.Split(choices, ",")
			out[len(out)-1].Others = f.Tag.Get("others") != ""
		}
	}
	return out
}
