package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/api"
	"vpn/internal/vpn"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestOpenAPI holds the API's contract still: a change of it is a change of
// this file, to be seen in review.
func TestOpenAPI(t *testing.T) {
	w := newFixture(t).do("GET", "/openapi.json", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("got %d %q", w.Code, w.Header().Get("Content-Type"))
	}
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, w.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), w.Body.String()); d != "" {
		t.Errorf("the API changed; if it was meant to, run go test ./internal/api -update (-want +got):\n%s", d)
	}
}

func TestOperationIDs(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
		}
	}
	w := newFixture(t).do("GET", "/openapi.json", "")
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			got[op.OperationID] = strings.ToUpper(method) + " " + path
			if op.Summary == "" {
				t.Errorf("%s has no summary", op.OperationID)
			}
		}
	}
	want := map[string]string{
		"users.create":    "POST /v1/users",
		"users.list":      "GET /v1/users",
		"users.show":      "GET /v1/users/{user}",
		"system.reload":   "POST /v1/reload",
		"system.upgrade":  "POST /v1/upgrade",
		"users.update":    "PATCH /v1/users/{user}",
		"users.restore":   "POST /v1/users/{user}/restore",
		"users.reset":     "POST /v1/users/{user}/reset",
		"users.delete":    "DELETE /v1/users/{user}",
		"users.kick":      "POST /v1/users/{user}/kick",
		"users.access":    "GET /v1/users/{user}/access",
		"users.rotate":    "POST /v1/users/{user}/rotate",
		"devices.add":     "POST /v1/users/{user}/devices",
		"devices.list":    "GET /v1/users/{user}/devices",
		"devices.remove":  "DELETE /v1/users/{user}/devices/{device}",
		"usage.history":   "GET /v1/usage",
		"usage.rates":     "GET /v1/rates",
		"usage.sessions":  "GET /v1/sessions",
		"servers.create":  "POST /v1/servers",
		"servers.list":    "GET /v1/servers",
		"servers.show":    "GET /v1/servers/{server}",
		"servers.update":  "PATCH /v1/servers/{server}",
		"servers.start":   "POST /v1/servers/{server}/start",
		"servers.stop":    "POST /v1/servers/{server}/stop",
		"servers.restart": "POST /v1/servers/{server}/restart",
		"servers.delete":  "DELETE /v1/servers/{server}",
		"servers.logs":    "GET /v1/servers/{server}/logs",
		"system.status":   "GET /v1/status",
		"system.events":   "GET /v1/events",
		"system.logs":     "GET /v1/logs",
		"config.show":     "GET /v1/config",
		"config.update":   "PATCH /v1/config",
		"system.host":     "GET /v1/host",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCreateDecodesEveryField(t *testing.T) {
	f := newFixture(t)
	w := f.do("POST", "/v1/users", `{
		"name": "alice", "expires_at": "2026-12-31T15:00:00Z",
		"limits": {"quota": 9007199254740993, "rate_up": 2500000, "devices": 2, "throttle": 125000,
			"period": {"every": "month", "resets_on": "15", "time_zone": "Europe/Berlin"}},
		"valid_for": 86400, "tags": ["a", "b"], "email": "a@example.org", "note": "n"}`)
	if w.Code != http.StatusCreated {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	want := vpn.NewUser{
		Name: "alice",
		Limits: vpn.Limits{
			Quota: 9007199254740993, RateUp: 2500000, Devices: 2, Throttle: 125000,
			Period: vpn.Period{Every: vpn.Monthly, ResetsOn: "15", TimeZone: "Europe/Berlin"},
		},
		ValidFor: 86400, Tags: []string{"a", "b"}, Email: "a@example.org", Note: "n",
		ExpiresAt: time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC),
	}
	if d := cmp.Diff(want, f.users.created); d != "" {
		t.Error(d)
	}
}

func TestHistoryDecodesEveryParameter(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/usage?since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z&step=3600&by=user&user=alice&server=main", "")
	want := vpn.HistoryQuery{
		Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC),
		Step: time.Hour, By: vpn.ByUser, User: "alice", Server: "main",
	}
	if d := cmp.Diff(want, f.usage.query); w.Code != http.StatusOK || d != "" {
		t.Errorf("got %d %s, %s", w.Code, w.Body, d)
	}
	for _, query := range []string{"", "?since=yesterday", "?since=2026-11-01T00:00:00Z&step=-1", "?since=2026-11-01T00:00:00Z&nonsense=1"} {
		if w := f.do("GET", "/v1/usage"+query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", query, w.Code, w.Body)
		}
	}
	w = f.do("GET", "/v1/rates?since=2026-11-01T00:00:00.5Z&by=server&server=main", "")
	if d := cmp.Diff(vpn.RatesQuery{Since: time.Date(2026, 11, 1, 0, 0, 0, 5e8, time.UTC), By: vpn.ByServer, Server: "main"}, f.usage.rates); w.Code != http.StatusOK || d != "" {
		t.Errorf("got %d %s, %s", w.Code, w.Body, d)
	}
	if w := f.do("GET", "/v1/sessions?user=alice&server=main", ""); w.Code != http.StatusOK || w.Body.String() != "[]\n" ||
		f.usage.sessions != (vpn.SessionFilter{User: "alice", Server: "main"}) {
		t.Errorf("got %d %s, %+v", w.Code, w.Body, f.usage.sessions)
	}
}

// An empty list of servers is none, and not every one.
func TestAListOfServersMayBeEmpty(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string]*[]string{
		`{"name": "a"}`:                      nil,
		`{"name": "a", "servers": []}`:       {},
		`{"name": "a", "servers": ["main"]}`: {"main"},
	} {
		if w := f.do("POST", "/v1/users", body); w.Code != http.StatusCreated {
			t.Errorf("%s: got %d %s", body, w.Code, w.Body)
		}
		if d := cmp.Diff(want, f.users.created.Servers); d != "" {
			t.Errorf("%s: %s", body, d)
		}
	}
}

func TestPatchTellsUnsetFromZero(t *testing.T) {
	f := newFixture(t)
	w := f.do("PATCH", "/v1/users/alice", `{"quota": 0, "enabled": false}`)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	want := vpn.UserPatch{Quota: new(uint64(0)), Enabled: new(false)}
	if d := cmp.Diff(want, f.users.patch); d != "" {
		t.Error(d)
	}
	if f.users.name != "alice" {
		t.Errorf("the name is %q", f.users.name)
	}
}

func TestServerVerbs(t *testing.T) {
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/v1/servers/main", "show main"},
		{"POST", "/v1/servers/main/start", "start main"},
		{"POST", "/v1/servers/main/stop", "stop main"},
		{"POST", "/v1/servers/main/restart", "restart main"},
		{"DELETE", "/v1/servers/a%2Fb", "delete a/b"},
	} {
		f := newFixture(t)
		if w := f.do(c.method, c.path, ""); w.Code != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if f.servers.asked != c.want {
			t.Errorf("%s %s: asked %q", c.method, c.path, f.servers.asked)
		}
	}
}

func TestListIsNarrowedDown(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/users?status=on_hold&tag=a,b&search=x%20y&online=true", "")
	want := vpn.UserFilter{Status: vpn.OnHold, Tags: []string{"a", "b"}, Search: "x y", Online: true}
	if d := cmp.Diff(want, f.users.filter); w.Code != http.StatusOK || d != "" {
		t.Errorf("%d %s %s", w.Code, w.Body, d)
	}
}

// TestListsAreNeverNull guards every program that loops over an answer.
func TestListsAreNeverNull(t *testing.T) {
	for _, path := range []string{
		"/v1/users", "/v1/users/alice", "/v1/servers", "/v1/servers/main", "/v1/status", "/v1/events",
	} {
		w := newFixture(t).do("GET", path, "")
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "null") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestLinksAreNotEscaped(t *testing.T) {
	w := newFixture(t).do("GET", "/v1/users/alice/access", "")
	if !strings.Contains(w.Body.String(), "a=1&b=2") {
		t.Errorf("got %s", w.Body)
	}
}

func TestErrorsBecomeProblems(t *testing.T) {
	for kind, status := range map[vpn.Kind]int{
		vpn.Invalid: 400, vpn.NotFound: 404, vpn.Conflict: 409, vpn.Denied: 403, vpn.Unavailable: 503,
	} {
		f := newFixture(t)
		f.users.err = vpn.Errorf(kind, "no user %q", "bob").WithHint("vpn users list")
		w := f.do("GET", "/v1/users/bob", "")
		if w.Code != status {
			t.Errorf("%s: got status %d", kind, w.Code)
		}
		want := api.Problem{
			Title: http.StatusText(status), Status: status, Detail: `no user "bob"`, Kind: kind, Hint: "vpn users list",
		}
		if d := cmp.Diff(want, problem(t, w.Header().Get("Content-Type"), w.Body.Bytes())); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
}

func TestInternalErrorsTellTheLogOnly(t *testing.T) {
	for name, err := range map[string]error{
		"unknown":  errors.New("open /var/lib/vpn/vpn.db: secret detail"),
		"internal": vpn.Errorf(vpn.Internal, "secret detail"),
	} {
		f := newFixture(t)
		f.users.err = err
		w := f.do("GET", "/v1/users", "")
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret detail") {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		if !strings.Contains(f.log.String(), "secret detail") || !strings.Contains(f.log.String(), "users.list") {
			t.Errorf("%s: the log says %s", name, &f.log)
		}
	}
}

// TestCausesReachTheLog: what a typed error hides from the caller is logged.
func TestCausesReachTheLog(t *testing.T) {
	f := newFixture(t)
	f.system.err = &vpn.Error{Kind: vpn.Unavailable, Message: "the disk is full", Err: errors.New("write vpn.db-wal: ENOSPC")}
	w := f.do("GET", "/v1/status", "")
	if strings.Contains(w.Body.String(), "ENOSPC") || !strings.Contains(f.log.String(), "ENOSPC") {
		t.Errorf("answer %s, log %s", w.Body, &f.log)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	f := newFixture(t)
	f.system.panic = "boom"
	w := f.do("GET", "/v1/status", "")
	if p := problem(t, w.Header().Get("Content-Type"), w.Body.Bytes()); w.Code != 500 || p.Kind != vpn.Internal {
		t.Errorf("got %d %+v", w.Code, p)
	}
	if !strings.Contains(f.log.String(), "boom") {
		t.Errorf("the log says %s", &f.log)
	}
}

func TestBadRequests(t *testing.T) {
	big := `{"name": "` + strings.Repeat("a", 2<<20) + `"}`
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		kind               vpn.Kind
		detail             string
	}{
		"empty body":      {"POST", "/v1/users", "", 400, vpn.Invalid, "request body is required"},
		"not JSON":        {"POST", "/v1/users", `{"name": `, 400, vpn.Invalid, "request body: not valid JSON at byte 9"},
		"two values":      {"POST", "/v1/users", `{"name": "a"} {}`, 400, vpn.Invalid, "request body: not valid JSON at byte 15"},
		"not an object":   {"POST", "/v1/users", `["alice"]`, 400, vpn.Invalid, "request body: expected object"},
		"null":            {"POST", "/v1/users", `null`, 400, vpn.Invalid, "request body: expected object"},
		"unknown field":   {"POST", "/v1/users", `{"name": "a", "quota": 5}`, 400, vpn.Invalid, `unknown field "quota"`},
		"nested unknown":  {"POST", "/v1/users", `{"name": "a", "limits": {"speed": 5}}`, 400, vpn.Invalid, `unknown field "limits.speed"`},
		"missing field":   {"POST", "/v1/users", `{}`, 400, vpn.Invalid, "request body: expected required property name to be present"},
		"wrong type":      {"POST", "/v1/users", `{"name": 7}`, 400, vpn.Invalid, `field "name": expected string`},
		"two mistakes":    {"POST", "/v1/users", `{"name": 7, "x": 1}`, 400, vpn.Invalid, `field "name": expected string; unknown field "x"`},
		"negative quota":  {"POST", "/v1/users", `{"name": "a", "limits": {"quota": -1}}`, 400, vpn.Invalid, `field "limits.quota": expected number >= 0`},
		"huge quota":      {"POST", "/v1/users", `{"name": "a", "limits": {"quota": 1e30}}`, 400, vpn.Invalid, `request body: number 1e30 does not fit field "limits.quota"`},
		"bad period":      {"POST", "/v1/users", `{"name": "a", "limits": {"period": {"every": "hour"}}}`, 400, vpn.Invalid, `field "limits.period.every": expected value to be one of "day, week, month, year, 30d"`},
		"bad status":      {"GET", "/v1/users?status=asleep", "", 400, vpn.Invalid, `query parameter "status": expected value to be one of "active, on_hold, limited, throttled, expired, disabled"`},
		"bad date":        {"POST", "/v1/users", `{"name": "a", "expires_at": "tomorrow"}`, 400, vpn.Invalid, `field "expires_at": expected string to be RFC 3339 date-time`},
		"bad prefix":      {"POST", "/v1/servers", `{"name": "a", "allow": ["10.0.0.0/99"]}`, 400, vpn.Invalid, "request body: a value does not fit its field"},
		"too large":       {"POST", "/v1/users", big, 413, vpn.Invalid, "the request body is too large"},
		"bad query":       {"GET", "/v1/events?limit=x", "", 400, vpn.Invalid, `query parameter "limit": invalid integer`},
		"query too small": {"GET", "/v1/events?limit=0", "", 400, vpn.Invalid, `query parameter "limit": expected number >= 1`},
		"unknown query":   {"GET", "/v1/users?page=2", "", 400, vpn.Invalid, `unknown query parameter "page"`},
		"no such path":    {"GET", "/v2/users", "", 404, vpn.NotFound, `there is nothing at "/v2/users"`},
		"no such method":  {"PUT", "/v1/users", "{}", 405, vpn.Invalid, `"/v1/users" does not take the method PUT`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			w := f.do(c.method, c.path, c.body)
			p := problem(t, w.Header().Get("Content-Type"), w.Body.Bytes())
			if w.Code != c.status || p.Status != c.status || p.Kind != c.kind || p.Detail != c.detail {
				t.Errorf("got %d %+v", w.Code, p)
			}
			if p.Hint == "" {
				t.Error("there is no hint")
			}
			if f.users.created.Name != "" {
				t.Error("the use case was called")
			}
		})
	}
}

// TestBodyBreaksOff: a client that goes in the middle is no bug of ours.
func TestBodyBreaksOff(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("POST", "/v1/users", iotest.ErrReader(io.ErrUnexpectedEOF))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if p := problem(t, w.Header().Get("Content-Type"), w.Body.Bytes()); w.Code != 400 || p.Detail != "the request could not be read" {
		t.Errorf("got %d %+v", w.Code, p)
	}
}

// TestTooLargeOverSocket: a client that is still sending learns why it is
// refused, whether it keeps its connection or not.
func TestTooLargeOverSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: newFixture(t).handler}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	big := `{"name": "` + strings.Repeat("a", 5<<20) + `"}`
	for _, once := range []bool{true, false} {
		client := http.Client{Transport: &http.Transport{
			DisableKeepAlives: once,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		}}
		for range 5 {
			resp, err := client.Post("http://vpn/v1/users", "application/json", strings.NewReader(big))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("got %s", resp.Status)
			}
			_ = resp.Body.Close()
		}
	}
}

func TestBodyMustBeJSON(t *testing.T) {
	f := newFixture(t)
	r, err := http.NewRequest("POST", "/v1/users", strings.NewReader("name=alice"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if p := problem(t, w.Header().Get("Content-Type"), w.Body.Bytes()); w.Code != 415 || p.Kind != vpn.Invalid {
		t.Errorf("got %d %+v", w.Code, p)
	}
}

func problem(t *testing.T, contentType string, b []byte) api.Problem {
	t.Helper()
	if contentType != "application/problem+json" {
		t.Errorf("the content type is %q", contentType)
	}
	var p api.Problem
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatalf("%v in %.200s", err, b)
	}
	return p
}
