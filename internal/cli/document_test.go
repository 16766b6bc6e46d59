package cli

import (
	"encoding/json"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// FuzzDocument: whatever JSON an answer is, taking it apart and writing it
// loses nothing, and what is written is harmless.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `"a\u001bb"`, `{"a":{"b":[1,2.5,-3e10,true,null,"x"]},"":""}`, `[[],{}]`, `9223372036854775807`,
		"{\"\u202e\":\"\u009b\"}", `{"a":1,"b":"no"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v any
		if json.Unmarshal([]byte(s), &v) != nil {
			return
		}
		text, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		written := escaped(string(again), jsonEscape)
		var got any
		if err := json.Unmarshal([]byte(written), &got); err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if d := cmp.Diff(v, got); d != "" {
			t.Error(d)
		}
		for _, r := range written {
			if !unicode.IsPrint(r) {
				t.Errorf("%q holds %q", written, r)
			}
		}
		node, err := yamlNode(doc)
		if err != nil {
			t.Fatal(err)
		}
		b, err := yaml.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := yaml.Unmarshal([]byte(escaped(string(b), yamlEscape)), &back); err != nil {
			t.Errorf("%q: %v", b, err)
		}
	})
}
