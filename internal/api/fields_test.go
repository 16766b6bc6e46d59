package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

// manyFields is a user of whom most fields are set, and some hold what has to
// be escaped.
func manyFields() vpn.UserInfo {
	at := time.Date(2026, 11, 1, 12, 0, 0, 5000, time.UTC)
	return vpn.UserInfo{
		User: vpn.User{
			ID: "id1", Name: "al\"ice\\<&>\u2028\x1b", Enabled: true,
			Limits: vpn.Limits{
				Quota: vpn.MaxTraffic, Devices: 2, RateUp: 1, Period: vpn.Period{Every: vpn.Monthly, ResetsOn: "15", TimeZone: "Europe/Berlin"},
			},
			ExpiresAt: at.In(time.FixedZone("x", 3600)), Used: vpn.Traffic{Up: 1, Down: 1 << 60}, Tags: []string{"a", "ü"}, Note: "n", CreatedAt: at,
			Hold: vpn.Hold{ValidFor: 60, HeldSince: at}, AllowedServers: []vpn.ServerID{},
		},
		Status: vpn.OnHold, Online: 3, Rate: vpn.Rate{Up: 4},
	}
}

// Every field alone, and all of them together, are what they are in the whole.
func TestFieldsAreThoseOfTheWhole(t *testing.T) {
	f := newFixture(t)
	f.users.listed = []vpn.UserInfo{manyFields(), {}}
	whole := f.do("GET", "/v1/users", "")
	var want []map[string]json.RawMessage
	if err := json.Unmarshal(whole.Body.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range strings.Split(fieldsOfUsers(t, f), ", ") {
		names[name] = true
	}
	var all []string
	for name := range names {
		if !strings.Contains(name, ".") {
			all = append(all, name)
		}
	}
	for key := range want[0] {
		if !names[key] {
			t.Errorf("%s cannot be asked for", key)
		}
	}
	for _, fields := range append([][]string{all}, slices.Collect(slices.Chunk(all, 1))...) {
		w := f.do("GET", "/v1/users?fields="+strings.Join(fields, ","), "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%v: got %d %s", fields, w.Code, w.Body)
		}
		var got []map[string]json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got) != len(want) {
			t.Fatalf("%v: %v in %s", fields, err, w.Body)
		}
		for i := range want {
			only := map[string]string{}
			for key, value := range want[i] {
				if slices.Contains(fields, key) {
					only[key] = string(value)
				}
			}
			have := map[string]string{}
			for key, value := range got[i] {
				have[key] = string(value)
			}
			if d := cmp.Diff(only, have); d != "" {
				t.Errorf("%v of user %d (-whole +fields):\n%s", fields, i, d)
			}
		}
	}
}

// fieldsOfUsers are all fields, as the answer to a wrong one lists them.
func fieldsOfUsers(t *testing.T, f *fixture) string {
	t.Helper()
	w := f.do("GET", "/v1/users?fields=zzzzzz", "")
	var p struct {
		Kind         vpn.Kind
		Detail, Hint string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusBadRequest || p.Kind != vpn.Invalid {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	list, ok := strings.CutPrefix(p.Hint, "there is: ")
	if !ok || p.Detail != `there is no field "zzzzzz"` {
		t.Fatalf("got %+v", p)
	}
	return list
}

func TestParts(t *testing.T) {
	f := newFixture(t)
	f.users.listed = []vpn.UserInfo{manyFields(), {}}
	for fields, want := range map[string]string{
		"limits.quota,online":        `[{"limits":{"quota":9223372036854775807},"online":3},{"limits":{},"online":0}]`,
		"used.up,used":               `[{"used":{"up":1,"down":1152921504606846976}},{"used":{"up":0,"down":0}}]`,
		"limits.period.every,status": `[{"limits":{"period":{"every":"month"}},"status":"on_hold"},{"limits":{},"status":""}]`,
		"valid_for,tags":             `[{"valid_for":60,"tags":["a","ü"]},{}]`,
	} {
		if w := f.do("GET", "/v1/users?fields="+fields, ""); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s: got %d %s", fields, w.Code, w.Body)
		}
		if d := cmp.Diff(strings.Split(fields, ","), f.users.filter.Fields); d != "" {
			t.Error(d)
		}
	}
	for _, fields := range []string{"nam", "limits.quot", "name.first", "private", "Name", "name,", ",", "limits."} {
		if w := f.do("GET", "/v1/users?fields="+fields, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", fields, w.Code, w.Body)
		}
	}
	if w := f.do("GET", "/v1/users?deleted=true&fields=name", ""); strings.TrimSpace(w.Body.String()) != `[{"name":"gone"}]` {
		t.Errorf("got %s", w.Body)
	}
	f.users.listed = nil
	if w := f.do("GET", "/v1/users?fields=name", ""); w.Body.String() != "[]\n" {
		t.Errorf("got %s", w.Body)
	}
}
