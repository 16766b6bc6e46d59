package fields_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/fields"
)

type text string

type inner struct {
	A uint8  `json:"a,omitempty"`
	B int64  `json:"b"`
	C string `json:"c,omitzero"`
}

type embedded struct {
	Since time.Time `json:"since,omitzero"`
}

type thing struct {
	Name text `json:"name"`
	On   bool `json:"on"`
	embedded
	Embedded
	In    inner    `json:"in"`
	In2   inner    `json:"in2,omitzero"`
	Tags  []string `json:"tags,omitempty"`
	Own   netip.Addr
	Plain int
}

type Embedded struct {
	Until time.Time `json:"until"`
}

func things() []thing {
	at := time.Date(2026, 11, 1, 12, 0, 0, 5000, time.UTC)
	return []thing{
		{},
		{Name: "alice", On: true, Embedded: Embedded{at}, In: inner{255, -1 << 63, "},{"}, Plain: -7},
		{Name: "ü \u2028 <&>", Embedded: Embedded{at.In(time.FixedZone("", -3600))}, In2: inner{C: `a"b\c`}, Tags: []string{"x"}, Own: netip.MustParseAddr("192.0.2.1")},
	}
}

// Whatever was asked for comes back, and is what encoding/json reads.
func TestWhatIsWrittenIsRead(t *testing.T) {
	all := fields.Of[thing]()
	picks := [][]string{nil, all, {"name", "on"}, {"in.b", "in2.c", "until"}, {"in", "Plain"}, {"tags", "Own", "name"}}
	for _, path := range all {
		picks = append(picks, []string{path})
	}
	for _, paths := range picks {
		for n := range len(things()) + 1 {
			check(t, string(write(t, things()[:n], paths)), paths)
		}
	}
}

func write(t testing.TB, list []thing, paths []string) []byte {
	t.Helper()
	w := fields.NewWriter[thing](paths)
	for i := range list {
		if err := w.Add(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Join(w.End(), nil)
}

// check compares Read with encoding/json.
func check(t *testing.T, text string, paths []string) {
	t.Helper()
	var want []thing
	wantErr := json.Unmarshal([]byte(text), &want)
	got, err := fields.Read[thing]([]byte(text), paths)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%v of %s: got error %v, want %v", paths, text, err, wantErr)
	}
	if err != nil {
		return
	}
	if d := cmp.Diff(fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got)); d != "" {
		t.Fatalf("%v of %s (-want +got):\n%s", paths, text, d)
	}
}

// A list of several chunks is one.
func TestLongLists(t *testing.T) {
	list := make([]thing, 5000)
	for i := range list {
		list[i] = things()[i%3]
	}
	text := string(write(t, list, nil))
	check(t, text, nil)
	if got, err := fields.Read[thing]([]byte(text), nil); err != nil || len(got) != len(list) {
		t.Fatal(len(got), err)
	}
}

var picked = []string{"name", "on", "until", "in", "Plain"}

func strange() []string {
	return []string{
		``, `[`, `[]`, "[]\n\n", ` []`, `null`, `{}`, `[{}`, `[{}]x`, `[{},]`, `[{}{}]`,
		`[{"name":"a"}]`, `[{"name":"a",}]`, `[{"name":"a"},{"name":"b"}]`, `[{"name":"a"},{"on":true}`,
		`[{"on":true,"name":"a"}]`, `[{"name":"a","name":"b"}]`, `[{"NAME":"a"}]`, `[{"other":[1,{"name":"x"}],"name":"a"}]`,
		`[{"name":null,"on":null}]`, `[{"name":1}]`, `[{"on":"true"}]`, `[{"on":tru}]`, `[{"name":"\u0041"}]`, `[{"name":"a\"}]`, "[{\"name\":\"\xff\"}]", "[{\"name\":\"a\tb\"}]",
		`[{"name":"é"}]`, `[{ "name" : "a" }]`, `[{"in":{"a":256}}]`, `[{"in":{"a":-1}}]`, `[{"in":{"b":-0}}]`, `[{"in":{"b":01}}]`, `[{"in":{"b":1.0}}]`, `[{"in":{"b":1e2}}]`,
		`[{"in":{"b":-}}]`, `[{"in":{"b":1-2}}]`, `[{"in":{"b":9223372036854775808}}]`, `[{"in":{}}]`, `[{"in":null}]`, `[{"in":[]}]`, `[{"Plain":}]`,
		`[{"until":"2026-11-01T12:00:00+01:00"}]`, `[{"until":"2026-11-01T12:00:00,5Z"}]`, `[{"until":"2026-11-01 12:00:00Z"}]`, `[{"until":"2026-11-01T1:00:00Z"}]`, `[{"until":"null"}]`, `[{"until":null}]`, `[{"until":1}]`,
	}
}

// Text that nobody wrote like that means what it means to encoding/json.
func TestStrangeText(t *testing.T) {
	for _, text := range strange() {
		check(t, text, picked)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range strange() {
		f.Add(text)
	}
	f.Add(string(write(f, things(), picked)))
	f.Fuzz(func(t *testing.T, text string) { check(t, text, picked) })
}

// BenchmarkRead is a list of 10,000, beside encoding/json.
func BenchmarkRead(b *testing.B) {
	list := make([]thing, 10_000)
	for i := range list {
		list[i] = things()[1]
		list[i].Name = text(fmt.Sprint("user", i))
	}
	written := write(b, list, picked)
	b.Run("fields", func(b *testing.B) {
		for b.Loop() {
			if _, err := fields.Read[thing](written, picked); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			var out []thing
			if err := json.NewDecoder(strings.NewReader(string(written))).Decode(&out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
