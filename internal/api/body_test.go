package api

import (
	"strings"
	"testing"
)

func TestABodySaysEachThingOnce(t *testing.T) {
	for body, twice := range map[string]string{
		`{"name":"a"}`:                                           "",
		`{"name":"a","name":"b"}`:                                "name",
		`{"limits":{"quota":1,"quota":2}}`:                       "quota",
		`{"name":"name","limits":{"name":1}}`:                    "",
		`{"a":[{"x":1},{"x":2}],"b":{"x":{"x":3}}}`:              "",
		`{"a":[{"x":1},{"y":[],"z":{},"y":2}]}`:                  "y",
		`{"a":["a","a"],"b":null,"c":true,"d":1.5,"e":"a"}`:      "",
		`[{"a":{}},{"a":[]},"a","a"]`:                            "",
		`{"a":{"b":1},"c":{"b":2},"a":3}`:                        "a",
		`"text"`:                                                 "",
		`{"\u0061":1,"a":2}`:                                     "a",
		`{"a":[[],[{"k":"v","l":"v","k":"w"}]],"b":"k","c":"k"}`: "k",
	} {
		var v any
		err := unmarshal([]byte(body), &v)
		if twice == "" && err != nil || twice != "" && (err == nil || !strings.Contains(err.Error(), `"`+twice+`"`)) {
			t.Errorf("%s: %v, want %q", body, err, twice)
		}
	}
}
