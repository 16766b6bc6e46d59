package worker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
)

// FuzzRequests gives a worker that serves somebody any bodies. It neither
// panics (which would end the process, and so the test) nor fails, and what it
// is told afterwards it does.
func FuzzRequests(f *testing.F) {
	requests := []struct{ method, path string }{
		{"PUT", "/v1/spec"}, {"PATCH", "/v1/spec"}, {"PUT", "/v1/ceilings"}, {"PUT", "/v1/shares"}, {"DELETE", "/v1/sessions?user="}, {"GET", "/v1/usage?after="},
	}
	spec, err := os.ReadFile("testdata/spec.json")
	if err != nil {
		f.Fatal(err)
	}
	patch, err := os.ReadFile("testdata/patch.json")
	if err != nil {
		f.Fatal(err)
	}
	for k := range requests {
		for _, body := range []string{
			string(spec), string(patch), `{}`, `null`, `[]`, `7`, `{`, "", `{"epoch":"epoch-1","turn":1,"ceilings":[{"user":"u","bytes":18446744073709551615}]}`,
			`{"epoch":"epoch-1","turn":1,"workers":2,"shares":[{"user":"u","up":-1,"down":2000000,"connections":-5,"networks":["::/0",""]}],"even":["","u"]}`,
			`{"epoch":"epoch-1","turn":1,"workers":-9223372036854775808}`,
			`{"epoch":"epoch-1","ceilings":[{"user":"u","bytes":-1}]}`, `{"epoch":"epoch-1","ceilings":null}`, `{"epoch":"epoch-1","ceilings":[{},{}]}`,
			`{"generation":"g","revision":18446744073709551615,"server":{},"grants":null}`,
			`{"generation":"g","revision":9,"grants":[{"credential":"c","user":"u","devices":-1,"connections":-1,"rate_up":18446744073709551615,"capped":true}]}`,
			`{"generation":"g","revision":9,"grants":[{"credential":"c","user":"u"},{"credential":"c","user":"v"},{}]}`,
			`{"generation":"g","base":1,"revision":2,"remove":["c","c",""],"upsert":[{"credential":"c","user":"w","not_after":"0001-01-01T00:00:00Z"}]}`,
			`{"server":{"listen":"fe80::1%x","port":65535,"allow":["0.0.0.0/0"],"settings":[[[[]]]]}}`, `{"server":{"settings":` + strings.Repeat("[", 11_000),
		} {
			f.Add(byte(k), body, byte(k+1), body)
		}
	}
	f.Fuzz(func(t *testing.T, first byte, one string, second byte, two string) {
		h, _ := newTestHost(t, &fakeEngine{})
		api := h.handler()
		do := func(method, path, body string) int {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			api.ServeHTTP(w, r)
			if !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %s answers %d, %q", method, path, w.Code, w.Body)
			}
			return w.Code
		}
		for _, q := range []struct {
			which byte
			body  string
		}{{first, one}, {second, two}, {first, two}} {
			r := requests[int(q.which)%len(requests)]
			if strings.HasSuffix(r.path, "=") {
				r.path += url.QueryEscape(q.body)
			}
			if code := do(r.method, r.path, q.body); code >= http.StatusInternalServerError {
				t.Fatalf("%s %s %q answers %d", r.method, r.path, q.body, code)
			}
		}
		var before wireSpec
		if h.told != nil {
			before = toWireSpec(*h.told)
		}
		before.Server.Protocol, before.Server.Listen, before.Server.Settings, before.Generation = fakeProtocol, netip.Addr{}, nil, before.Generation+"x"
		before.Grants = []wireGrant{{Credential: "after", User: "after"}}
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		if code := do("PUT", "/v1/spec", string(text)); code != http.StatusOK {
			t.Fatalf("after %q and %q the worker answers %d", one, two, code)
		}
		if f, err := h.meter.Open("after", netip.AddrPort{}, "tcp", nil); err != nil {
			t.Fatalf("after %q and %q: %v", one, two, err)
		} else {
			f.Close()
		}
	})
}
