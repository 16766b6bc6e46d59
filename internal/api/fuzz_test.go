package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// FuzzBodies gives every operation that takes a body any body. What it answers
// is a change or a problem that says whose fault it is: the caller's.
func FuzzBodies(f *testing.F) {
	operations := append(withBody(f), operation{"POST", "/v1/users/alice/kick"}) // which takes none
	for k := range operations {
		for _, body := range []string{
			`{"name":"alice"}`, `{"name":"alice","limits":{"quota":1,"rate_up":2,"rate_down":3,"devices":4,"connections":5},"expires_at":"2030-01-01T00:00:00Z"}`,
			`{"name":"alice","unknown":1}`, `{"name":"a","NAME":"b"}`, `{"name":"a","name":"b"}`, `{"enabled":false}`, `{"quota":-1}`, `{"quota":1e400}`,
			`{"quota":18446744073709551616}`, `{"name":null}`, `null`, `[]`, `""`, `7`, `{`, `{"name":"` + "\x00\xff" + `"}`, `{"name":"\ud800"}`,
			`{"name":"main","protocol":"vless","port":65536}`, `{"listen":"::1%eth0","allow":["10.0.0.0/33"]}`, `{"settings":{"target":{"a":[[[[]]]]}}}`,
			`{"settings":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, "\ufeff{}", `{} {}`, `{}x`,
		} {
			f.Add(byte(k), body)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body string) {
		op := operations[int(which)%len(operations)]
		x := newFixture(t)
		w := x.do(op.method, op.path, body)
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s answers %d, %q", op.method, op.path, w.Code, w.Body)
		}
		if w.Code >= http.StatusInternalServerError || strings.Contains(x.log.String(), "panic") {
			t.Fatalf("%s %s answers %d, %s\n%s", op.method, op.path, w.Code, w.Body, &x.log)
		}
		if w.Code < http.StatusBadRequest {
			return
		}
		var p struct {
			Kind   vpn.Kind `json:"kind"`
			Detail string   `json:"detail"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Kind != vpn.Invalid || p.Detail == "" {
			t.Fatalf("%s %s answers %d, %s", op.method, op.path, w.Code, w.Body)
		}
	})
}

type operation struct{ method, path string }

// withBody returns the operations that take a body, whatever the names in
// their paths are.
func withBody(t testing.TB) (found []operation) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct{ RequestBody any }
	}
	if err := json.Unmarshal(newFixture(t).do("GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "alice")
		for method, op := range methods {
			if op.RequestBody != nil {
				found = append(found, operation{strings.ToUpper(method), path})
			}
		}
	}
	if len(found) < 5 {
		t.Fatalf("only %v take a body", found)
	}
	slices.SortFunc(found, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return found
}

// A field that there is not is refused, wherever it is: a typing error must
// not become no limit.
func TestUnknownFieldsAreRefused(t *testing.T) {
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/users", `{"name":"alice","qouta":5}`},
		{"POST", "/v1/users", `{"name":"alice","limits":{"qouta":5}}`},
		{"PATCH", "/v1/users/alice", `{"enabledd":true}`},
		{"POST", "/v1/servers", `{"name":"main","private":"x"}`},
		{"POST", "/v1/servers", `{"name":"main","id":"x"}`},
		{"POST", "/v1/users", `{"name":"alice","id":"x"}`},
		{"POST", "/v1/users", `{"name":"alice","used":{"up":0,"down":0}}`},
	} {
		if w := newFixture(t).do(c.method, c.path, c.body); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "unknown field") {
			t.Errorf("%s %s %s answers %d, %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
}
